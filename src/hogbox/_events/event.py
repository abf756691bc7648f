"""The event: what `before_send` sees, what the outbox stores, what PostHog receives (wire protocol 2.1).

Its stored form is neutral between PostHog's capture protocols: `$set` and `$set_once` sit inside `properties`, which
both accept, and everything the newer protocol moves elsewhere can be read back from it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypedDict

import msgspec

from hogbox._events.identifier import shard_of

ANALYTICS: Final = "analytics"
"""The lane of ordinary events: the endpoint family that they are sent to."""

HISTORICAL: Final = "historical"
"""The lane of imported events: requests of their own, which say that they are a backfill (wire protocol 3.1)."""

EXPOSURES: Final = "exposure"
"""The lane of `$feature_flag_called`: sent with the ordinary events, unless the same exposure was sent before."""


class Event(TypedDict):
    """One event, complete. A `before_send` hook may change any of it except to forge the type of a field."""

    uuid: str
    event: str
    distinct_id: str
    timestamp: str
    properties: dict[str, Any]


Event.__module__ = "hogbox"


class Row(NamedTuple):
    """An event as the outbox holds it: integers and text only, so that any driver can write it."""

    shard: int
    project: str
    lane: str
    payload: str


class _Object(msgspec.Struct):
    """Any object: its fields are read over."""


class _Head(msgspec.Struct):
    uuid: str


class _Person(msgspec.Struct):
    distinct_id: str


_ENCODER: Final = msgspec.json.Encoder()
_UUID_FIRST: Final = '{"uuid":"'
_UUID_LENGTH: Final = 36
_UUID: Final = slice(len(_UUID_FIRST), len(_UUID_FIRST) + _UUID_LENGTH)
"""Where `encode` puts it; payloads that somebody edited may have it elsewhere."""

_OBJECT: Final = msgspec.json.Decoder(_Object)
_HEAD: Final = msgspec.json.Decoder(_Head)
_PERSON: Final = msgspec.json.Decoder(_Person)

MALFORMED: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What reading a payload raises where it is not an event. A program's own may be nested deeper than Python reads."""


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
    """Whether a payload is one JSON object, and nothing beside it: another would change the request that it is in."""
    try:
        _OBJECT.decode(payload)
    except MALFORMED:
        return False
    return True


def uuid_of(payload: str) -> str:
    """The uuid inside an encoded event; empty for a text that is none, which the server then refuses by itself.

    Empty as well for what a column of uuids can't hold.
    """
    if payload.startswith(_UUID_FIRST) and payload[_UUID.stop : _UUID.stop + 1] == '"':
        return _storable(payload[_UUID])
    try:
        return _storable(_HEAD.decode(payload).uuid)
    except MALFORMED:
        return ""


def _storable(uuid: str) -> str:
    return uuid if len(uuid) <= _UUID_LENGTH and uuid.isascii() and uuid.isprintable() else ""


def distinct_id_of(payload: str) -> str | None:
    """The distinct id inside an encoded event; None for a text that has none."""
    try:
        return _PERSON.decode(payload).distinct_id
    except MALFORMED:
        return None
