"""The callers' transactions: which handles hogbox can use, and how one statement runs, or is read, on each.

A new kind of handle is one entry in `KINDS`. Kinds are recognised by the names of their classes, so that nothing
optional is imported. hogbox never commits, rolls back or opens a savepoint on a handle that it was given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from hogbox._store.dialects import SUPPORTED
from hogbox._store.dialects.failure import explain
from hogbox._store.handles.portable import MYSQL, POSTGRESQL, SQLITE, DriverDialect, Portable, Rows
from hogbox.errors import AsyncHandle, UnsupportedHandle

Run = Callable[[Any, Portable, tuple[Any, ...]], int]
"""Runs a statement; the number of rows that it inserted or changed."""

Read = Callable[[Any, Portable, tuple[Any, ...]], Rows]
"""Runs a SELECT; its rows as tuples, whatever form the handle's owner has chosen for rows of his own."""

Execute = Callable[[Any, str, tuple[Any, ...]], int]
Fetch = Callable[[Any, str, tuple[Any, ...]], Rows]


@dataclass(frozen=True, slots=True)
class HandleKind:
    """One kind of handle: what people call it, how a statement runs on it, and how it is read."""

    name: str
    run: Run
    read: Read


def _raw(name: str, dialect: DriverDialect, execute: Execute, fetch: Fetch) -> HandleKind:
    """A driver's own connection, which does not say what it speaks."""

    def run(handle: Any, statement: Portable, values: tuple[Any, ...]) -> int:
        return execute(handle, statement.text(dialect).sql, values)

    def read(handle: Any, statement: Portable, values: tuple[Any, ...]) -> Rows:
        return fetch(handle, statement.text(dialect).sql, values)

    return HandleKind(name, run, read)


def _by_cursor(name: str, dialect: DriverDialect, plain: Callable[[Any], AbstractContextManager[Any]]) -> HandleKind:
    """A driver's own connection that works by cursors; by the driver's plain ones, whatever its owner prefers."""

    def execute(handle: Any, sql: str, values: tuple[Any, ...]) -> int:
        with plain(handle) as cursor:
            cursor.execute(sql, values)
            return int(cursor.rowcount)

    def fetch(handle: Any, sql: str, values: tuple[Any, ...]) -> Rows:
        with plain(handle) as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall()  # type: ignore[no-any-return]

    return _raw(name, dialect, execute, fetch)


_NOT_STREAMED: Final = {"stream_results": False, "yield_per": None}
"""Cursors on the server, which a connection may be set to, take no INSERT, or don't count its rows."""


def _on_connection(handle: Any, statement: Portable, values: tuple[Any, ...]) -> Any:
    text = statement.text(handle.dialect)
    parameters = values if text.names is None else dict(zip(text.names, values, strict=True))
    return handle.exec_driver_sql(text.sql, parameters, _NOT_STREAMED if handle.get_execution_options() else None)


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
    psycopg = sys.modules["psycopg"]
    with psycopg.Cursor(handle) as cursor:
        # Never prepared on the server: behind a pooler the next statement may meet another one.
        cursor.execute(sql, values, prepare=False)
        if cursor.rowcount < 0:
            # In a pipeline nothing has come back yet. Only what fetches waits for it, and then finds no rows.
            try:
                cursor.fetchone()
            except psycopg.ProgrammingError:
                if cursor.rowcount < 0:
                    raise
        return int(cursor.rowcount)


def _fetch_psycopg(handle: Any, sql: str, values: tuple[Any, ...]) -> Rows:
    with sys.modules["psycopg"].Cursor(handle, row_factory=sys.modules["psycopg.rows"].tuple_row) as cursor:
        return cursor.execute(sql, values, prepare=False).fetchall()  # type: ignore[no-any-return]


def _plain_psycopg2(handle: Any) -> AbstractContextManager[Any]:
    return handle.cursor(cursor_factory=sys.modules["psycopg2.extensions"].cursor)  # type: ignore[no-any-return]


def _plain_pymysql(handle: Any) -> AbstractContextManager[Any]:
    return handle.cursor(sys.modules["pymysql.cursors"].Cursor)  # type: ignore[no-any-return]


def _plain_mysqlclient(handle: Any) -> AbstractContextManager[Any]:
    return handle.cursor(sys.modules["MySQLdb.cursors"].Cursor)  # type: ignore[no-any-return]


def _run_on_django(handle: Any, statement: Portable, values: tuple[Any, ...]) -> int:
    with handle.cursor() as cursor:
        cursor.execute(statement.text(_django_dialect(handle)).sql, values)
        return int(cursor.rowcount)


def _read_on_django(handle: Any, statement: Portable, values: tuple[Any, ...]) -> Rows:
    with handle.cursor() as cursor:
        cursor.execute(statement.text(_django_dialect(handle)).sql, values)
        return cursor.fetchall()  # type: ignore[no-any-return]


