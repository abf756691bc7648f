"""Capacity: how many events the outbox holds, and their size, measured cheaply in the caller's transaction."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnClause, Select, bindparam, func, literal_column, select

from hogbox._store.dialects.element import octets, used_bytes
from hogbox._store.schema.table import Tables
from hogbox._store.schema.waiting import from_lowest_mark

COUNTED: Final = ("most",)
"""The parameters of `count_up_to`."""

_SAMPLE: Final = "50"
"""The newest events, whose average size stands for that of all."""

_NONE: Final[ColumnClause[int]] = literal_column("0")
"""Written out: for an offset that is not given the dialect of SQLite adds a parameter."""


class CapacityStatements:
    """An estimate of what the outbox holds, and a count."""

    def __init__(self, tables: Tables) -> None:
        self.measure = _measure(tables)
        self.count_up_to = _count_up_to(tables)


def _measure(tables: Tables) -> Select[int | None, int | None, int | None]:
    """What the outbox holds at most, by the ids of its ends; a payload's average size; the bytes that SQLite uses.

    Each is read along the primary key. Ids leave gaps, so that there may be fewer events.
    """
    outbox = tables.outbox.c
    waiting = from_lowest_mark(tables)
    oldest, newest = (select(end(outbox.id)).where(waiting).scalar_subquery() for end in (func.min, func.max))
    newest_first = select(outbox.payload).where(waiting).order_by(outbox.id.desc())
    sample = newest_first.limit(literal_column(_SAMPLE)).offset(_NONE).subquery()
    average = select(func.avg(octets(sample.c.payload))).scalar_subquery()
    return select((newest - oldest + literal_column("1")).label("span"), average.label("average"), used_bytes())


def _count_up_to(tables: Tables) -> Select[int]:
    """How many events wait, counted up to so many."""
    some = select(tables.outbox.c.id).where(from_lowest_mark(tables)).limit(bindparam("most")).offset(_NONE).subquery()
    return select(func.count()).select_from(some)
