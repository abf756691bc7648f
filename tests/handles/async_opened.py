"""Every kind of asynchronous handle, opened by its own library, in the hands of an owner who waits for each step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import aiomysql  # type: ignore[import-untyped]
import aiosqlite
import asyncmy
import asyncpg  # type: ignore[import-untyped]
import psycopg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session, async_sessionmaker
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelAsyncSession

from tests.fixtures.database import TestDatabase
from tests.handles.application import DRIVERS, Application
from tests.handles.opened import Opened, connect_sqlite3, mysql_options, postgresql_url

AsyncConnect = Callable[[TestDatabase], Awaitable[Any]]

AsyncOpener = Callable[[TestDatabase, Application], AbstractAsyncContextManager[Opened]]


class OwnAsyncSession(AsyncSession):
    """An application's subclass of AsyncSession."""


class OwnAsyncpgConnection(asyncpg.Connection):  # type: ignore[misc]
    """An application's subclass of asyncpg's connection."""


class OwnAiosqliteConnection(aiosqlite.Connection):
    """An application's subclass of aiosqlite's connection."""


class OwnAsyncPsycopgConnection(psycopg.AsyncConnection[Any]):
    """An application's subclass of psycopg's AsyncConnection."""


class OwnAiomysqlConnection(aiomysql.Connection):  # type: ignore[misc]
    """An application's subclass of aiomysql's connection."""


async def driver_in_transaction(driver: Any) -> bool:
    """Whether a transaction is open, by the driver's or the server's own account."""
    if isinstance(driver, aiosqlite.Connection):
        return driver.in_transaction
    if isinstance(driver, psycopg.AsyncConnection):
        return driver.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
    if hasattr(driver, "is_in_transaction"):
        return bool(driver.is_in_transaction())
    async with driver.cursor() as cursor:
        await cursor.execute("SELECT @@in_transaction")
        return bool((await cursor.fetchone())[0])


async def sqlalchemy_in_transaction(connection: AsyncConnection) -> bool:
    """Whether a transaction is open on the driver's connection below."""
    return await driver_in_transaction((await connection.get_raw_connection()).driver_connection)


@asynccontextmanager
async def _session(
    kind: type[AsyncSession], driver: str, database: TestDatabase, application: Application
) -> AsyncIterator[Opened]:
    async with kind(application.engine(database, driver)) as session:
        yield of_async_session(application, session)


@asynccontextmanager
async def _session_on_connection(
    driver: str, database: TestDatabase, application: Application
) -> AsyncIterator[Opened]:
    async with application.engine(database, driver).connect() as connection, AsyncSession(connection) as session:
        yield of_async_session(application, session)


@asynccontextmanager
async def _scoped_session(driver: str, database: TestDatabase, application: Application) -> AsyncIterator[Opened]:
    # Not by task, as is usual: here each step is a task of its own.
    registry = async_scoped_session(
        async_sessionmaker(application.engine(database, driver)), scopefunc=lambda: application
    )
    try:
        yield of_async_session(application, registry)
    finally:
        await registry.remove()


def of_async_session(application: Application, session: Any) -> Opened:
    async def in_transaction() -> bool:
        return await sqlalchemy_in_transaction(await session.connection())

    # SQLModel would have its owners use `exec`, and warns of `execute`.
    execute: Any = getattr(session, "exec", session.execute)
    return _opened(
        application,
        session,
        lambda sql: execute(sa.text(sql)),
        session.commit,
        session.rollback,
        in_transaction,
    )


@asynccontextmanager
async def _connection(driver: str, database: TestDatabase, application: Application) -> AsyncIterator[Opened]:
    async with application.engine(database, driver).connect() as connection:
        yield _opened(
            application,
            connection,
            lambda sql: connection.execute(sa.text(sql)),
            connection.commit,
            connection.rollback,
            partial(sqlalchemy_in_transaction, connection),
        )


@asynccontextmanager
async def open_async_driver(
    connect: AsyncConnect, database: TestDatabase, application: Application
) -> AsyncIterator[Opened]:
    """A driver's own connection, but for asyncpg's."""
    connection = await connect(database)

    async def execute(sql: str) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute(sql)

    try:
        yield _opened(
            application,
            connection,
            execute,
            connection.commit,
            connection.rollback,
            partial(driver_in_transaction, connection),
        )
    finally:
        await (connection.ensure_closed() if hasattr(connection, "ensure_closed") else connection.close())


@asynccontextmanager
async def _with_begin(connect: AsyncConnect, database: TestDatabase, application: Application) -> AsyncIterator[Opened]:
    async with open_async_driver(connect, database, application) as opened:

        async def begin() -> None:
            await opened.handle.execute("BEGIN")

        await begin()
        yield replace(opened, begin=application.running(begin))


async def connect_aiosqlite(database: TestDatabase, **options: Any) -> aiosqlite.Connection:
    """A connection of aiosqlite's own."""
    return await aiosqlite.connect(database.engine.url.database or "", **options)


async def _connect_own_aiosqlite(database: TestDatabase) -> aiosqlite.Connection:
    return await OwnAiosqliteConnection(lambda: connect_sqlite3(database), 64)


async def connect_async_psycopg(database: TestDatabase, **options: Any) -> psycopg.AsyncConnection[Any]:
    """An asynchronous connection of psycopg's own."""
    return await psycopg.AsyncConnection.connect(postgresql_url(database), **options)


async def _connect_own_async_psycopg(database: TestDatabase) -> psycopg.AsyncConnection[Any]:
    return await OwnAsyncPsycopgConnection.connect(postgresql_url(database))


async def connect_asyncpg(database: TestDatabase, **options: Any) -> Any:
    """A connection of asyncpg's own."""
    return await asyncpg.connect(postgresql_url(database), **options)


