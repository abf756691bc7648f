"""Conversion of a stored event, which has the form of v0, to capture v1 (wire protocol 4.3).

Only what changes is decoded: the values of properties are copied as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

_Properties = dict[str, Raw]


class _Stored(msgspec.Struct):
    """An event of the outbox."""

    uuid: Raw
    event: Raw
    distinct_id: Raw
    timestamp: str
    properties: _Properties = {}
    set: _Properties | None = msgspec.field(default=None, name="$set")
    set_once: _Properties | None = msgspec.field(default=None, name="$set_once")


class _Sent(msgspec.Struct, omit_defaults=True):
    """An event of a v1 request."""

    event: Raw
    uuid: Raw
    distinct_id: Raw
    timestamp: str
    options: dict[str, Any]
    properties: _Properties
    session_id: Raw | UnsetType = UNSET
    window_id: Raw | UnsetType = UNSET


_DECODER: Final = msgspec.json.Decoder(_Stored)
_OBJECT: Final = msgspec.json.Decoder(_Properties)
_ENCODER: Final = msgspec.json.Encoder()

_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)

_SWITCHES: Final = {
    "$cookieless_mode": "cookieless_mode",
    "$ignore_sent_at": "disable_skew_correction",
    "$process_person_profile": "process_person_profile",
}
_TOUR: Final = "$product_tour_id"
_MOVED: Final = frozenset({*_SWITCHES, _TOUR, "$session_id", "$window_id", "$lib", "$lib_version"})

_WORDS: Final = {"true": True, "1": True, "false": False, "0": False}
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def to_v1(payload: str) -> str:
    """The event as v1 takes it. A payload of another form is returned as it is: the server says what is wrong."""
    try:
        return _convert(_DECODER.decode(payload)).decode()
    except _UNREADABLE:
        return payload


def _convert(stored: _Stored) -> bytes:
    properties = stored.properties
    moved = {name: properties.pop(name) for name in _MOVED & properties.keys()}
    _merge(properties, "$set", stored.set)
    _merge(properties, "$set_once", stored.set_once)
    sent = _Sent(
        stored.event, stored.uuid, stored.distinct_id, _rfc_3339(stored.timestamp), _options(moved), properties
    )
    sent.session_id = _text(moved.get("$session_id"))
    sent.window_id = _text(moved.get("$window_id"))
    return _ENCODER.encode(sent)


def _merge(properties: _Properties, name: str, of_root: _Properties | None) -> None:
    """Move the event's own `$set` or `$set_once` into its properties; what is there already takes precedence."""
    if not of_root:
        return
    try:
        own = _OBJECT.decode(properties[name]) if name in properties else {}
    except _UNREADABLE:
        return
    properties[name] = Raw(_ENCODER.encode({**of_root, **own}))


def _options(moved: Mapping[str, Raw]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, option in _SWITCHES.items():
        if name in moved and (switch := _boolean(msgspec.json.decode(moved[name]))) is not None:
            options[option] = switch
    if (tour := _text(moved.get(_TOUR))) is not UNSET:
        options["product_tour_id"] = tour
    return options


def _boolean(value: Any) -> bool | None:
    """The value as a boolean, or None if it does not mean one."""
    if isinstance(value, int | float):
        return value != 0
    return _WORDS.get(value.strip().lower()) if isinstance(value, str) else None


def _text(value: Raw | None) -> Raw | UnsetType:
    """The value if it is a string: one of another type would make the whole request invalid."""
    return value if value is not None and isinstance(msgspec.json.decode(value), str) else UNSET


def _rfc_3339(timestamp: str) -> str:
    """The same time with an offset: v0 reads a time without one as UTC, and v1 drops the event."""
    if _RFC_3339.fullmatch(timestamp):
        return timestamp
    try:
        time = datetime.fromisoformat(timestamp)
    except ValueError:
        return timestamp
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()
