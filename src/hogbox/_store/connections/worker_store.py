"""Worker store: how everything that one worker does with the database is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, UpdateBase

from hogbox._events.escape import escape
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit, forgettable, writers_turn

_LONGEST_REASON: Final = 2000


class WorkerStore:
    """Runs the statements of one worker, `worker`. Safe to use from several threads."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._worker = worker
        self._turn = writers_turn(database.engine)

    def _connect(self) -> Connection:
        return autocommit(self._database.engine).connect()

    def _run(self, statement: UpdateBase, values: Mapping[str, object]) -> int:
        """Run one statement, committed by itself; the number of rows that it changed."""
        with self._turn, self._connect() as connection, forgettable(connection):
            # Committed in words too: an application's engine may begin transactions whatever the isolation level says.
            with connection.begin():
                return connection.execute(statement, values).rowcount


def storable(text: str) -> str:
    """What a server or a library said, as every database takes it: of bounded length, without NUL, in ASCII."""
    return escape(text[:_LONGEST_REASON].replace("\0", "\N{REPLACEMENT CHARACTER}"))
