"""The callers' transactions: which handles hogbox can use, and how one statement runs, or is read, on each.

A new kind of handle is one entry in `KINDS`. Kinds are recognised by the names of their classes, so that nothing
optional is imported. hogbox never commits, rolls back or opens a savepoint on a handle that it was given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, UpdateBase
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect

from hogbox._store.dialect import ByDialect, explain
from hogbox.errors import AsyncHandle, UnsupportedHandle


@dataclass(frozen=True, slots=True)
class Text:
    """A statement in one dialect: SQL, and the names of its parameters where it takes them by name."""

    sql: str
    names: tuple[str, ...] | None


class Portable:
    """A statement that runs on any handle: compiled once for each dialect that it meets."""

    def __init__(self, statement: UpdateBase | Select[*tuple[Any, ...]] | ByDialect, names: Sequence[str]) -> None:
        self._statement = statement
        self._names = tuple(names)
        self._texts: dict[Dialect, Text] = {}

    def text(self, dialect: Dialect) -> Text:
        """This statement for the dialect; positional parameters are in the order of the names given."""
        text = self._texts.get(dialect)
        if text is None:
            if len(self._texts) >= _MOST_DIALECTS:
                self._texts.clear()
            text = self._texts[dialect] = self._compile(dialect)
        return text

    def _compile(self, dialect: Dialect) -> Text:
        written = self._statement[dialect.name] if isinstance(self._statement, Mapping) else self._statement
        compiled = written.compile(dialect=dialect)
        if not dialect.positional:
            return Text(str(compiled), self._names)
        order = getattr(compiled, "positiontup", None)
        if tuple(order or ()) != self._names:
            raise RuntimeError(f"{dialect.name} takes {order}, not {self._names}: reorder the statement's columns")
        return Text(str(compiled), None)


_MOST_DIALECTS: Final = 32
"""Each engine has a dialect of its own; an application that makes engines without end must not fill the memory."""

Rows = Sequence[Sequence[Any]]

Run = Callable[[Any, Portable, tuple[Any, ...]], int]
"""Runs a statement; the number of rows that it inserted or changed."""

Read = Callable[[Any, Portable, tuple[Any, ...]], Rows]
"""Runs a SELECT; its rows as tuples, whatever form the handle's owner has chosen for rows of his own."""

Execute = Callable[[Any, str, tuple[Any, ...]], int]
Fetch = Callable[[Any, str, tuple[Any, ...]], Rows]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of handle: what people call it, how a statement runs on it, and how it is read."""

    name: str
    run: Run
    read: Read


def _raw(name: str, dialect: Dialect, execute: Execute, fetch: Fetch) -> Kind:
    """A driver's own connection, which does not say what it speaks."""

    def run(handle: Any, statement: Portable, values: tuple[Any, ...]) -> int:
        return execute(handle, statement.text(dialect).sql, values)

    def read(handle: Any, statement: Portable, values: tuple[Any, ...]) -> Rows:
        return fetch(handle, statement.text(dialect).sql, values)

    return Kind(name, run, read)


def _on_connection(handle: Any, statement: Portable, values: tuple[Any, ...]) -> Any:
    text = statement.text(handle.dialect)
    return handle.exec_driver_sql(
        text.sql, values if text.names is None else dict(zip(text.names, values, strict=True))
    )


def _run_on_connection(handle: Any, statement: Portable, values: tuple[Any, ...]) -> int:
    return int(_on_connection(handle, statement, values).rowcount)


def _run_on_session(handle: Any, statement: Portable, values: tuple[Any, ...]) -> int:
    return _run_on_connection(handle.connection(), statement, values)


def _read_on_connection(handle: Any, statement: Portable, values: tuple[Any, ...]) -> Rows:
    return [tuple(row) for row in _on_connection(handle, statement, values)]


def _read_on_session(handle: Any, statement: Portable, values: tuple[Any, ...]) -> Rows:
    return _read_on_connection(handle.connection(), statement, values)


def _execute_sqlite(handle: Any, sql: str, values: tuple[Any, ...]) -> int:
    return int(handle.execute(sql, values).rowcount)


def _fetch_sqlite(handle: Any, sql: str, values: tuple[Any, ...]) -> Rows:
    cursor = handle.cursor()
    cursor.row_factory = None
    try:
        return cursor.execute(sql, values).fetchall()  # type: ignore[no-any-return]
    finally:
        cursor.close()


def _execute_psycopg(handle: Any, sql: str, values: tuple[Any, ...]) -> int:
    # Not `handle.execute`: that makes cursors of its owner's choice, which may write parameters in another way.
    with sys.modules["psycopg"].Cursor(handle) as cursor:
        cursor.execute(sql, values)
        return int(cursor.rowcount)


