"""Waiting: which events wait, for statements that begin at a shard's mark.

Below a shard's mark no event waits, and none can be committed any more. A mark spares a read the entries of events that
were delivered: PostgreSQL keeps them in its indexes for as long as any transaction might still see them.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    bindparam,
    func,
    literal_column,
    select,
    tuple_,
)

from hogbox._store.dialects.element import with_marks
from hogbox._store.schema.table import Tables

FIRST_ID: Final[ColumnElement[int]] = literal_column("-9223372036854775807", BigInteger())
"""Below every id. Written out: a parameter would have to be named in each statement that raw drivers run."""


def oldest_event(tables: Tables) -> ColumnElement[int]:
    """The id of the oldest event of a shard, in a statement over the shards; null where none waits."""
    outbox, shards = tables.outbox.c, tables.shards.c
    its_own = (outbox.shard == shards.shard, from_mark(tables, shards.shard, mark_of(tables)))
    return select(outbox.id).where(*its_own).order_by(outbox.id).limit(1).correlate(tables.shards).scalar_subquery()


def from_mark(tables: Tables, shard: ColumnElement[int], mark: ColumnElement[int]) -> ColumnElement[bool]:
    """That an event of this shard is not below the mark.

    As pairs: only the index on both columns answers that. Beside a condition on the id alone PostgreSQL may walk the
    primary key, through the events of all other shards.
    """
    return with_marks(tuple_(tables.outbox.c.shard, tables.outbox.c.id) >= tuple_(shard, mark))


def shards_mark(tables: Tables, shard: ColumnElement[int]) -> ColumnElement[int]:
    """The mark of the shard with this number; below every id where it is not known."""
    return select(mark_of(tables)).where(tables.shards.c.shard == shard).scalar_subquery()


def from_lowest_mark(tables: Tables) -> ColumnElement[bool]:
    """That an event is not below the lowest mark of all."""
    marks = tables.shards.alias("marks").c
    lowest = select(func.coalesce(func.min(func.coalesce(marks.read_from, FIRST_ID)), FIRST_ID))
    return with_marks(tables.outbox.c.id >= lowest.scalar_subquery())


def newest_id(tables: Tables) -> Select[int]:
    """The id of the newest event that waits."""
    outbox = tables.outbox.c
    # Not MAX: PostgreSQL may then look for it in the other index.
    return select(outbox.id).where(from_lowest_mark(tables)).order_by(outbox.id.desc()).limit(1)


def mark_of(tables: Tables) -> ColumnElement[int]:
    """A shard's mark, in a statement over the shards; below every id where there is none."""
    return func.coalesce(tables.shards.c.read_from, FIRST_ID)


def next_id(tables: Tables) -> Select[int | None]:
    """The id of the first event that waits after an id."""
    outbox = tables.outbox.c
    return select(func.min(outbox.id)).where(outbox.id > bindparam("after"))
