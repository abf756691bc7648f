"""The statements that find and remove what waits of one person, and messages that name the person."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column, Delete, Select, Table, Update, bindparam, delete, or_, select, update

from hogbox._store.schema.table import Tables
from hogbox.encryption import SEALED


class PersonStatements:
    """Every statement over one set of tables. Built once; parameters are bound when they run."""

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
        .where(outbox.payload.like(text, escape="~") | outbox.payload.like(SEALED))
        .order_by(outbox.id)
        .limit(bindparam("portion"))
    )


def _remove_event(tables: Tables) -> Delete:
    """Remove one event from the outbox, whoever holds its shard. One at a time: no worker is ever locked out by two."""
    return delete(tables.outbox).where(tables.outbox.c.id == bindparam("event"))


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
