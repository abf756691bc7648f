"""The statements over the marks of the shards: the ids from which they are read.

Below a shard's mark no event waits, and none can be committed any more. A mark spares a read the entries of events that
were delivered: PostgreSQL keeps them in its indexes for as long as any transaction might still see them.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    String,
    Text,
    TextClause,
    TextualSelect,
    Update,
    bindparam,
    column,
    exists,
    func,
    literal_column,
    select,
    text,
    tuple_,
    update,
)

from hogbox._store.dialects.element import with_marks
from hogbox._store.schema.table import Tables

FIRST_ID: Final[ColumnElement[int]] = literal_column("-9223372036854775807", BigInteger())
"""Below every id. Written out: a parameter would have to be named in each statement that raw drivers run."""

_SERVER: Final[ColumnElement[str]] = literal_column("CAST(pg_postmaster_start_time() AS text)", Text())


def oldest_event(tables: Tables) -> ColumnElement[int]:
    """The id of the oldest event of a shard, in a statement over the shards; null where none waits."""
    outbox, shards = tables.outbox.c, tables.shards.c
    its_own = (outbox.shard == shards.shard, from_mark(tables, shards.shard, _mark_of(tables)))
    return select(outbox.id).where(*its_own).order_by(outbox.id).limit(1).correlate(tables.shards).scalar_subquery()


def from_mark(tables: Tables, shard: ColumnElement[int], mark: ColumnElement[int]) -> ColumnElement[bool]:
    """That an event of this shard is not below the mark.

    As pairs: only the index on both columns answers that. Beside a condition on the id alone PostgreSQL may walk the
    primary key, through the events of all other shards.
    """
    return with_marks(tuple_(tables.outbox.c.shard, tables.outbox.c.id) >= tuple_(shard, mark))


def shards_mark(tables: Tables, shard: ColumnElement[int]) -> ColumnElement[int]:
    """The mark of the shard with this number; below every id where it is not known."""
    return select(_mark_of(tables)).where(tables.shards.c.shard == shard).scalar_subquery()


def from_lowest_mark(tables: Tables) -> ColumnElement[bool]:
    """That an event is not below the lowest mark of all."""
    marks = tables.shards.alias("marks").c
    lowest = select(func.coalesce(func.min(func.coalesce(marks.read_from, FIRST_ID)), FIRST_ID))
    return with_marks(tables.outbox.c.id >= lowest.scalar_subquery())


def _mark_of(tables: Tables) -> ColumnElement[int]:
    return func.coalesce(tables.shards.c.read_from, FIRST_ID)


class MarkStatements:
    """Every statement over one set of tables, for PostgreSQL. Built once; parameters are bound when they run."""

    def __init__(self, tables: Tables) -> None:
        self.read_sequence = _read_sequence(tables)
        self.read_writers = _read_writers(tables)
        self.advance_marks = _advance_marks(tables)
        self.drop_marks_above = _drop_marks_above(tables)
        self.drop_passed_marks = _drop_passed_marks(tables)


def _read_sequence(tables: Tables) -> TextualSelect:
    """Which run of the server this is, and the last id that was handed out; no row where ids say nothing of commits.

    They do for a plain table of one primary server, whose ids come one by one from one sequence. They don't where
    sessions take several ids at once, where a partition's default is computed before the partition is locked, and
    where rows arrive with the ids of another server (a subscriber, a node of a cluster). The id is null where this
    user may not read the sequence.
    """
    outbox = tables.outbox.name
    return text(f"""
        SELECT CAST(pg_postmaster_start_time() AS text) AS server,
            CASE WHEN has_sequence_privilege(s.seqrelid, 'SELECT, USAGE')
                THEN coalesce(pg_sequence_last_value(s.seqrelid), s.seqstart - 1) END AS last
        FROM pg_class t
        JOIN pg_sequence s ON s.seqrelid = CAST(pg_get_serial_sequence('{outbox}', 'id') AS regclass)
        WHERE t.oid = CAST('{outbox}' AS regclass)
            AND t.relkind = 'r' AND NOT t.relhassubclass AND NOT t.relispartition
            AND s.seqcache = 1 AND s.seqincrement = 1 AND NOT s.seqcycle
            AND NOT pg_is_in_recovery()
            AND NOT EXISTS (SELECT 1 FROM pg_replication_origin)
            AND NOT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus')
        """).columns(column("server", Text), column("last", BigInteger))  # noqa: S608 - a name that needs no quotes


def _read_writers(tables: Tables) -> TextClause:
    """The transactions that may have written to the outbox, and this statement's own lock on it.

    An INSERT locks its table before it takes an id, and the lock ends with the transaction, after its rows can be seen.
    This statement reads nothing of the outbox, but locks it: where its own lock is not in the list, others' may be
    missing too.
    """
    outbox = tables.outbox.name
    return text(f"""
        SELECT l.virtualtransaction AS holder, l.mode = 'RowExclusiveLock' AS writes
        FROM pg_locks l
        WHERE l.locktype = 'relation'
            AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
            AND l.relation = CAST('{outbox}' AS regclass)
            AND (l.mode = 'RowExclusiveLock' OR l.mode = 'AccessShareLock' AND l.pid = pg_backend_pid())
            AND (SELECT count(*) FROM {outbox} WHERE false) = 0
        """)  # noqa: S608 - a name that needs no quotes


def _advance_marks(tables: Tables) -> Update:
    """Move marks of a worker's shards up to their oldest events, but not beyond the ids that are known to be closed.

    Not where the mark is the id of an event that waits: it would be written in vain.
    """
    shards, outbox = tables.shards.c, tables.outbox.c
    closed: ColumnElement[int] = bindparam("closed", type_=BigInteger())
    reached = exists().where(outbox.id == shards.read_from, outbox.shard == shards.shard)
    return (
        update(tables.shards)
        .where(
            shards.owner == bindparam("worker"),
            shards.shard.in_(bindparam("wanted", expanding=True)),
            _mark_of(tables) <= closed,
            bindparam("server", type_=String()) == _SERVER,
            ~reached,
        )
        .values(read_from=func.least(closed + 1, func.coalesce(oldest_event(tables), closed + 1)))
    )


def _drop_marks_above(tables: Tables) -> Update:
    """Forget the marks that no id has reached: the ids began again, after a TRUNCATE or a restored dump."""
    return update(tables.shards).where(tables.shards.c.read_from > bindparam("beyond")).values(read_from=None)


def _drop_passed_marks(tables: Tables) -> Update:
    """Forget the marks of some shards below which an event waits all the same: somebody wrote its id by hand."""
    shards, outbox = tables.shards.c, tables.outbox.c
    below = exists().where(outbox.shard == shards.shard, outbox.id < shards.read_from)
    wanted = shards.shard.in_(bindparam("wanted", expanding=True))
    return update(tables.shards).where(wanted, shards.read_from.is_not(None), below).values(read_from=None)
