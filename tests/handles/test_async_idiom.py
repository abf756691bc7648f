"""P1 in the idioms of asynchronous libraries: blocks that raise, pools, tasks side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import asyncmy
import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_scoped_session, async_sessionmaker

from hogbox import AsyncPostHog
from hogbox.errors import TablesMissing
from tests.fixtures.database import SharedDatabases, TestDatabase
from tests.fixtures.stored import store
from tests.handles.application import DRIVERS, TOKEN, Application
from tests.handles.async_opened import connect_async_psycopg, connect_asyncpg
from tests.handles.opened import mysql_options
from tests.handles.story import FLAG, Mishap, names

Handle = TypeVar("Handle")


@asynccontextmanager
async def failing(block: AbstractAsyncContextManager[Handle]) -> AsyncIterator[Handle]:
    """The block, which ends with an error."""
    try:
        async with block as handle:
            yield handle
            raise Mishap
    except Mishap:
        return


@pytest.fixture(params=DRIVERS)
def engine(request: pytest.FixtureRequest, clean: SharedDatabases, application: Application) -> AsyncEngine:
    """An engine of each asynchronous driver."""
    return application.engine(clean(DRIVERS[request.param]), request.param)


@pytest.fixture
def database(engine: AsyncEngine, clean: SharedDatabases) -> TestDatabase:
    """The database of the engine."""
    return clean(DRIVERS[engine.dialect.driver.removesuffix("_async")])


@pytest.fixture
def run(application: Application) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Carries a coroutine out."""
    return application.run


@pytest.fixture
def posthog() -> AsyncPostHog:
    """A client that has no database of its own."""
    return AsyncPostHog(project_token=TOKEN)


Run = Callable[[Coroutine[Any, Any, None]], None]


def test_p1_session_begin_keeps_what_ends_well_and_nothing_else(
    engine: AsyncEngine, database: TestDatabase, posthog: AsyncPostHog, run: Run
) -> None:
    async def serve() -> None:
        async with AsyncSession(engine) as session:
            async with failing(session.begin()):
                await posthog.capture(session, "raised", distinct_id="u1")
            async with session.begin():
                await posthog.capture(session, "paid", distinct_id="u1")

    run(serve())
    assert names(database) == ["paid"]


def test_p1_session_factory_begin(engine: AsyncEngine, database: TestDatabase, posthog: AsyncPostHog, run: Run) -> None:
    async def serve() -> None:
        async with async_sessionmaker(engine).begin() as session:
            await posthog.capture(session, "paid", distinct_id="u1")
        async with failing(async_sessionmaker(engine).begin()) as session:
            await posthog.capture(session, "raised", distinct_id="u1")

    run(serve())
    assert names(database) == ["paid"]


def test_p1_engine_begin_keeps_what_ends_well_and_nothing_else(
    engine: AsyncEngine, database: TestDatabase, posthog: AsyncPostHog, run: Run
) -> None:
    async def serve() -> None:
        async with failing(engine.begin()) as connection:
            await posthog.capture(connection, "raised", distinct_id="u1")
        async with engine.begin() as connection:
            await posthog.capture(connection, "paid", distinct_id="u1")

    run(serve())
    assert names(database) == ["paid"]


def test_p1_nested_blocks_that_raise_take_only_their_own_events(
    engine: AsyncEngine, database: TestDatabase, posthog: AsyncPostHog, run: Run
) -> None:
    async def serve() -> None:
        async with AsyncSession(engine) as session, session.begin():
            await posthog.capture(session, "outside", distinct_id="u1")
            async with failing(session.begin_nested()):
                await posthog.capture(session, "inside", distinct_id="u1")
            async with session.begin_nested():
                await posthog.capture(session, "inside again", distinct_id="u1")
        async with engine.begin() as connection:
            await posthog.capture(connection, "a connection's", distinct_id="u1")
            async with failing(connection.begin_nested()):
                await posthog.capture(connection, "a connection's inside", distinct_id="u1")

    run(serve())
    assert names(database) == ["outside", "inside again", "a connection's"]


def test_p1_a_session_for_each_task(
    engine: AsyncEngine, database: TestDatabase, posthog: AsyncPostHog, run: Run
) -> None:
    registry = async_scoped_session(async_sessionmaker(engine), scopefunc=asyncio.current_task)
    captured = asyncio.Event()

    async def commit() -> None:
        await posthog.capture(registry, "committed", distinct_id="u1")
        captured.set()
        await registry.commit()
        await registry.remove()

    async def roll_back() -> None:
        if engine.dialect.name == "sqlite":
            await captured.wait()  # it has one writer at a time
        await posthog.capture(registry, "rolled back", distinct_id="u2")
        await captured.wait()
        await registry.rollback()
        await registry.remove()

    async def serve() -> None:
        await asyncio.gather(commit(), roll_back())

    run(serve())
    assert names(database) == ["committed"]


