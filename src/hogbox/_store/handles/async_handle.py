"""The callers' transactions of asynchronous applications: the same as `handle`, awaited."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from hogbox._store.handles.handle import KINDS, HandleKind, explained, find_named, unsupported
from hogbox._store.handles.portable import (
    MYSQL,
    POSTGRESQL,
    POSTGRESQL_NUMBERED,
    SQLITE,
    DriverDialect,
    Portable,
    Rows,
)
from hogbox.errors import SyncHandle

Run = Callable[[Any, Portable, tuple[Any, ...]], Awaitable[int]]
"""Runs a statement; the number of rows that it inserted or changed."""

Read = Callable[[Any, Portable, tuple[Any, ...]], Awaitable[Rows]]
"""Runs a SELECT; its rows as tuples."""

Execute = Callable[[Any, str, tuple[Any, ...]], Awaitable[int]]
Fetch = Callable[[Any, str, tuple[Any, ...]], Awaitable[Rows]]


@dataclass(frozen=True, slots=True)
class AsyncHandleKind:
    """One kind of asynchronous handle: what people call it, how a statement runs on it, and how it is read."""

    name: str
    run: Run
    read: Read


def _over(name: str, kind: HandleKind) -> AsyncHandleKind:
    """SQLAlchemy's asynchronous form of a synchronous kind."""

    async def run(handle: Any, statement: Portable, values: tuple[Any, ...]) -> int:
        return await handle.run_sync(kind.run, statement, values)  # type: ignore[no-any-return]

    async def read(handle: Any, statement: Portable, values: tuple[Any, ...]) -> Rows:
        return await handle.run_sync(kind.read, statement, values)  # type: ignore[no-any-return]

    return AsyncHandleKind(name, run, read)


def _scoped(name: str, kind: AsyncHandleKind) -> AsyncHandleKind:
    """A registry of handles of a kind. It passes on most methods of the current one's, but not `run_sync`."""

    async def run(registry: Any, statement: Portable, values: tuple[Any, ...]) -> int:
        return await kind.run(registry(), statement, values)

    async def read(registry: Any, statement: Portable, values: tuple[Any, ...]) -> Rows:
        return await kind.read(registry(), statement, values)

    return AsyncHandleKind(name, run, read)


def _raw(name: str, dialect: DriverDialect, execute: Execute, fetch: Fetch) -> AsyncHandleKind:
    """A driver's own connection, which does not say what it speaks."""

    async def run(handle: Any, statement: Portable, values: tuple[Any, ...]) -> int:
        return await execute(handle, statement.text(dialect).sql, values)

    async def read(handle: Any, statement: Portable, values: tuple[Any, ...]) -> Rows:
        return await fetch(handle, statement.text(dialect).sql, values)

    return AsyncHandleKind(name, run, read)


def _by_cursor(
    name: str, dialect: DriverDialect, plain: Callable[[Any], AbstractAsyncContextManager[Any]]
) -> AsyncHandleKind:
    """A driver's own connection that works by cursors; by the driver's plain ones, whatever its owner prefers."""

    async def execute(handle: Any, sql: str, values: tuple[Any, ...]) -> int:
        async with plain(handle) as cursor:
            await cursor.execute(sql, values)
            return int(cursor.rowcount)

    async def fetch(handle: Any, sql: str, values: tuple[Any, ...]) -> Rows:
        async with plain(handle) as cursor:
            await cursor.execute(sql, values)
            return await cursor.fetchall()  # type: ignore[no-any-return]

    return _raw(name, dialect, execute, fetch)


async def _execute_psycopg(handle: Any, sql: str, values: tuple[Any, ...]) -> int:
    # Not `handle.execute`: that makes cursors of its owner's choice, which may write parameters in another way.
    psycopg = sys.modules["psycopg"]
    async with psycopg.AsyncCursor(handle) as cursor:
        # Never prepared on the server: behind a pooler the next statement may meet another one.
        await cursor.execute(sql, values, prepare=False)
        if cursor.rowcount < 0:
            # In a pipeline nothing has come back yet. Only what fetches waits for it, and then finds no rows.
            try:
                await cursor.fetchone()
            except psycopg.ProgrammingError:
                if cursor.rowcount < 0:
                    raise
        return int(cursor.rowcount)


async def _fetch_psycopg(handle: Any, sql: str, values: tuple[Any, ...]) -> Rows:
    rows = sys.modules["psycopg.rows"].tuple_row
    async with sys.modules["psycopg"].AsyncCursor(handle, row_factory=rows) as cursor:
        await cursor.execute(sql, values, prepare=False)
        return await cursor.fetchall()  # type: ignore[no-any-return]


