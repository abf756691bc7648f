"""The event: what `before_send` receives, the outbox stores and PostHog gets (wire protocol 2.1).

Its stored form works for both of PostHog's capture protocols: `$set` and `$set_once` are inside `properties`, which
both accept, and everything that the newer protocol moves elsewhere can be derived from it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypedDict

import msgspec

from hogbox._events.identifier import shard_of

ANALYTICS: Final = "analytics"
"""The lane of ordinary events: the endpoint family that they are sent to."""

AI: Final = "ai"
"""The lane of events that were captured with `capture_ai`: an endpoint of their own (wire protocol 5)."""

HISTORICAL: Final = "historical"
"""The lane of imported events: separate requests, marked as a historical migration (wire protocol 3.1)."""

EXPOSURES: Final = "exposure"
"""The lane of `$feature_flag_called`: sent with ordinary events, unless the same exposure was sent before."""

FLAGGED: Final = "flags"
"""The lane of events that include their person's flags: PostHog is asked for the flags before the events are sent."""

BEFORE_ANALYTICS: Final = frozenset({EXPOSURES, FLAGGED})
"""The lanes whose events become ordinary ones when they are delivered."""

_WITH_ORDINARY_EVENTS: Final = (ANALYTICS, *sorted(BEFORE_ANALYTICS))


def lanes_in_order(lane: str) -> tuple[str, ...]:
    """The lanes whose events are sent in one order with those of this lane."""
    return _WITH_ORDINARY_EVENTS if lane in _WITH_ORDINARY_EVENTS else (lane,)


class Event(TypedDict):
    """A complete event. A `before_send` hook may change every value, but must keep the types of the fields."""

    uuid: str
    event: str
    distinct_id: str
    timestamp: str
    properties: dict[str, Any]


Event.__module__ = "hogbox"


class Row(NamedTuple):
    """A row of the outbox: integers and text only, so that any driver can write it."""

    shard: int
    project: str
    lane: str
    payload: str


class _Object(msgspec.Struct):
    """Any object: its fields are skipped."""


class _Head(msgspec.Struct):
    uuid: str


class _Person(msgspec.Struct):
    distinct_id: str


_ENCODER: Final = msgspec.json.Encoder()
_UUID_FIRST: Final = '{"uuid":"'
_UUID_LENGTH: Final = 36
_UUID: Final = slice(len(_UUID_FIRST), len(_UUID_FIRST) + _UUID_LENGTH)
"""The position of the uuid in the output of `encode`; edited payloads may have it elsewhere."""

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""The errors of decoding text that another program wrote, including text that is nested too deeply."""

_OBJECT: Final = msgspec.json.Decoder(_Object)
_HEAD: Final = msgspec.json.Decoder(_Head)
_PERSON: Final = msgspec.json.Decoder(_Person)


def encode(event: Event) -> str:
    """The event's JSON text, final: no later step recomputes any of it (P3)."""
    return _ENCODER.encode(event).decode()


def to_row(event: Event, project: str, lane: str = ANALYTICS) -> Row:
    """The outbox row of this event in this project."""
    return Row(shard_of(project, event["distinct_id"]), project, lane, encode(event))


def beginning_of(uuid: str) -> str:
    """How the payload of the event with this uuid begins, as `encode` writes it."""
    return f'{_UUID_FIRST}{uuid}"'


def is_object(payload: str) -> bool:
    """Whether a payload is exactly one JSON object: anything else would corrupt the request that contains it."""
    try:
        _OBJECT.decode(payload)
    except UNREADABLE:
        return False
    return True


def uuid_of(payload: str) -> str:
    """The uuid inside an encoded event; empty if there is none, or none that fits into a column of uuids.

    An event without a uuid is sent all the same: PostHog refuses it.
    """
    if payload.startswith(_UUID_FIRST) and payload[_UUID.stop : _UUID.stop + 1] == '"':
        return _storable(payload[_UUID])
    try:
        return _storable(_HEAD.decode(payload).uuid)
    except UNREADABLE:
        return ""


def _storable(uuid: str) -> str:
    return uuid if len(uuid) <= _UUID_LENGTH and uuid.isascii() and uuid.isprintable() else ""


def distinct_id_of(payload: str) -> str | None:
    """The distinct id inside an encoded event, or None if there is none."""
    try:
        return _PERSON.decode(payload).distinct_id
    except UNREADABLE:
        return None
