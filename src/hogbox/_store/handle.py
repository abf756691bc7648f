"""The callers' transactions: which handles hogbox can write in, and how one statement runs on each.

A new kind of handle is one entry in `KINDS`. Kinds are recognised by the names of their classes, so that nothing
optional is imported. hogbox never commits, rolls back or opens a savepoint on a handle that it was given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Insert
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect

from hogbox._store.dialect import explain
from hogbox.errors import AsyncHandle, UnsupportedHandle


@dataclass(frozen=True, slots=True)
class Text:
    """A statement in one dialect: SQL, and the names of its parameters where it takes them by name."""

    sql: str
    names: tuple[str, ...] | None


class Portable:
    """An INSERT that runs on any handle: compiled once for each dialect that it meets."""

    def __init__(self, statement: Insert, names: Sequence[str]) -> None:
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
        compiled = self._statement.compile(dialect=dialect)
        if not dialect.positional:
            return Text(str(compiled), self._names)
        order = getattr(compiled, "positiontup", None)
        if tuple(order or ()) != self._names:
            raise RuntimeError(f"{dialect.name} takes {order}, not {self._names}: reorder the statement's columns")
        return Text(str(compiled), None)


_MOST_DIALECTS: Final = 32
"""Each engine has a dialect of its own; an application that makes engines without end must not fill the memory."""

Run = Callable[[Any, Portable, tuple[Any, ...]], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of handle: what people call it, and how a statement runs on it."""

    name: str
    run: Run


def _raw(dialect: Dialect, execute: Callable[[Any, str, tuple[Any, ...]], Any]) -> Run:
    """For a driver's own connection, which does not say what it speaks."""

    def run(handle: Any, statement: Portable, values: tuple[Any, ...]) -> None:
        execute(handle, statement.text(dialect).sql, values)

    return run


def _on_connection(handle: Any, statement: Portable, values: tuple[Any, ...]) -> None:
    text = statement.text(handle.dialect)
    handle.exec_driver_sql(text.sql, values if text.names is None else dict(zip(text.names, values, strict=True)))


def _on_session(handle: Any, statement: Portable, values: tuple[Any, ...]) -> None:
    _on_connection(handle.connection(), statement, values)


def _with_execute(handle: Any, sql: str, values: tuple[Any, ...]) -> None:
    handle.execute(sql, values)


def _with_psycopg(handle: Any, sql: str, values: tuple[Any, ...]) -> None:
    # Not `handle.execute`: that makes cursors of its owner's choice, which may write parameters in another way.
    with sys.modules["psycopg"].Cursor(handle) as cursor:
        cursor.execute(sql, values)


def _with_cursor(handle: Any, sql: str, values: tuple[Any, ...]) -> None:
    with handle.cursor() as cursor:
        cursor.execute(sql, values)


_SQLITE: Final[Dialect] = sqlite.dialect(paramstyle="qmark")
_POSTGRESQL: Final[Dialect] = postgresql.dialect(paramstyle="format")  # type: ignore[no-untyped-call]
_MYSQL: Final[Dialect] = mysql.dialect(paramstyle="format")

KINDS: Final = {
    "sqlalchemy.orm.session.Session": Kind("SQLAlchemy Session", _on_session),
    "sqlalchemy.orm.scoping.scoped_session": Kind("SQLAlchemy scoped_session", _on_session),
    "sqlalchemy.engine.base.Connection": Kind("SQLAlchemy Connection", _on_connection),
    "sqlite3.Connection": Kind("sqlite3 connection", _raw(_SQLITE, _with_execute)),
    "psycopg.Connection": Kind("psycopg connection", _raw(_POSTGRESQL, _with_psycopg)),
    "pymysql.connections.Connection": Kind("PyMySQL connection", _raw(_MYSQL, _with_cursor)),
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
    """Runs INSERTs on callers' handles."""

    def __init__(self) -> None:
        self._kinds: dict[type, Kind] = {}

    def write(self, handle: object, statement: Portable, values: tuple[Any, ...]) -> None:
        """Run the statement in the handle's transaction.

        Raises UnsupportedHandle for other objects, TablesMissing or TablesOutdated where the tables are the reason
        that it failed, and the driver's own error otherwise.
        """
        kind = self._kinds.get(type(handle)) or self.require(handle)
        try:
            kind.run(handle, statement, values)
        except Exception as error:
            if (reason := explain(error)) is not None:
                raise reason from error
            raise

    def require(self, handle: object) -> Kind:
        """The handle's kind. Raises UnsupportedHandle."""
        kind = self._kinds.get(type(handle))
        if kind is None:
            kind = self._kinds[type(handle)] = find_kind(handle)
        return kind
