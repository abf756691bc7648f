"""A line of a file of events to import: JSON -> an outbox row, or the reason why it is invalid."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hogbox._events.builder import group_map, require_properties, require_text
from hogbox._events.event import HISTORICAL, Event, Row, to_row
from hogbox._events.identifier import keyed_uuid, parse_uuid
from hogbox._events.identity import resolve
from hogbox._events.limit import refusal
from hogbox._events.timestamp import read_text
from hogbox._events.value import clean_properties
from hogbox.errors import InvalidEvent

_OTHER_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)

FIELDS: Final = ("event", "distinct_id", "timestamp", "properties", "groups", "uuid")


def derived_uuid(project: str, digest: str, position: int) -> str:
    """The uuid of an event that has none: always the same for the same position in the same file (P3)."""
    return keyed_uuid(project, f"import\n{digest}\n{position}")


def read_row(line: bytes, project: str, uuid: str, own: Mapping[str, Any]) -> Row:
    """The row of the event in a line. `uuid` is the default, `own` are default properties.

    Raises InvalidEvent for a line that is not an event, or that PostHog would refuse or garble.
    """
    event = _event(_decode(line), uuid, own)
    row = to_row(event, project, HISTORICAL)
    reason = refusal(event, row.payload)
    if reason is not None:
        raise InvalidEvent(reason)
    return row


def without_mark(beginning: bytes) -> bytes:
    """The beginning of a file without UTF-8's byte order mark. InvalidEvent for the mark of another encoding."""
    for mark, encoding in _OTHER_MARKS:
        if beginning.startswith(mark):
            raise InvalidEvent(f"the file is in {encoding}: convert it to UTF-8 first (iconv -f {encoding} -t UTF-8)")
    return beginning.removeprefix(codecs.BOM_UTF8)


def _decode(line: bytes) -> dict[str, Any]:
    try:
        given = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEvent(f"it is not valid JSON: {error}") from error
    if not isinstance(given, dict):
        raise InvalidEvent("it is not a JSON object")
    unknown = [name for name in given if name not in FIELDS]
    if unknown:
        raise InvalidEvent(
            f"unknown field {unknown[0]!r}: put the event's own data into properties; the fields are "
            f"{', '.join(FIELDS)}"
        )
    return given


def _event(given: Mapping[str, Any], uuid: str, own: Mapping[str, Any]) -> Event:
    for name in ("event", "distinct_id", "timestamp"):
        if given.get(name) is None:
            raise InvalidEvent(f"{name} is missing")
    properties, problems = clean_properties(require_properties(given.get("properties")))
    if problems:
        raise InvalidEvent(problems[0])
    groups = given.get("groups")
    return {
        "uuid": _uuid(given.get("uuid"), uuid),
        "event": require_text(given["event"], "event"),
        "distinct_id": resolve(None, given["distinct_id"]),
        "timestamp": _timestamp(given["timestamp"]),
        "properties": {**own, **properties, **({"$groups": group_map(groups)} if groups else {})},
    }


def _uuid(given: object, otherwise: str) -> str:
    if given is None:
        return otherwise
    uuid = parse_uuid(given)
    if uuid is None:
        raise InvalidEvent(f"uuid {given!r} is not a valid UUID: correct it or leave it out")
    return uuid


def _timestamp(given: object) -> str:
    timestamp = read_text(given) if isinstance(given, str) else None
    if timestamp is None:
        raise InvalidEvent(f"timestamp {given!r} is not ISO 8601, such as 2024-05-17T09:30:00+02:00")
    return timestamp
