"""Marks in the database: up to which id events are closed, and from which id each shard is read."""

from __future__ import annotations

from collections.abc import Mapping
from random import randrange
from typing import Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
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
    text,
    update,
)

from hogbox._delivery.mark import WriterWatch
from hogbox._events.identifier import SHARDS
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit, shows_writers
from hogbox._store.schema.table import Tables
from hogbox._store.schema.waiting import (
    mark_of,
    oldest_event,
)

_SERVER: Final[ColumnElement[str]] = literal_column("CAST(pg_postmaster_start_time() AS text)", Text())

_STEP: Final = 500
"""Ids: reading over the entries of fewer events costs less than writing a mark."""

_TOGETHER: Final = 8
"""Shards in one statement: its time-out, and those who wait for a row of its, allow for no more at once."""


class MarkStatements:
    """What moves marks, and what has to be known before: for PostgreSQL."""

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
            mark_of(tables) <= closed,
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


class MarkStore:
    """Finds out, for one worker, which ids are closed, and moves the marks of its shards. Not for several threads.

    Its methods do nothing on a database that doesn't tell who writes, and where ids say nothing of commits.
    """

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._statements = database.tables.once(MarkStatements)
        self._worker = worker
        self._server: str | None = None
        self._last = 0
        self._written: int | None = None
        self._watch: WriterWatch | None = None
        self._next = randrange(SHARDS)  # noqa: S311 - workers that run briefly look at different shards

    @property
    def watching(self) -> bool:
        """Whether transactions are waited for."""
        return self._watch is not None

    def advance(self) -> bool:
        """Move the marks as far as is safe; returns whether they were moved.

        A watch is worth nothing on another server, or on the same one after a restart: ids that were handed out but not
        written are handed out again there.
        """
        if not shows_writers(self._database.engine):
            return False
        with self._connect() as connection:
            found = connection.execute(self._statements.read_sequence).first()
            connection.commit()
            if found is None or found.last is None:
                self._watch = None
                return False
            if found.server != self._server or found.last < self._last:
                self._begin(connection, found.server, found.last)
            self._last = found.last
            return self._advance(connection)

    def renew(self) -> None:
        """Move the marks at the next opportunity, however little there is to pass: shards were claimed."""
        self._written = None

    def verify(self, shards: int) -> None:
        """Forget the marks of the next so many shards below which an event waits all the same.

        Ids that somebody wrote by hand are found like this: no event may wait for ever. It reads what marks spare
        others.
        """
        if not shows_writers(self._database.engine):
            return
        wanted = [(self._next + number) % SHARDS for number in range(min(shards, SHARDS))]
        self._next = (self._next + shards) % SHARDS
        with self._connect() as connection:
            if self._run(connection, self._statements.drop_passed_marks, {"wanted": wanted}):
                self._written = None

    def _begin(self, connection: Connection, server: str, last: int) -> None:
        self._server, self._watch, self._written = server, None, None
        self._run(connection, self._statements.drop_marks_above, {"beyond": last + 1})

    def _advance(self, connection: Connection) -> bool:
        if self._watch is None and self._written is not None and self._last < self._written + _STEP:
            return False
        writers = self._read_writers(connection)
        if writers is None:
            self._watch = None
            return False
        # The id was read before the writers: in the other order one could take it in between.
        now = WriterWatch(self._last, writers)
        before = now if self._watch is None else self._watch.look(writers)
        closed = now if now.closed else before
        self._watch = None if now.closed else now if before.closed else before
        if closed.closed:
            self._move(connection, closed.last)
        return closed.closed

    def _read_writers(self, connection: Connection) -> frozenset[str] | None:
        """The transactions that may have written events; None where the database doesn't show its locks."""
        locks = connection.execute(self._statements.read_writers).all()
        connection.commit()
        if all(lock.writes for lock in locks):
            return None
        return frozenset(lock.holder for lock in locks if lock.writes)

    def _move(self, connection: Connection, closed: int) -> None:
        """In a statement after those that found it closed, which then sees all that was committed."""
        values = {"worker": self._worker, "server": self._server, "closed": closed}
        for first in range(0, SHARDS, _TOGETHER):
            wanted = [*range(first, first + _TOGETHER)]
            self._run(connection, self._statements.advance_marks, {**values, "wanted": wanted})
        self._written = closed

    def _connect(self) -> Connection:
        return autocommit(self._database.engine).connect()

    @staticmethod
    def _run(connection: Connection, statement: Update, values: Mapping[str, object]) -> int:
        changed = connection.execute(statement, values).rowcount
        # In words: an application's engine may begin transactions whatever the isolation level says, and the next
        # statement has to see what was committed meanwhile.
        connection.commit()
        return changed