async def connect_asyncmy(database: TestDatabase, **options: Any) -> Any:
    """A connection of asyncmy's own."""
    return await asyncmy.connect(**mysql_options(database), **options)


async def connect_aiomysql(database: TestDatabase, **options: Any) -> Any:
    """A connection of aiomysql's own."""
    return await aiomysql.connect(**_aiomysql_options(database), **options)


async def _connect_own_aiomysql(database: TestDatabase) -> Any:
    connection = OwnAiomysqlConnection(**_aiomysql_options(database))
    await connection._connect()  # `aiomysql.connect` makes none but its own class
    return connection


def _aiomysql_options(database: TestDatabase) -> dict[str, Any]:
    options = mysql_options(database)
    return {"db": options.pop("database"), **options}


class ByHand:
    """The transactions of an asyncpg connection, which its owner begins by hand: one, or one inside of another."""

    def __init__(self, connection: Any, depth: int) -> None:
        self._connection = connection
        self._depth = depth
        self._open: list[Any] = []

    async def begin(self) -> None:
        for _ in range(self._depth):
            transaction = self._connection.transaction()
            await transaction.start()
            self._open.append(transaction)

    async def commit(self) -> None:
        while self._open:
            await self._open.pop().commit()

    async def rollback(self) -> None:
        while self._open:
            await self._open.pop().rollback()


@asynccontextmanager
async def open_asyncpg(
    connect: AsyncConnect, depth: int, database: TestDatabase, application: Application
) -> AsyncIterator[Opened]:
    """A connection of asyncpg's, in so many transactions, one inside of the other."""
    connection = await connect(database)
    try:
        yield await _of_asyncpg(application, connection, depth)
    finally:
        await connection.close()


@asynccontextmanager
async def _asyncpg_pool(database: TestDatabase, application: Application) -> AsyncIterator[Opened]:
    async with (await application.pool(database)).acquire() as connection:
        yield await _of_asyncpg(application, connection, 1)


async def _of_asyncpg(application: Application, connection: Any, depth: int) -> Opened:
    by_hand = ByHand(connection, depth)
    await by_hand.begin()
    return _opened(
        application,
        connection,
        connection.execute,
        by_hand.commit,
        by_hand.rollback,
        partial(driver_in_transaction, connection),
        by_hand.begin,
    )


def _opened(
    application: Application,
    handle: Any,
    execute: Callable[[str], Awaitable[Any]],
    commit: Callable[[], Awaitable[Any]],
    rollback: Callable[[], Awaitable[Any]],
    in_transaction: Callable[[], Awaitable[bool]],
    begin: Callable[[], Awaitable[Any]] | None = None,
) -> Opened:
    running = application.running
    opened = Opened(handle, running(execute), running(commit), running(rollback), running(in_transaction))
    return opened if begin is None else replace(opened, begin=running(begin))


_RAW: dict[str, tuple[str, AsyncOpener]] = {
    "aiosqlite": ("sqlite", partial(open_async_driver, connect_aiosqlite)),
    "subclass of aiosqlite": ("sqlite", partial(open_async_driver, _connect_own_aiosqlite)),
    "aiosqlite with BEGIN": ("sqlite", partial(_with_begin, partial(connect_aiosqlite, isolation_level=None))),
    "psycopg AsyncConnection": ("postgresql", partial(open_async_driver, connect_async_psycopg)),
    "subclass of psycopg AsyncConnection": ("postgresql", partial(open_async_driver, _connect_own_async_psycopg)),
    "asyncpg": ("postgresql", partial(open_asyncpg, connect_asyncpg, 1)),
    "subclass of asyncpg": (
        "postgresql",
        partial(open_asyncpg, partial(connect_asyncpg, connection_class=OwnAsyncpgConnection), 1),
    ),
    "asyncpg in a nested transaction": ("postgresql", partial(open_asyncpg, connect_asyncpg, 2)),
    "asyncpg of a pool": ("postgresql", _asyncpg_pool),
    "asyncmy": ("mariadb", partial(open_async_driver, connect_asyncmy)),
    "aiomysql": ("mariadb", partial(open_async_driver, connect_aiomysql)),
    "subclass of aiomysql": ("mariadb", partial(open_async_driver, _connect_own_aiomysql)),
}

_WITH_EVERY_DRIVER: dict[str, Callable[..., AbstractAsyncContextManager[Opened]]] = {
    "AsyncSession": partial(_session, AsyncSession),
    "async_scoped_session": _scoped_session,
    "AsyncConnection": _connection,
}

_WITH_A_DRIVER_OF_EACH_DATABASE: dict[str, Callable[..., AbstractAsyncContextManager[Opened]]] = {
    "subclass of AsyncSession": partial(_session, OwnAsyncSession),
    "SQLModel AsyncSession": partial(_session, SQLModelAsyncSession),
    "AsyncSession on an AsyncConnection": _session_on_connection,
}

_SQLALCHEMY: dict[str, tuple[str, AsyncOpener]] = {
    f"{kind} by {driver}": (DRIVERS[driver], partial(opener, driver))
    for openers, drivers in (
        (_WITH_EVERY_DRIVER, [*DRIVERS]),
        (_WITH_A_DRIVER_OF_EACH_DATABASE, ["aiosqlite", "asyncpg", "asyncmy"]),
    )
    for kind, opener in openers.items()
    for driver in drivers
}

ASYNC_OPENERS = {kind: opener for kind, (_, opener) in {**_SQLALCHEMY, **_RAW}.items()}

ASYNC_PAIRS = [(kind, backend) for kind, (backend, _) in {**_SQLALCHEMY, **_RAW}.items()]
"""Every kind of asynchronous handle with its database."""
