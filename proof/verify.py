"""Compares what the application committed with what PostHog received. Pure, and takes nothing on hogbox's word."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

_TOLERANCE: float = 0.002
"""Seconds: clocks are read in microseconds, timestamps are sent in milliseconds."""


class Committed(NamedTuple):
    """An event that the application captured and committed: the `position`-th of its person.

    It was captured between two moments, in seconds since the epoch.
    """

    uuid: str
    person: str
    position: int
    earliest: float
    latest: float


class Arrival(NamedTuple):
    """An event as it reached PostHog: in which request, by number, and when, in seconds since the epoch."""

    uuid: str
    person: str
    timestamp: str | None
    request: int
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the comparison found. Only repeats, dead letters and waiting events are allowed."""

    committed: int
    delivered: int
    repeats: int
    dead: int
    waiting: int
    lost: tuple[str, ...] = ()
    """Committed, and neither arrived nor a dead letter nor waiting for a stated reason."""
    undone: tuple[str, ...] = ()
    """Arrived, though the transaction was rolled back, or for another person than it was captured for."""
    disordered: tuple[str, ...] = ()
    """Arrived for the first time after a later event of the same person."""
    restamped: tuple[str, ...] = ()
    """Arrived with a timestamp other than the one of its capture, or with two."""
    resent: tuple[str, ...] = ()
    """Sent again by a request that began after a later event of the same person had arrived: by a worker that lost
    the shard to another one and went on."""
    stuck: int = 0
    """Workers that did not end when they were asked to."""
    longest_wait: float = 0.0
    """Seconds from capture to first arrival, the longest among the people whom the fault does not concern."""

    @property
    def broken(self) -> dict[str, int]:
        """The promises that broke, with the number of events."""
        found = {
            "lost": self.lost,
            "delivered though rolled back": self.undone,
            "out of order": self.disordered,
            "restamped": self.restamped,
            "sent again behind a later one": self.resent,
        }
        counts = {name: len(events) for name, events in found.items()} | {"workers that did not end": self.stuck}
        return {name: count for name, count in counts.items() if count}


def compare(
    committed: Sequence[Committed],
    arrivals: Sequence[Arrival],
    dead: Collection[str],
    waiting: Collection[str],
    concerned: Collection[str] = (),
) -> Verdict:
    """What became of the committed events, by the arrivals in order.

    `dead` and `waiting` are uuids; `concerned` are the people whose events the fault itself delays.
    """
    known = {event.uuid: event for event in committed}
    arrived = {arrival.uuid for arrival in arrivals}
    of_known = [arrival for arrival in arrivals if arrival.uuid in known]
    return Verdict(
        committed=len(known),
        delivered=len(arrived & known.keys()),
        repeats=len(arrivals) - len(arrived),
        dead=len(dead),
        waiting=len(waiting),
        lost=tuple(uuid for uuid in known if uuid not in arrived and uuid not in dead and uuid not in waiting),
        undone=tuple(
            sorted({one.uuid for one in arrivals if one.uuid not in known or known[one.uuid].person != one.person})
        ),
        disordered=_disordered(known, of_known),
        restamped=_restamped(known, of_known),
        resent=_resent(known, of_known),
        longest_wait=_longest_wait(known, of_known, concerned),
    )


def _disordered(known: dict[str, Committed], arrivals: Sequence[Arrival]) -> tuple[str, ...]:
    furthest: dict[str, int] = {}
    late = []
    for uuid in dict.fromkeys(arrival.uuid for arrival in arrivals):
        event = known[uuid]
        if event.position < furthest.get(event.person, -1):
            late.append(uuid)
        furthest[event.person] = max(event.position, furthest.get(event.person, -1))
    return tuple(late)


def _restamped(known: dict[str, Committed], arrivals: Sequence[Arrival]) -> tuple[str, ...]:
    stamps = {(arrival.uuid, arrival.timestamp) for arrival in arrivals}
    twice = len(stamps) > len({arrival.uuid for arrival in arrivals})
    first: dict[str, str | None] = {}
    wrong = set()
    for uuid, timestamp in stamps:
        if (twice and first.setdefault(uuid, timestamp) != timestamp) or not _as_captured(known[uuid], timestamp):
            wrong.add(uuid)
    return tuple(sorted(wrong))


def _as_captured(event: Committed, timestamp: str | None) -> bool:
    if timestamp is None:
        return False
    moment = datetime.fromisoformat(timestamp).timestamp()
    return event.earliest - _TOLERANCE <= moment <= event.latest + _TOLERANCE


def _resent(known: dict[str, Committed], arrivals: Sequence[Arrival]) -> tuple[str, ...]:
    """Requests are numbered as they come in, however much later the server stores their events."""
    carried: dict[str, int] = {}
    furthest: dict[str, tuple[int, int]] = {}
    behind: dict[str, None] = {}
    for arrival in sorted(arrivals, key=lambda one: one.request):
        event = known[arrival.uuid]
        position, request = furthest.get(event.person, (-1, -1))
        if position > event.position and request > carried.get(event.uuid, request):
            behind[event.uuid] = None
        if event.position > position:
            furthest[event.person] = (event.position, arrival.request)
        carried[event.uuid] = arrival.request
    return tuple(behind)


def _longest_wait(known: dict[str, Committed], arrivals: Sequence[Arrival], concerned: Collection[str]) -> float:
    first: dict[str, float] = {}
    for arrival in arrivals:
        if arrival.person not in concerned:
            first.setdefault(arrival.uuid, arrival.at)
    return max((at - known[uuid].latest for uuid, at in first.items()), default=0.0)
