"""Dead letters: which ones can be delivered now, and the validation of edited ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Never, cast

import msgspec

from hogbox._events.escape import unescape
from hogbox._events.event import ANALYTICS, Event, encode
from hogbox._events.identifier import parse_uuid
from hogbox._events.limit import refusal
from hogbox.errors import InvalidEvent

_FIELDS: Final = ("uuid", "event", "distinct_id", "timestamp", "properties")


class IdentityChanged(InvalidEvent):
    """The edited event has another uuid or timestamp: `field`."""

    def __init__(self, field: str, before: object) -> None:
        super().__init__(f"{field} was {before!r}, and another {field} makes it another event")
        self.field = field


def read_event(payload: str) -> dict[str, Any]:
    """The event in a payload; empty if the payload is not a JSON object."""
    try:
        event = json.loads(payload)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def refused_again(payload: str, lane: str = ANALYTICS) -> str | None:
    """Why PostHog is known to refuse or garble this event in its current form, or None if it may accept it now."""
    event = read_event(payload)
    return refusal(event, unescape(payload), lane) if event else "it is not an event: not a JSON object"


def pretty(payload: str) -> str:
    """The payload indented, for display and editing; unchanged if it is not JSON."""
    try:
        return json.dumps(json.loads(payload), indent=2, ensure_ascii=False) + "\n"
    except (ValueError, RecursionError):
        return payload


def correct(
    text: str,
    payload: str,
    *,
    lane: str = ANALYTICS,
    other_uuid: bool = False,
    other_timestamp: bool = False,
    force: bool = False,
) -> Event:
    """The event in an edited text; `payload` is the original, `lane` its lane.

    Raises InvalidEvent, with a message for people: the text is not an event, or PostHog would refuse it (unless
    `force`); and IdentityChanged where its uuid or timestamp was changed (unless `other_uuid`, `other_timestamp`).
    """
    event = _complete(_parse(text))
    before = read_event(payload)
    if not other_uuid:
        _require_same("uuid", event, before)
    if not other_timestamp:
        _require_same("timestamp", event, before)
    reason = refusal(event, _encode(event), lane)
    if reason is not None and not force:
        raise InvalidEvent(f"PostHog would still refuse or garble it: {reason}")
    return event


def _parse(text: str) -> dict[str, Any]:
    try:
        event = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise InvalidEvent(f"it is not valid JSON: {error}") from error
    if not isinstance(event, dict):
        raise InvalidEvent("it is not an event: a JSON object is required")
    return event


def _no_number(name: str) -> Never:
    raise ValueError(f"{name} is not a JSON number")


def _complete(given: Mapping[str, Any]) -> Event:
    """The event with its own fields first, as hogbox writes it: searches expect the uuid at the start."""
    event = {name: given.get(name) for name in _FIELDS}
    for name in ("event", "distinct_id", "timestamp"):
        if not isinstance(value := event[name], str) or not value.strip():
            raise InvalidEvent(f"{name} must be a non-empty string, not {value!r}")
    if not isinstance(event["properties"], dict):
        raise InvalidEvent(f"properties must be an object, not {event['properties']!r}")
    uuid = parse_uuid(event["uuid"])
    if uuid is None:
        raise InvalidEvent(f"uuid must be a UUID, not {event['uuid']!r}")
    try:
        datetime.fromisoformat(given["timestamp"])
    except ValueError:
        raise InvalidEvent(
            f"timestamp must be ISO 8601, such as 2026-01-31T12:00:00Z, not {event['timestamp']!r}"
        ) from None
    return cast("Event", {**event, "uuid": uuid, **{name: given[name] for name in given if name not in event}})


def _encode(event: Event) -> str:
    try:
        return encode(event)
    except (msgspec.MsgspecError, OverflowError, UnicodeError) as error:
        raise InvalidEvent(f"it can't be sent as JSON: {error}") from error


def _require_same(name: str, event: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """With a different uuid or timestamp it is another event to PostHog: both would count if both arrive."""
    if name in before and event[name] != before[name]:
        raise IdentityChanged(name, before[name])
