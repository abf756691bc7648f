"""The statements that find and remove what waits of one person."""

from __future__ import annotations

from sqlalchemy import Delete, Select, bindparam, delete, select

from hogbox._store.table import Tables
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
