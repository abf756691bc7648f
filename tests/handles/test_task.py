"""P1 where tasks meet: a capture that is cancelled, and one handle in the hands of several tasks at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import asyncpg  # type: ignore[import-untyped]
import pytest

from hogbox import AsyncPostHog
from hogbox.errors import HogboxError
from tests.fixtures.database import SharedDatabases, TestDatabase
from tests.handles.application import DRIVERS, TOKEN, Application
from tests.handles.async_opened import ASYNC_PAIRS
from tests.handles.opened import Opened
from tests.handles.story import names

CLOSED_BY_CANCELLATION = ("asyncmy", "aiomysql")
"""Drivers that can't use a connection again whose task was cancelled, and say so."""

KINDS = (
    *(f"AsyncSession by {driver}" for driver in DRIVERS),
    *(f"AsyncConnection by {driver}" for driver in DRIVERS),
    *("aiosqlite", "psycopg AsyncConnection", "asyncpg", "asyncpg of a pool", *CLOSED_BY_CANCELLATION),
)

QUEUEING = (*(kind for kind in KINDS if kind.startswith("AsyncConnection")), "aiosqlite", "psycopg AsyncConnection")
"""Handles on which tasks wait for each other."""


def on(*kinds: str) -> pytest.MarkDecorator:
    """The test with handles of these kinds."""
    pairs = [pair for pair in ASYNC_PAIRS if pair[0] in kinds]
    return pytest.mark.parametrize("pair", pairs, ids=" on ".join, indirect=True)


@pytest.fixture
def pair(request: pytest.FixtureRequest, clean: SharedDatabases) -> tuple[str, TestDatabase]:
    kind, backend = request.param
    return kind, clean(backend)


@pytest.fixture
def posthog() -> AsyncPostHog:
    """A client that has no database of its own."""
    return AsyncPostHog(project_token=TOKEN)


LOCKS = {
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": "LOCK TABLE posthog_outbox IN EXCLUSIVE MODE",
    "mariadb": "LOCK TABLES posthog_outbox WRITE",
}


@contextmanager
def nobody_else_writes(database: TestDatabase) -> Iterator[Callable[[], object]]:
    """Every other transaction's writes have to wait, until the end or until this is called."""
    with database.engine.connect() as connection:
        connection.exec_driver_sql(LOCKS[database.backend])
        release = (
            partial(connection.exec_driver_sql, "UNLOCK TABLES")
            if database.backend == "mariadb"
            else connection.rollback
        )
        yield release
        release()


@on(*KINDS)
def test_p1_a_capture_that_is_cancelled_leaves_the_transaction_to_its_owner(
    pair: tuple[str, TestDatabase],
    opened: Opened,
    database: TestDatabase,
    application: Application,
    posthog: AsyncPostHog,
) -> None:
    async def give_up(release: Callable[[], object]) -> None:
        # SQLAlchemy has a task that is cancelled wait for SQLite, which waits for the lock.
        later = asyncio.get_running_loop().call_later(0.06, release)
        try:
            async with asyncio.timeout(0.03):
                await posthog.capture(opened.handle, "given up", distinct_id="u1")
        finally:
            later.cancel()

    opened.execute("SELECT 1")  # so that it is connected before time runs
    with nobody_else_writes(database) as release, pytest.raises(TimeoutError):
        application.run(give_up(release))
    if pair[0] in CLOSED_BY_CANCELLATION:
        with pytest.raises(Exception, match="Cancelled during execution"):
            opened.rollback()
        assert names(database) == []
        return
    opened.rollback()
    opened.begin()
    application.run(posthog.capture(opened.handle, "paid", distinct_id="u1"))
    opened.commit()
    assert names(database) == ["paid"]


@on(*KINDS)
def test_p1_a_task_that_is_cancelled_in_its_transaction_keeps_nothing(
    opened: Opened, database: TestDatabase, application: Application, posthog: AsyncPostHog
) -> None:
    async def serve() -> None:
        await posthog.capture(opened.handle, "paid", distinct_id="u1")
        await asyncio.Event().wait()

    async def give_up() -> None:
        async with asyncio.timeout(0.03):
            await serve()

    with pytest.raises(TimeoutError):
        application.run(give_up())
    opened.rollback()
    assert names(database) == []


async def three_at_once(posthog: AsyncPostHog, opened: Opened) -> list[str | BaseException | None]:
    """Three tasks capture on one handle; what each got."""
    captures = (posthog.capture(opened.handle, "paid", distinct_id=f"u{number}") for number in range(3))
    return await asyncio.gather(*captures, return_exceptions=True)


@on(*QUEUEING)
def test_tasks_on_one_handle_wait_for_each_other_where_its_library_lets_them(
    opened: Opened, database: TestDatabase, application: Application, posthog: AsyncPostHog
) -> None:
    uuids = application.run(three_at_once(posthog, opened))
    opened.commit()
    assert sorted(event["uuid"] for event in database.events()) == sorted(map(str, uuids))


@on("asyncpg", "asyncpg of a pool", "aiomysql", "AsyncSession by asyncpg")
def test_tasks_on_one_handle_get_the_errors_of_its_library(
    opened: Opened, database: TestDatabase, application: Application, posthog: AsyncPostHog
) -> None:
    results = application.run(three_at_once(posthog, opened))
    assert not any(isinstance(result, HogboxError) for result in results)
    opened.rollback()
    opened.begin()
    application.run(posthog.capture(opened.handle, "paid alone", distinct_id="u1"))
    opened.commit()
    assert names(database) == ["paid alone"]


@on("asyncpg")
def test_asyncpg_says_that_another_task_is_at_work(
    opened: Opened, database: TestDatabase, application: Application, posthog: AsyncPostHog
) -> None:
    results = application.run(three_at_once(posthog, opened))
    errors = [result for result in results if isinstance(result, BaseException)]
    assert len(errors) == 2
    for error in errors:
        assert isinstance(error, asyncpg.InterfaceError)
        assert "another operation is in progress" in str(error)