def test_p1_psycopg_transaction_blocks(clean: SharedDatabases, posthog: AsyncPostHog, run: Run) -> None:
    database = clean("postgresql")

    async def serve() -> None:
        async with await connect_async_psycopg(database) as connection:
            async with connection.transaction():
                await posthog.capture(connection, "outside", distinct_id="u1")
                async with failing(connection.transaction()):
                    await posthog.capture(connection, "inside", distinct_id="u1")
            async with failing(connection.transaction()):
                await posthog.capture(connection, "another", distinct_id="u1")

    run(serve())
    assert names(database) == ["outside"]


def test_an_exposure_in_a_psycopg_pipeline_is_noted_with_its_event(clean: SharedDatabases, run: Run) -> None:
    database = clean("postgresql")
    store(database, TOKEN, FLAG)
    posthog = AsyncPostHog(project_token=TOKEN, track_exposures=True)

    async def serve() -> None:
        async with await connect_async_psycopg(database) as connection:
            async with connection.pipeline():
                await posthog.capture(connection, "paid", distinct_id="u1")
                assert await posthog.get_feature_flag(connection, "colour", distinct_id="u1") == "red"
            await connection.commit()
            async with failing(connection.pipeline()):
                with pytest.raises(TablesMissing):
                    await AsyncPostHog(project_token=TOKEN, table_prefix="absent_").capture(
                        connection, "paid", distinct_id="u1"
                    )

    run(serve())
    assert names(database) == ["paid", "$feature_flag_called"]


def test_p1_asyncpg_transaction_blocks(clean: SharedDatabases, posthog: AsyncPostHog, run: Run) -> None:
    database = clean("postgresql")

    async def serve() -> None:
        connection = await connect_asyncpg(database)
        async with connection.transaction():
            await posthog.capture(connection, "outside", distinct_id="u1")
            async with failing(connection.transaction()):
                await posthog.capture(connection, "inside", distinct_id="u1")
            async with connection.transaction():
                await posthog.capture(connection, "inside again", distinct_id="u1")
        async with failing(connection.transaction(isolation="serializable")):
            await posthog.capture(connection, "another", distinct_id="u1")
        await connection.close()

    run(serve())
    assert names(database) == ["outside", "inside again"]


def test_p1_connections_of_asyncpgs_pool(
    clean: SharedDatabases, application: Application, posthog: AsyncPostHog, run: Run
) -> None:
    database = clean("postgresql")

    async def serve() -> None:
        pool = await application.pool(database)
        async with pool.acquire() as connection, failing(connection.transaction()):
            await posthog.capture(connection, "raised", distinct_id="u1")
        async with pool.acquire() as connection, connection.transaction():
            await posthog.capture(connection, "paid", distinct_id="u1")
        with pytest.raises(asyncpg.InterfaceError, match="released back to the pool"):
            await posthog.capture(connection, "too late", distinct_id="u1")

    run(serve())
    assert names(database) == ["paid"]


def test_p1_connections_of_asyncmys_pool(clean: SharedDatabases, posthog: AsyncPostHog, run: Run) -> None:
    database = clean("mariadb")

    async def serve() -> None:
        async with asyncmy.create_pool(minsize=1, maxsize=1, **mysql_options(database)) as pool:
            async with pool.acquire() as connection:
                await posthog.capture(connection, "rolled back", distinct_id="u1")
                await connection.rollback()
                await posthog.capture(connection, "paid", distinct_id="u1")
                await connection.commit()

    run(serve())
    assert names(database) == ["paid"]


def test_p1_two_tasks_each_with_a_session_of_its_own(
    engine: AsyncEngine, database: TestDatabase, posthog: AsyncPostHog, run: Run
) -> None:
    async def buy(number: int) -> None:
        async with AsyncSession(engine) as session:
            await posthog.capture(session, f"paid {number}", distinct_id=f"u{number}")
            await (session.commit() if number % 2 else session.rollback())

    async def serve() -> None:
        await asyncio.gather(*(buy(number) for number in range(4)))

    run(serve())
    assert sorted(names(database)) == ["paid 1", "paid 3"]