async def _execute_asyncpg(handle: Any, sql: str, values: tuple[Any, ...]) -> int:
    # It answers as PostgreSQL does: INSERT 0 1.
    return int((await handle.execute(sql, *values)).rpartition(" ")[2])


async def _fetch_asyncpg(handle: Any, sql: str, values: tuple[Any, ...]) -> Rows:
    return [tuple(row) for row in await handle.fetch(sql, *values)]


async def _execute_aiosqlite(handle: Any, sql: str, values: tuple[Any, ...]) -> int:
    async with handle.execute(sql, values) as cursor:
        return int(cursor.rowcount)


async def _fetch_aiosqlite(handle: Any, sql: str, values: tuple[Any, ...]) -> Rows:
    async with handle.cursor() as cursor:
        cursor.row_factory = None
        await cursor.execute(sql, values)
        return await cursor.fetchall()  # type: ignore[no-any-return]


def _plain_asyncmy(handle: Any) -> AbstractAsyncContextManager[Any]:
    return handle.cursor(sys.modules["asyncmy.cursors"].Cursor)  # type: ignore[no-any-return]


@asynccontextmanager
async def _plain_aiomysql(handle: Any) -> AsyncIterator[Any]:
    async with handle.cursor(sys.modules["aiomysql.cursors"].Cursor) as cursor:
        # It would give a warning, which may be an error, of each row that INSERT IGNORE leaves out.
        cursor._show_warnings = _show_nothing
        yield cursor


async def _show_nothing(_connection: Any) -> None:
    pass


_SESSION: Final = _over("SQLAlchemy AsyncSession", KINDS["sqlalchemy.orm.session.Session"])
_CONNECTION: Final = _over("SQLAlchemy AsyncConnection", KINDS["sqlalchemy.engine.base.Connection"])
_ASYNCPG: Final = _raw("asyncpg connection", POSTGRESQL_NUMBERED, _execute_asyncpg, _fetch_asyncpg)

ASYNC_KINDS: Final = {
    "sqlalchemy.ext.asyncio.session.AsyncSession": _SESSION,
    "sqlalchemy.ext.asyncio.scoping.async_scoped_session": _scoped("SQLAlchemy async_scoped_session", _SESSION),
    "sqlalchemy.ext.asyncio.engine.AsyncConnection": _CONNECTION,
    "psycopg.AsyncConnection": _raw("psycopg AsyncConnection", POSTGRESQL, _execute_psycopg, _fetch_psycopg),
    "asyncpg.connection.Connection": _ASYNCPG,
    "asyncpg.pool.PoolConnectionProxy": _ASYNCPG,
    "aiosqlite.core.Connection": _raw("aiosqlite connection", SQLITE, _execute_aiosqlite, _fetch_aiosqlite),
    "asyncmy.connection.Connection": _by_cursor("asyncmy connection", MYSQL, _plain_asyncmy),
    "aiomysql.connection.Connection": _by_cursor("aiomysql connection", MYSQL, _plain_aiomysql),
}
"""Every kind of asynchronous handle, by the module and name of its class; subclasses count as their class."""


def find_async_kind(handle: object) -> AsyncHandleKind:
    """The kind of this handle. Raises SyncHandle or UnsupportedHandle, saying what is accepted."""
    if (kind := find_named(handle, ASYNC_KINDS)) is not None:
        return kind
    if (other := find_named(handle, KINDS)) is not None:
        raise SyncHandle(f"a {other.name} is synchronous and AsyncPostHog is not: use PostHog with it")
    raise unsupported(handle, dict.fromkeys(kind.name for kind in ASYNC_KINDS.values()))


class AsyncWriter:
    """Runs statements on callers' asynchronous handles."""

    def __init__(self) -> None:
        self.kinds: dict[type, AsyncHandleKind] = {}
        """The kinds met so far, by the class of the handle."""

    async def write(self, handle: object, statement: Portable, values: tuple[Any, ...]) -> int:
        """Run the statement in the handle's transaction; the number of rows that it inserted or changed.

        Raises what `Writer.write` raises.
        """
        with explained():
            return await self.require(handle).run(handle, statement, values)

    async def read(self, handle: object, statement: Portable, values: tuple[Any, ...]) -> Rows:
        """The rows that the handle's transaction sees; raises what `write` raises."""
        with explained():
            return await self.require(handle).read(handle, statement, values)

    def require(self, handle: object) -> AsyncHandleKind:
        """The handle's kind. Raises SyncHandle or UnsupportedHandle."""
        kind = self.kinds.get(type(handle))
        if kind is None:
            kind = self.kinds[type(handle)] = find_async_kind(handle)
        return kind