def _fetch_psycopg(handle: Any, sql: str, values: tuple[Any, ...]) -> Rows:
    with sys.modules["psycopg"].Cursor(handle, row_factory=sys.modules["psycopg.rows"].tuple_row) as cursor:
        return cursor.execute(sql, values).fetchall()  # type: ignore[no-any-return]


def _execute_pymysql(handle: Any, sql: str, values: tuple[Any, ...]) -> int:
    with handle.cursor() as cursor:
        cursor.execute(sql, values)
        return int(cursor.rowcount)


def _fetch_pymysql(handle: Any, sql: str, values: tuple[Any, ...]) -> Rows:
    with handle.cursor(sys.modules["pymysql.cursors"].Cursor) as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()  # type: ignore[no-any-return]


_SQLITE: Final[Dialect] = sqlite.dialect(paramstyle="qmark")
_POSTGRESQL: Final[Dialect] = postgresql.dialect(paramstyle="format")  # type: ignore[no-untyped-call]
_MYSQL: Final[Dialect] = mysql.dialect(paramstyle="format")

KINDS: Final = {
    "sqlalchemy.orm.session.Session": Kind("SQLAlchemy Session", _run_on_session, _read_on_session),
    "sqlalchemy.orm.scoping.scoped_session": Kind("SQLAlchemy scoped_session", _run_on_session, _read_on_session),
    "sqlalchemy.engine.base.Connection": Kind("SQLAlchemy Connection", _run_on_connection, _read_on_connection),
    "sqlite3.Connection": _raw("sqlite3 connection", _SQLITE, _execute_sqlite, _fetch_sqlite),
    "psycopg.Connection": _raw("psycopg connection", _POSTGRESQL, _execute_psycopg, _fetch_psycopg),
    "pymysql.connections.Connection": _raw("PyMySQL connection", _MYSQL, _execute_pymysql, _fetch_pymysql),
}
"""Every kind of handle, by the module and name of its class; subclasses count as their class."""

ASYNC: Final = {
    "sqlalchemy.ext.asyncio.session.AsyncSession": "await session.run_sync(lambda s: posthog.capture(s, ...))",
    "sqlalchemy.ext.asyncio.scoping.async_scoped_session": "await session.run_sync(lambda s: posthog.capture(s, ...))",
    "sqlalchemy.ext.asyncio.engine.AsyncConnection": "await connection.run_sync(lambda c: posthog.capture(c, ...))",
    "psycopg.AsyncConnection": "a psycopg.Connection",
    "asyncpg.connection.Connection": "a psycopg.Connection",
    "asyncpg.pool.PoolConnectionProxy": "a psycopg.Connection",
    "aiosqlite.core.Connection": "a sqlite3.Connection",
}
"""Asynchronous handles, which the synchronous client refuses, and what to use in their place."""


def find_kind(handle: object) -> Kind:
    """The kind of this handle. Raises AsyncHandle or UnsupportedHandle, saying what is accepted."""
    for base in type(handle).__mro__:
        name = f"{base.__module__}.{base.__qualname__}"
        if kind := KINDS.get(name):
            return kind
        if instead := ASYNC.get(name):
            raise AsyncHandle(f"{base.__qualname__} is asynchronous and PostHog is not: use {instead}")
    kinds = ", ".join(kind.name for kind in KINDS.values())
    raise UnsupportedHandle(
        f"hogbox can't write in a {type(handle).__module__}.{type(handle).__qualname__}: pass one of {kinds}; "
        "or None, and hogbox commits by itself"
    )


class Writer:
    """Runs statements on callers' handles."""

    def __init__(self) -> None:
        self.kinds: dict[type, Kind] = {}
        """The kinds met so far, by the class of the handle."""

    def write(self, handle: object, statement: Portable, values: tuple[Any, ...]) -> int:
        """Run the statement in the handle's transaction; the number of rows that it inserted or changed.

        Raises UnsupportedHandle for other objects, TablesMissing or TablesOutdated where the tables are the reason
        that it failed, and the driver's own error otherwise.
        """
        kind = self.kinds.get(type(handle)) or self.require(handle)
        try:
            return kind.run(handle, statement, values)
        except Exception as error:
            if (reason := explain(error)) is not None:
                raise reason from error
            raise

    def read(self, handle: object, statement: Portable, values: tuple[Any, ...]) -> Rows:
        """The rows that the handle's transaction sees; raises what `write` raises.

        On PostgreSQL a statement that fails ends the transaction. Here only tables that are missing make it fail, and
        then nothing else of hogbox's would work in it either.
        """
        kind = self.require(handle)
        try:
            return kind.read(handle, statement, values)
        except Exception as error:
            if (reason := explain(error)) is not None:
                raise reason from error
            raise

    def require(self, handle: object) -> Kind:
        """The handle's kind. Raises UnsupportedHandle."""
        kind = self.kinds.get(type(handle))
        if kind is None:
            kind = self.kinds[type(handle)] = find_kind(handle)
        return kind
