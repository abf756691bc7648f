"""Simulated faults: which requests they affect, how often, and what the client sees."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Annotated, Any, Literal

import msgspec

from hogbox.emulator.answer import JSON, TEXT, EmulatorResponse
from hogbox.emulator.record import ReceivedEvent

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?|")

Status = Annotated[int, msgspec.Meta(ge=200, le=599)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
Rate = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A simulated fault. Without `times` and `rate` it affects every matching request, until it is removed.

    Arguments:
        path: A complete path or the beginning of one (`/batch` includes `/batch/`); None: every capture path.
        method: An HTTP method; distinguishes `POST /flags` from `GET /flags/definitions`, which `/flags` includes.
        status, headers, body: The response. The events are not stored, unless `store` is set.
        delay: Seconds to wait before the response.
        drop: Close the connection without a response, `before` or `after` the events are stored.
        store: Store the events although `status` is set.
        times: The number of requests to affect; None: no limit.
        rate: The share of matching requests to affect, from 0 to 1; None: all.
        token, event, distinct_id, uuid: Affect only requests that contain an event with all of these values.
        id, fired: Set by the emulator: the fault's number, and how often it has affected a request.
    """

    path: str | None = None
    method: str | None = None
    status: Status | None = None
    headers: dict[str, str] = {}
    body: Any = None
    delay: Seconds = 0.0
    drop: Literal["before", "after"] | None = None
    store: bool = False
    times: Count | None = None
    rate: Rate | None = None
    token: str | None = None
    event: str | None = None
    distinct_id: str | None = None
    uuid: str | None = None
    id: int = 0
    fired: int = 0

    def problem(self) -> str | None:
        """Why the fault is invalid, as a sentence that says how to fix it, or None."""
        if self.status is None and self.drop is None and not self.delay:
            return "a fault needs `status`, `drop` or `delay`"
        if self.status is not None and self.drop is not None:
            return "a dropped connection has no status: give `status` or `drop`, not both"
        if self.status is None and (self.headers or self.body is not None or self.store):
            return "`headers`, `body` and `store` need a `status`"
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                return f"the header {name!r} can't be sent: use printable ASCII"
        if self.method is not None and not self.method.isupper():
            return "`method` must be in capitals, such as POST"
        if self.path is not None and not self.path.startswith("/"):
            return "`path` must begin with a slash"
        if self.path is not None and _covers("/_emulator", self.path):
            return "the control API cannot fail: choose another `path`"
        return None

    def stores(self) -> bool:
        """Whether the request's events are stored."""
        if self.drop is not None:
            return self.drop == "after"
        return self.status is None or self.store

    def leaves_answer(self) -> bool:
        """Whether PostHog gets to answer, even if the answer does not arrive."""
        return self.status is None and self.drop != "before"

    def answer(self, usual: Mapping[int, EmulatorResponse]) -> EmulatorResponse | None:
        """The response in place of PostHog's, if the fault has one; `usual` are the default bodies."""
        if self.status is None:
            return None
        headers = tuple((name.lower(), value) for name, value in self.headers.items())
        if self.status in (204, 304):
            return EmulatorResponse(self.status, b"", None, headers)
        own = usual.get(self.status) or EmulatorResponse(self.status)
        given = {name for name, _ in headers}
        headers += tuple((name, value) for name, value in own.headers if name not in given)
        body, content_type = own.body, own.content_type
        if isinstance(self.body, str):
            body, content_type = self.body.encode(), TEXT
        elif self.body is not None:
            body, content_type = msgspec.json.encode(self.body), JSON
        return EmulatorResponse(self.status, body, None if "content-type" in given else content_type, headers)


class Faults:
    """The faults in order of their addition: the first one that matches and is due affects the request."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._faults: dict[int, Fault] = {}
        self._added = 0

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults.values())

    def add(self, fault: Fault) -> Fault:
        self._added += 1
        added = msgspec.structs.replace(fault, id=self._added, fired=0)
        self._faults[added.id] = added
        return added

    def remove(self, fault_id: int) -> bool:
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        self._faults.clear()

    def choose(
        self,
        path: str,
        *,
        is_capture: bool,
        token: str | None,
        events: Sequence[ReceivedEvent],
        method: str = "POST",
    ) -> Fault | None:
        for fault in self._faults.values():
            if (
                _matches_path(fault, path, is_capture)
                and fault.method in (None, method)
                and _matches_events(fault, token, events)
                and self._due(fault)
            ):
                fault.fired += 1
                return fault
        return None

    def _due(self, fault: Fault) -> bool:
        if fault.times is not None and fault.fired >= fault.times:
            return False
        return fault.rate is None or self._random.random() < fault.rate


def _matches_path(fault: Fault, path: str, is_capture: bool) -> bool:
    return is_capture if fault.path is None else _covers(fault.path, path)


def _covers(prefix: str, path: str) -> bool:
    prefix = prefix.rstrip("/")
    return path == prefix or path.startswith(f"{prefix}/")


def _matches_events(fault: Fault, token: str | None, events: Sequence[ReceivedEvent]) -> bool:
    if fault.token is not None and fault.token != token:
        return False
    if fault.event is None and fault.distinct_id is None and fault.uuid is None:
        return True
    return any(
        fault.event in (None, event.event)
        and fault.distinct_id in (None, event.distinct_id)
        and fault.uuid in (None, event.uuid)
        for event in events
    )
