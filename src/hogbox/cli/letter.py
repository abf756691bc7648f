"""A dead letter as `hogbox dead` shows it: a row of the list, in full, as JSON."""

from __future__ import annotations

from typing import Any, Final

from hogbox._events.dead_letter import pretty, read_event
from hogbox._store.selection import DeadLetterRow
from hogbox._wire.host import shorten
from hogbox._wire.printable import one_line
from hogbox.cli.table import age_of, cut, moment_of

HEAD: Final = ("ID", "DIED", "STATUS", "PROJECT", "EVENT", "DISTINCT ID", "UUID", "REASON")
"""Of the list."""


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
    """What there is to know but for the event, for JSON."""
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
    """The event; the text where it is none."""
    return read_event(letter.text) or letter.text


def in_full(letter: DeadLetterRow) -> str:
    """All of it, to be read."""
    names = ("id", "uuid", "project", "status", "reason", "created_at", "died_at")
    told = facts(letter)
    lines = [f"{name + ':':12}{'-' if told[name] is None else one_line(told[name])}" for name in names]
    return "\n".join([*lines, "", pretty(letter.text)])
