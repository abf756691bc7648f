"""The emulator's records: the requests that it received, and the events that PostHog would store."""

from __future__ import annotations

from typing import Any

import msgspec


class ReceivedEvent(msgspec.Struct, gc=False, kw_only=True):
    """A stored event. `sequence` is its number in order of arrival; `request` is the `sequence` of its request."""

    sequence: int = 0
    request: int
    arrived_at: float
    path: str
    token: str
    uuid: str
    event: str
    distinct_id: str
    timestamp: str | None
    time: str
    properties: dict[str, Any]
    set: dict[str, Any] | None = None
    set_once: dict[str, Any] | None = None
    historical_migration: bool = False
    sent_at: str | None = None
    person_processing: bool = True

    @property
    def identity(self) -> tuple[str | None, str, str, str]:
        """PostHog merges two events in which all of these are equal; capture v0 and v1 may spell UTC differently."""
        timestamp = self.timestamp
        if timestamp is not None and timestamp.endswith("+00:00"):
            timestamp = timestamp[:-6] + "Z"
        return (timestamp, self.distinct_id, self.event, self.uuid)


class ReceivedRequest(msgspec.Struct, kw_only=True):
    """A request. `status` is None until it is answered, and remains None if the connection was dropped."""

    sequence: int
    arrived_at: float
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body_size: int
    token: str | None = None
    events: int = 0
    status: int | None = None
    dropped: bool = False
    fault: int | None = None
    error: str | None = None
    body: str | None = None
