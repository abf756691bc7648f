"""Rows of the outbox and of the dead letters, as a test sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

from hogbox._encryption import open_payload
from hogbox._events.escape import unescape

_OF_HOGBOX: Final = frozenset(
    {
        "$geoip_disable",
        "$is_server",
        "$lib",
        "$lib_version",
        "$os",
        "$os_distro",
        "$os_version",
        "$python_runtime",
        "$python_version",
    }
)
"""The properties that hogbox adds to every event."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CapturedEvent:
    """An event as it will be sent to PostHog."""

    uuid: str
    """What the capturing method returned."""
    event: str
    """The event's name."""
    distinct_id: str
    timestamp: datetime
    """When it happened, in UTC."""
    properties: dict[str, Any]
    """All of them, those that hogbox adds too."""
    project: str
    """The project's token."""
    lane: str
    """How it is sent: `analytics`, `ai`, `historical`, or `exposure` for `$feature_flag_called`."""
    id: int
    """Its row's; a later event of the same transaction has a larger one."""

    @property
    def given(self) -> dict[str, Any]:
        """The properties but for those that hogbox adds to every event, such as `$lib` and `$os`."""
        return {name: value for name, value in self.properties.items() if name not in _OF_HOGBOX}

    def __hash__(self) -> int:
        return hash(self.uuid)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._told()})"

    def _told(self) -> str:
        return f"{self.event!r}, {self.distinct_id!r}, {self.given!r}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DeadLetter(CapturedEvent):
    """An event that PostHog refused, or is known to refuse or to garble; it is kept, and not sent."""

    reason: str
    status: int | None
    """Of PostHog's answer; None where hogbox knew without asking."""

    def __hash__(self) -> int:
        return hash(self.uuid)

    def _told(self) -> str:
        return f"{CapturedEvent._told(self)}, reason={self.reason!r}"


def to_event(row: Sequence[Any]) -> CapturedEvent:
    """A row of `read_outbox`."""
    id_, project, lane, payload = row
    return CapturedEvent(id=id_, project=project, lane=lane, **_decode(payload))


def to_dead_letter(row: Sequence[Any]) -> DeadLetter:
    """A row of `read_dead_letters`."""
    id_, project, lane, payload, reason, status = row
    return DeadLetter(id=id_, project=project, lane=lane, reason=unescape(reason), status=status, **_decode(payload))


def _decode(payload: str) -> dict[str, Any]:
    event: dict[str, Any] = msgspec.json.decode(open_payload(payload))
    return {**event, "timestamp": datetime.fromisoformat(event["timestamp"])}