def _django_dialect(handle: Any) -> DriverDialect:
    """Django's cursors take `%s` whatever the database."""
    dialect = _DJANGO.get(handle.vendor)
    if dialect is None:
        raise UnsupportedHandle(f"hogbox keeps no tables in Django's {handle.vendor!r}: use {SUPPORTED}")
    return dialect


_DJANGO: Final = {"sqlite": DriverDialect("sqlite", "format"), "postgresql": POSTGRESQL, "mysql": MYSQL}
"""By the vendor of Django's connection."""

KINDS: Final = {
    "sqlalchemy.orm.session.Session": HandleKind("SQLAlchemy Session", _run_on_session, _read_on_session),
    "sqlalchemy.orm.scoping.scoped_session": HandleKind("SQLAlchemy scoped_session", _run_on_session, _read_on_session),
    "sqlalchemy.engine.base.Connection": HandleKind("SQLAlchemy Connection", _run_on_connection, _read_on_connection),
    "sqlite3.Connection": _raw("sqlite3 connection", SQLITE, _execute_sqlite, _fetch_sqlite),
    "psycopg.Connection": _raw("psycopg connection", POSTGRESQL, _execute_psycopg, _fetch_psycopg),
    "psycopg2.extensions.connection": _by_cursor("psycopg2 connection", POSTGRESQL, _plain_psycopg2),
    "pymysql.connections.Connection": _by_cursor("PyMySQL connection", MYSQL, _plain_pymysql),
    "MySQLdb.connections.Connection": _by_cursor("mysqlclient connection", MYSQL, _plain_mysqlclient),
    "django.utils.connection.ConnectionProxy": HandleKind("Django's connection", _run_on_django, _read_on_django),
    "django.db.backends.base.base.BaseDatabaseWrapper": HandleKind(
        "Django's connections[alias]", _run_on_django, _read_on_django
    ),
}
"""Every kind of handle, by the module and name of its class; subclasses count as their class."""

ASYNC: Final = frozenset(
    {
        "sqlalchemy.ext.asyncio.session.AsyncSession",
        "sqlalchemy.ext.asyncio.scoping.async_scoped_session",
        "sqlalchemy.ext.asyncio.engine.AsyncConnection",
        "psycopg.AsyncConnection",
        "asyncpg.connection.Connection",
        "asyncpg.pool.PoolConnectionProxy",
        "aiosqlite.core.Connection",
        "asyncmy.connection.Connection",
        "aiomysql.connection.Connection",
    }
)
"""The classes of asynchronous handles, which are for the asynchronous client."""

Found = TypeVar("Found")


def find_named(handle: object, kinds: Mapping[str, Found]) -> Found | None:
    """What stands under the name of the handle's class, or of the nearest class that it inherits from."""
    return next((kinds[name] for name in _names(handle) if name in kinds), None)


def find_kind(handle: object) -> HandleKind:
    """The kind of this handle. Raises AsyncHandle or UnsupportedHandle, saying what is accepted."""
    if (kind := find_named(handle, KINDS)) is not None:
        return kind
    if any(name in ASYNC for name in _names(handle)):
        raise AsyncHandle(
            f"{_name(handle)} is asynchronous and PostHog is not: use AsyncPostHog, and await its methods"
        )
    raise unsupported(handle, (kind.name for kind in KINDS.values()))


def unsupported(handle: object, accepted: Iterable[str]) -> UnsupportedHandle:
    """The error for what is no handle, with what was received and what is accepted."""
    return UnsupportedHandle(
        f"hogbox can't write in a {_name(handle)}: pass one of {', '.join(accepted)}; "
        "or None, and hogbox commits by itself"
    )


def _name(handle: object) -> str:
    return f"{type(handle).__module__}.{type(handle).__qualname__}"


def _names(handle: object) -> Iterator[str]:
    return (f"{kind.__module__}.{kind.__qualname__}" for kind in type(handle).__mro__)


@contextmanager
def explained() -> Iterator[None]:
    """Raise TablesMissing or TablesOutdated in place of a driver's error where the tables are its reason."""
    try:
        yield
    except Exception as error:
        if (reason := explain(error)) is not None:
            raise reason from error
        raise


class Writer:
    """Runs statements on callers' handles."""

    def __init__(self) -> None:
        self.kinds: dict[type, HandleKind] = {}
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
            # Not `explained`, which costs as much as the rest of a capture's way through Python.
            if (reason := explain(error)) is not None:
                raise reason from error
            raise

    def read(self, handle: object, statement: Portable, values: tuple[Any, ...]) -> Rows:
        """The rows that the handle's transaction sees; raises what `write` raises.

        On PostgreSQL a statement that fails ends the transaction. Here only tables that are missing make it fail, and
        then nothing else of hogbox's would work in it either.
        """
        with explained():
            return self.require(handle).read(handle, statement, values)

    def require(self, handle: object) -> HandleKind:
        """The handle's kind. Raises UnsupportedHandle."""
        kind = self.kinds.get(type(handle))
        if kind is None:
            kind = self.kinds[type(handle)] = find_kind(handle)
        return kind
