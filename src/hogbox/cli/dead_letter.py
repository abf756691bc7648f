"""A dead letter as `hogbox dead` prints it: a row of the list, in full, as JSON."""

from __future__ import annotations

from typing import Any, Final

from hogbox._events.dead_letter import pretty, read_event
from hogbox._store.selection import DeadLetterRow
from hogbox._wire.host import shorten
from hogbox._wire.printable import one_line
from hogbox.cli.table import age_of, cut, moment_of

HEAD: Final = ("ID", "DIED", "STATUS", "PROJECT", "EVENT", "DISTINCT ID", "UUID", "REASON")
"""Column titles of the list."""


def cells(letter: DeadLetterRow) -> tuple[str, ...]:
    """A row of the list."""
    event = read_event(letter.text)
    return (
        str(letter.id),
        age_of(letter.died_at),
        "-" if letter.status is None else str(letter.status),
        shorten(str(letter.project)),
        cut(str(event.get("event", "-")), 30),
        cut(str(event.get("distinct_id", "-")), 30),
        letter.event_uuid or "-",
        cut(letter.reason, 80),
    )


def facts(letter: DeadLetterRow) -> dict[str, Any]:
    """Everything except the payload, for JSON."""
    event = read_event(letter.text)
    return {
        "id": letter.id,
        "uuid": letter.event_uuid,
        "event": event.get("event"),
        "distinct_id": event.get("distinct_id"),
        "project": shorten(str(letter.project)),
        "lane": letter.lane,
        "shard": letter.shard,
        "status": letter.status,
        "reason": letter.reason,
        "created_at": moment_of(letter.created_at),
        "died_at": moment_of(letter.died_at),
    }


def payload_of(letter: DeadLetterRow) -> Any:
    """The event; the text if it is not valid JSON."""
    return read_event(letter.text) or letter.text


def in_full(letter: DeadLetterRow) -> str:
    """All fields and the event, as text."""
    names = ("id", "uuid", "project", "status", "reason", "created_at", "died_at")
    values = facts(letter)
    lines = [f"{name + ':':12}{'-' if values[name] is None else one_line(values[name])}" for name in names]
    return "\n".join([*lines, "", pretty(letter.text)])
