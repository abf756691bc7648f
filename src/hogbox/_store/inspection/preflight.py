"""Preflight: tries out a database before anything depends on it. Everything is rolled back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, String, Table, UpdateBase, and_, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from hogbox._store.connections.database import Database, read_version
from hogbox._store.connections.engine import require_file, sqlite_modes, transactional
from hogbox._store.connections.surroundings import Surroundings, read_surroundings
from hogbox._store.definition import DefinitionStatements
from hogbox._store.dialects.backend import SqliteModes
from hogbox._store.dialects.element import epoch_ms
from hogbox._store.dialects.failure import hindrance, sentence
from hogbox._store.dialects.sqlite_lock import lock_wait
from hogbox._store.schema.table import Tables

_NOBODY: Final = "hogbox-doctor"
_NOTHING: Final = -1

_LOCK_WAIT: Final = 2.0
"""Seconds to wait for a lock of a SQLite file: a transaction of a busy application is over by then."""

_SERVER_PATIENCE: Final = 10.0
"""Seconds after which a connection to a server is cut, where a lock or the network keeps it waiting."""


def try_tables(tables: Tables) -> Iterator[tuple[Table, tuple[UpdateBase, ...]]]:
    """Each table with what applications and workers do to its rows. None touches a row that is there."""
    for table in tables.metadata.sorted_tables:
        if table is tables.shards:
            yield table, (_change(table),)
        elif table in (tables.outbox, tables.dead_letters):
            yield table, (_enter(table), _remove(table))
        elif table is not tables.schema:
            yield table, (_enter(table), _change(table), _remove(table))


def _enter(table: Table) -> UpdateBase:
    """Insert a row of nobody."""
    return insert(table).inline().values(_row(table))


def _change(table: Table) -> UpdateBase:
    """Change the row of nobody."""
    return update(table).where(_nobodys(table)).values(_row(table))


def _remove(table: Table) -> UpdateBase:
    """Delete the row of nobody."""
    return delete(table).where(_nobodys(table))


def _nobodys(table: Table) -> ColumnElement[bool]:
    return and_(*(column == _value(column.type) for column in table.primary_key.columns))


def _row(table: Table) -> dict[str, Any]:
    return {column.name: _value(column.type) for column in table.columns}


def _value(kind: Any) -> str | int:
    return _NOBODY if isinstance(kind, String) else _NOTHING


class RefusedTable(NamedTuple):
    """What the database said when a table's rows were to be written."""

    table: str
    error: str
    locked: bool
    """Whether it could not be tried, since another transaction held a lock."""


class Preflight:
    """Asks one database; each question opens and ends a transaction of its own.

    None waits long for a lock: who asks wants to know that it is held.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.guard.patience = _SERVER_PATIENCE

    @contextmanager
    def _connect(self, *, to_write: bool = False) -> Iterator[Connection]:
        engine = self._database.engine
        with (transactional(engine) if to_write else engine).connect() as connection, lock_wait(connection, _LOCK_WAIT):
            yield connection

    def version(self) -> int | None:
        """The version of hogbox's tables, or None where there are none.

        Raises what the database raises, and TablesMissing for a SQLite file that is not there.
        """
        require_file(self._database.engine)
        with self._connect() as connection:
            return read_version(connection, self._database.tables)

    def projects(self) -> list[str]:
        """The tokens of the projects whose definitions are stored, in order."""
        with self._connect() as connection:
            return [*connection.scalars(self._database.tables.once(DefinitionStatements).list_projects)]

    def clock_difference(self) -> float:
        """By how many seconds the database's clock is ahead of this machine's; below zero where it is behind."""
        with self._connect() as connection:
            began = time.time()
            theirs = connection.scalar(select(epoch_ms())) or 0
            return theirs / 1000 - (began + time.time()) / 2

    def refused(self) -> list[RefusedTable]:
        """The tables that this process may not write to as it has to; empty where all is allowed.

        Ends at one that is locked: the next one would take as long.
        """
        found = []
        for table, statements in try_tables(self._database.tables):
            with self._connect(to_write=True) as connection:
                try:
                    for statement in statements:
                        connection.execute(statement)
                except SQLAlchemyError as error:
                    locked = hindrance(error) is not None or connection.invalidated
                    found.append(RefusedTable(table.name, said(error), locked))
                    if locked:
                        break
                finally:
                    connection.rollback()
        return found

    def surroundings(self) -> Surroundings:
        """What the server does beside hogbox that matters to it."""
        with self._connect() as connection:
            return read_surroundings(connection, self._database.tables)

    def sqlite_modes(self) -> SqliteModes | None:
        """How the file is opened, apart from this object's connections; None on other databases."""
        engine = self._database.engine
        with engine.connect() as connection, lock_wait(connection, _LOCK_WAIT) as usual:
            modes = sqlite_modes(connection)
        return modes._replace(busy_timeout=usual) if modes is not None and usual is not None else modes


def said(error: BaseException) -> str:
    """What went wrong, on one line; the driver's words without what SQLAlchemy adds."""
    return " ".join(sentence(error).split())
