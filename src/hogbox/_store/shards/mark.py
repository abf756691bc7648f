"""Marks in the database: up to which id events are closed, and from which id each shard is read."""

from __future__ import annotations

from collections.abc import Mapping
from random import randrange
from typing import Final

from sqlalchemy import Connection, Update

from hogbox._delivery.mark import Watch
from hogbox._events.identifier import SHARDS
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit, shows_writers
from hogbox._store.mark_statement import MarkStatements

_STEP: Final = 500
"""Ids: reading over the entries of fewer events costs less than writing a mark."""

_TOGETHER: Final = 8
"""Shards in one statement: its time-out, and those who wait for a row of its, allow for no more at once."""


class MarkStore:
    """Finds out, for one worker, which ids are closed, and moves the marks of its shards. Not for several threads.

    Its methods do nothing on a database that doesn't tell who writes, and where ids say nothing of commits.
    """

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._statements = MarkStatements(database.tables)
        self._worker = worker
        self._server: str | None = None
        self._last = 0
        self._written: int | None = None
        self._watch: Watch | None = None
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
        now = Watch(self._last, writers)
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
