"""What the database holds of one person: found in the outbox and in messages about errors, and removed from them.

Not along the shard that the person's events are written to: those whose project was changed while they waited stay in
the shard of the old one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from sqlalchemy import Column, Delete, Select, Table, Update, bindparam, delete, or_, select, update

from hogbox._encryption import PREFIX, open_payload
from hogbox._events.dead_letter import read_event
from hogbox._events.mention import spellings, without
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit
from hogbox._store.schema.table import Tables
from hogbox._store.schema.waiting import (
    newest_id,
    next_id,
)
from hogbox.errors import UndecryptablePayload

_SCANNED_AT_ONCE: Final = 50_000
_READ_AT_ONCE: Final = 200

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.@:+-]+")
"""Distinct ids that are the same in every JSON text."""


class PersonStatements:
    """A person's events in the outbox."""

    def __init__(self, tables: Tables) -> None:
        self.read_events_with = _read_events_with(tables)
        self.remove_event = _remove_event(tables)


def _read_events_with(tables: Tables) -> Select[int, str, str]:
    """So many events between two ids whose payload has a text in it, or is encrypted, in order."""
    outbox = tables.outbox.c
    text = bindparam("text", type_=outbox.payload.type)
    return (
        select(outbox.id, outbox.project, outbox.payload)
        .where(outbox.id.between(bindparam("first"), bindparam("last")))
        .where(outbox.payload.like(text, escape="~") | outbox.payload.like(f"{PREFIX}%"))
        .order_by(outbox.id)
        .limit(bindparam("portion"))
    )


def _remove_event(tables: Tables) -> Delete:
    """Remove one event from the outbox, whoever holds its shard. One at a time: no worker is ever locked out by two."""
    return delete(tables.outbox).where(tables.outbox.c.id == bindparam("event"))


def _pattern_of(distinct_id: str) -> str:
    """What payloads of this person's events are LIKE, with `~` as the escape: at least those, and few others.

    A text that JSON may write in several ways is not looked for: then all are LIKE it.
    """
    if not _PLAIN.fullmatch(distinct_id):
        return "%"
    return f"%{distinct_id.replace('_', '~_')}%"


class MessageColumn:
    """A column with messages about errors, and the column that identifies its row."""

    def __init__(self, table: Table, key: Column[Any], text: Column[Any]) -> None:
        self._key, self._text = key, text
        before = bindparam("text_before", type_=text.type)
        self.replace: Update = (
            update(table)
            .where(key == bindparam("key_given", type_=key.type), text == before)
            .values({text: bindparam("text_after", type_=text.type)})
        )
        """Replace a message, unless it has changed since it was read."""

    def read(self, parts: Iterable[str]) -> Select[Any, str]:
        """The messages in which one of the parts stands, in whatever case, with their rows' keys."""
        contains = [self._text.contains(part.replace("\0", ""), autoescape=True) for part in parts]
        return select(self._key, self._text).where(or_(*contains))


def message_columns(tables: Tables) -> tuple[MessageColumn, ...]:
    """Everywhere that a server's or a library's words are stored."""
    shards, holds, dead = tables.shards, tables.holds, tables.dead_letters
    return (
        MessageColumn(shards, shards.c.shard, shards.c.last_error),
        MessageColumn(holds, holds.c.project, holds.c.reason),
        MessageColumn(dead, dead.c.id, dead.c.reason),
    )


class Sought(NamedTuple):
    """An event that may be the person's. `opened`: whether it is; otherwise it is encrypted, and nobody can tell."""

    id: int
    opened: bool


class Mention(NamedTuple):
    """A message about an error in which the person's distinct id stands, and what is left of it without that."""

    column: MessageColumn
    key: int | str
    text: str
    rest: str


class PersonStore:
    """The waiting events of persons, and messages that name them, in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = database.tables.once(PersonStatements)
        self._newest_id = newest_id(database.tables)
        self._columns = message_columns(database.tables)
        self._next_id = next_id(database.tables)

    def find(self, distinct_id: str, project: str | None) -> Iterator[Sought]:
        """The person's events, of those that wait when it begins, and those that can't be opened.

        In one project, or in all.
        """
        self._database.check()
        newest, past = self._scalar(self._newest_id), 0
        while 0 < (first := self._scalar(self._next_id, after=past)) <= newest:
            past = min(first + _SCANNED_AT_ONCE - 1, newest)
            rows = self._read(_pattern_of(distinct_id), first, past)
            for id_, its_project, payload in rows:
                found = sought(id_, payload, distinct_id) if project in (None, its_project) else None
                if found is not None:
                    yield found
            if len(rows) == _READ_AT_ONCE:
                past = rows[-1][0]

    def remove(self, ids: Iterable[int]) -> int:
        """Remove the events with these ids, each in a transaction of its own; how many were there still.

        A worker that is just sending one of them finds it gone afterwards, and goes on.
        """
        removed = 0
        for one in ids:
            with autocommit(self._database.engine).connect() as connection, connection.begin():
                removed += connection.execute(self._statements.remove_event, {"event": one}).rowcount
        return removed

    def find_mentions(self, distinct_id: str) -> list[Mention]:
        """The messages that name the person: last errors of shards, reasons of holds and of dead letters."""
        looked_for = spellings(distinct_id)
        found: list[Mention] = []
        with autocommit(self._database.engine).connect() as connection:
            for column in self._columns:
                rows = connection.execute(column.read(looked_for)).all()
                found += [Mention(column, key, text, without(text, looked_for)) for key, text in rows]
        return [one for one in found if one.text != one.rest]

    def remove_mentions(self, mentions: Iterable[Mention]) -> int:
        """Replace the person's distinct id in these messages; in how many. One that has changed meanwhile stays."""
        changed = 0
        for one in mentions:
            values = {"key_given": one.key, "text_before": one.text, "text_after": one.rest}
            with autocommit(self._database.engine).connect() as connection, connection.begin():
                changed += connection.execute(one.column.replace, values).rowcount
        return changed

    def _scalar(self, statement: Select[int | None], **values: int) -> int:
        with autocommit(self._database.engine).connect() as connection:
            return connection.scalar(statement, values) or 0

    def _read(self, pattern: str, first: int, last: int) -> list[tuple[int, str, str]]:
        wanted = {"text": pattern, "first": first, "last": last, "portion": _READ_AT_ONCE}
        with autocommit(self._database.engine).connect() as connection:
            return [
                (id_, project, payload)
                for id_, project, payload in connection.execute(self._statements.read_events_with, wanted)
            ]


def sought(id_: int, payload: str, distinct_id: str) -> Sought | None:
    """This payload's row, where the event is the person's or can't be opened; None for an event of somebody else.

    Opened wherever it is stored: an event in a row that was changed is the person's all the same.
    """
    try:
        event = read_event(open_payload(payload))
    except UndecryptablePayload:
        return Sought(id_, opened=False)
    return Sought(id_, opened=True) if event.get("distinct_id") == distinct_id else None
