"""The World: what the emulator holds between requests. One event loop owns it; nothing waits or locks."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable
from itertools import islice
from random import Random
from typing import Annotated, Any

import msgspec

from hogbox.emulator.answer import EmulatorResponse, Outcome
from hogbox.emulator.definition import Definitions
from hogbox.emulator.fault import Fault, Faults
from hogbox.emulator.profile import Profiles
from hogbox.emulator.rate import RateLimiter
from hogbox.emulator.record import ReceivedEvent, ReceivedRequest
from hogbox.emulator.script import ScriptedResults
from hogbox.emulator.setting import Limits, Settings
from hogbox.emulator.source import Source, WatchedFile


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events to look at. `since` is a sequence number: later ones match. `unique` drops repeats."""

    event: str | None = None
    distinct_id: str | None = None
    uuid: str | None = None
    token: str | None = None
    since: int = 0
    limit: Annotated[int, msgspec.Meta(ge=0)] | None = None
    unique: bool = False

    def apply(self, events: Iterable[ReceivedEvent]) -> list[ReceivedEvent]:
        found: Iterable[ReceivedEvent] = (event for event in events if self._matches(event))
        return list(islice(unique(found) if self.unique else found, self.limit))

    def _matches(self, event: ReceivedEvent) -> bool:
        return (
            event.sequence > self.since
            and self.event in (None, event.event)
            and self.distinct_id in (None, event.distinct_id)
            and self.uuid in (None, event.uuid)
            and self.token in (None, event.token)
        )


def unique(events: Iterable[ReceivedEvent]) -> list[ReceivedEvent]:
    """Without the repeats that PostHog's store would merge into the first of their kind."""
    first: dict[Hashable, ReceivedEvent] = {}
    for event in events:
        first.setdefault(event.identity, event)
    return list(first.values())


class RequestFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which requests to look at: by the beginning of their path, by method, or later than a sequence number."""

    path: str | None = None
    method: str | None = None
    since: int = 0
    limit: Annotated[int, msgspec.Meta(ge=0)] | None = None

    def apply(self, requests: Iterable[ReceivedRequest]) -> list[ReceivedRequest]:
        found = (
            request
            for request in requests
            if request.sequence > self.since
            and (self.path is None or request.path.startswith(self.path))
            and self.method in (None, request.method)
        )
        return list(islice(found, self.limit))


class World:
    """Requests and events in order of arrival, the newest of each, with the settings and faults in force."""

    def __init__(
        self,
        settings: Settings,
        limits: Limits,
        *,
        seed: int = 0,
        flags: Definitions | WatchedFile | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.limits = limits
        self.source = Source(flags)
        self.on_change: Callable[[], None] = lambda: None
        self._first_settings = settings
        self._seed = seed
        self._now = now
        self.reset()

    def reset(self) -> None:
        """Back to the beginning: nothing received, no faults, the settings, flags and seed of the start."""
        self.settings = self._first_settings
        self.source.reset()
        self.profiles = Profiles(self.limits.kept_profile_bytes)
        self.rate_limiter = RateLimiter()
        self.random = Random(self._seed)  # noqa: S311 - reproducible on purpose
        self.faults = Faults(self.random)
        self.results = ScriptedResults(self.random)
        self.events: deque[ReceivedEvent] = deque(maxlen=self.limits.kept_events)
        self.requests: deque[ReceivedRequest] = deque(maxlen=self.limits.kept_requests)
        self.events_received = 0
        self.requests_received = 0
        self.statuses: Counter[int] = Counter()
        self.flag_statuses: dict[str, Counter[int]] = {"definitions": Counter(), "flags": Counter()}
        self.connections_dropped = 0
        self.faults_fired = 0
        self._in_flight: set[int] = set()  # ids of records: a reset forgets the requests that are being answered
        self._bodies: deque[ReceivedRequest] = deque()
        self._body_bytes = 0

    def clock(self) -> float:
        """This machine's time, in seconds since the epoch."""
        return self._now()

    def server_clock(self) -> float:
        """PostHog's time: this machine's, and the offset."""
        return self._now() + self.settings.clock_offset

    def arrive(self, method: str, path: str, query: str, headers: dict[str, str]) -> ReceivedRequest:
        """Writes down a request that has begun to arrive."""
        self.requests_received += 1
        record = ReceivedRequest(
            sequence=self.requests_received,
            arrived_at=self.clock(),
            method=method,
            path=path,
            query=query,
            headers=headers,
            body_size=0,
        )
        self.requests.append(record)
        self._in_flight.add(id(record))
        self.on_change()
        return record

    def abandon(self, record: ReceivedRequest) -> None:
        """Writes down that a client went away before its request was whole."""
        self._in_flight.discard(id(record))
        self.on_change()

    def note(self, record: ReceivedRequest, outcome: Outcome, fault: Fault | None) -> None:
        """Completes a request's record with what was read from it."""
        record.token = outcome.token
        if outcome.payload is not None and self.settings.keep_bodies:
            self._keep_body(record, outcome.payload)
        if fault is not None:
            record.fault = fault.id
            self.faults_fired += 1
            self.on_change()

    def store(self, record: ReceivedRequest, events: Iterable[ReceivedEvent]) -> None:
        """Stores a request's events, in order."""
        if id(record) not in self._in_flight:
            return
        for event in events:
            self.events_received += 1
            event.sequence = self.events_received
            self.events.append(event)
            self.profiles.learn(event)
            record.events += 1

    def answer(self, record: ReceivedRequest, answer: EmulatorResponse, *, counted_as: str | None = None) -> None:
        """Writes down how a request was answered. `counted_as` says which of `flag_statuses` counts it too."""
        record.status = answer.status
        if answer.status >= 400:
            record.error = answer.body.decode(errors="replace")
        if self._settle(record):
            self.statuses[answer.status] += 1
            if counted_as is not None:
                self.flag_statuses[counted_as][answer.status] += 1
            self.on_change()

    def drop(self, record: ReceivedRequest) -> None:
        """Writes down that a request's connection was cut."""
        record.dropped = True
        if self._settle(record):
            self.connections_dropped += 1
            self.on_change()

    def summary(self) -> dict[str, Any]:
        """The counts since the start or the last reset; unique events are counted among those still held."""
        return {
            "requests": self.requests_received,
            "in_flight": len(self._in_flight),
            "events": self.events_received,
            "unique_events": len(unique(self.events)),
            "statuses": _by_status(self.statuses),
            **{name: _by_status(statuses) for name, statuses in self.flag_statuses.items()},
            "connections_dropped": self.connections_dropped,
            "faults_fired": self.faults_fired,
            "events_forgotten": self.events_received - len(self.events),
            "requests_forgotten": self.requests_received - len(self.requests),
        }

    def _settle(self, record: ReceivedRequest) -> bool:
        """Whether the request is still one of this world's; from now on it is not."""
        known = id(record) in self._in_flight
        self._in_flight.discard(id(record))
        return known

    def _keep_body(self, record: ReceivedRequest, payload: str) -> None:
        record.body = payload.encode()[: self.settings.keep_bodies].decode(errors="ignore")
        self._bodies.append(record)
        self._body_bytes += len(record.body)
        while self._body_bytes > self.limits.kept_body_bytes:
            oldest = self._bodies.popleft()
            self._body_bytes -= len(oldest.body or "")
            oldest.body = None


def _by_status(statuses: Counter[int]) -> dict[str, int]:
    return {str(status): count for status, count in sorted(statuses.items())}
