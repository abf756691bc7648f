"""`captured_events`: typed rows, as the test's own transaction sees them, on every handle."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiosqlite
import asyncpg  # type: ignore[import-untyped]
import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from hogbox import AsyncPostHog, PostHog
from hogbox.errors import AsyncHandle, ConfigurationError, SyncHandle, TablesMissing, UnsupportedHandle
from hogbox.testing import AsyncCapturedEvents, CapturedEvent, CapturedEvents, DeadLetter
from tests.fixtures.database import BACKENDS, SharedDatabases, TestDatabase
from tests.handles.opened import connect_psycopg, connect_pymysql
from tests.testing.conftest import TOKEN

Open = Callable[[TestDatabase], AbstractContextManager[Any]]


@pytest.fixture
def posthog() -> PostHog:
    """A client that has no database of its own."""
    return PostHog(project_token=TOKEN)


def names(events: list[CapturedEvent]) -> list[str]:
    return [event.event for event in events]


# Which transactions


@contextmanager
def open_session(database: TestDatabase) -> Iterator[Session]:
    with Session(database.engine) as session:
        yield session


@contextmanager
def open_connection(database: TestDatabase) -> Iterator[sa.Connection]:
    with database.engine.connect() as connection:
        yield connection


def open_sqlite3(database: TestDatabase) -> closing[sqlite3.Connection]:
    connection = sqlite3.connect(database.engine.url.database or "")
    connection.row_factory = sqlite3.Row
    return closing(connection)


HANDLES: list[tuple[Open, str]] = [
    *[(open_session, backend) for backend in BACKENDS],
    *[(open_connection, backend) for backend in BACKENDS],
    (open_sqlite3, "sqlite"),
    (lambda database: closing(connect_psycopg(database)), "postgresql"),
    (lambda database: closing(connect_pymysql(database)), "mariadb"),
]


@pytest.mark.parametrize(("open_handle", "backend"), HANDLES)
def test_a_transaction_sees_what_it_captured_and_nobody_else_does(
    emptied: SharedDatabases, posthog: PostHog, captured_events: CapturedEvents, open_handle: Open, backend: str
) -> None:
    database = emptied(backend)
    with open_handle(database) as handle:
        posthog.capture(handle, "paid", distinct_id="u1")
        posthog.capture(handle, "sent", distinct_id="u2")
        assert names(captured_events(handle)) == ["paid", "sent"]
        assert captured_events(database.url) == []
        handle.rollback()
        assert captured_events(handle) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_savepoint_undid_is_not_there(
    emptied: SharedDatabases, posthog: PostHog, captured_events: CapturedEvents, backend: str
) -> None:
    with Session(emptied(backend).engine) as session:
        posthog.capture(session, "before", distinct_id="u1")
        savepoint = session.begin_nested()
        posthog.capture(session, "undone", distinct_id="u1")
        assert names(captured_events(session)) == ["before", "undone"]
        savepoint.rollback()
        posthog.capture(session, "after", distinct_id="u1")
        assert names(captured_events(session)) == ["before", "after"]


def test_looking_commits_nothing(database: TestDatabase, posthog: PostHog, captured_events: CapturedEvents) -> None:
    with Session(database.engine) as session:
        posthog.capture(session, "paid", distinct_id="u1")
        captured_events(session)
    assert captured_events(database.engine) == []


async def in_session(database: TestDatabase, driver: str, act: Callable[[Any], Awaitable[None]]) -> None:
    engine = create_async_engine(database.engine.url.set(drivername=driver))
    async with AsyncSession(engine) as session:
        await act(session)
        await session.rollback()
        await act(session)
    await engine.dispose()


async def in_psycopg(database: TestDatabase, _: str, act: Callable[[Any], Awaitable[None]]) -> None:
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await act(connection)
        await connection.rollback()


async def in_asyncpg(database: TestDatabase, _: str, act: Callable[[Any], Awaitable[None]]) -> None:
    url = database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(url)
    transaction = connection.transaction()
    await transaction.start()
    await act(connection)
    await transaction.rollback()
    await connection.close()


async def in_aiosqlite(database: TestDatabase, _: str, act: Callable[[Any], Awaitable[None]]) -> None:
    async with aiosqlite.connect(database.engine.url.database or "") as connection:
        await act(connection)


@pytest.mark.parametrize(
    ("within", "driver", "backend"),
    [
        (in_session, "sqlite+aiosqlite", "sqlite"),
        (in_session, "postgresql+asyncpg", "postgresql"),
        (in_session, "mysql+asyncmy", "mariadb"),
        (in_psycopg, "", "postgresql"),
        (in_asyncpg, "", "postgresql"),
        (in_aiosqlite, "", "sqlite"),
    ],
)
def test_an_asynchronous_transaction_sees_what_it_captured(
    emptied: SharedDatabases, async_captured_events: AsyncCapturedEvents, within: Any, driver: str, backend: str
) -> None:
    posthog = AsyncPostHog(project_token=TOKEN)
    database = emptied(backend)

    async def act(handle: Any) -> None:
        await posthog.capture(handle, "paid", distinct_id="u1")
        await posthog.capture(handle, "lost", distinct_id="u" * 201)
        assert names(await async_captured_events(handle)) == ["paid"]
        assert (await async_captured_events.only(handle, event="paid")).distinct_id == "u1"
        assert [one.event for one in await async_captured_events.dead_letters(handle)] == ["lost"]
        assert await async_captured_events(database.url) == []

    asyncio.run(within(database, driver, act))


# Which events


def test_an_event_is_typed(database: TestDatabase, posthog: PostHog, captured_events: CapturedEvents) -> None:
    with Session(database.engine) as session:
        moment = datetime(2024, 5, 17, 8, 30, tzinfo=UTC)
        uuid = posthog.capture(
            session, "paid", distinct_id=7, properties={"plan": "pro"}, groups={"company": "c-19"}, timestamp=moment
        )
        event = captured_events.only(session)
    assert event.given == {"plan": "pro", "$groups": {"company": "c-19"}}
    assert event.properties["$lib"] == "hogbox"
    assert (event.uuid, event.event, event.distinct_id) == (uuid, "paid", "7")
    assert (event.timestamp, event.project, event.lane) == (moment, TOKEN, "analytics")
    assert repr(event) == "CapturedEvent('paid', '7', {'plan': 'pro', '$groups': {'company': 'c-19'}})"
    assert {event} == {event}
    with pytest.raises(AttributeError):
        event.event = "other"  # type: ignore[misc]


def test_what_hogbox_adds_to_every_event_is_not_given(
    database: TestDatabase, posthog: PostHog, captured_events: CapturedEvents
) -> None:
    with Session(database.engine) as session:
        posthog.capture(session, "paid", distinct_id="u1")
        posthog.alias(session, "u2", distinct_id="u1")
        paid, alias = captured_events(session)
    assert paid.given == {}
    assert alias.given == {"distinct_id": "u1", "alias": "u2"}


def test_filters(database: TestDatabase, posthog: PostHog, captured_events: CapturedEvents) -> None:
    with Session(database.engine) as session:
        for name, person in [("paid", "u1"), ("sent", "u1"), ("paid", "2")]:
            posthog.capture(session, name, distinct_id=person)
        events = captured_events(session)
        assert captured_events(session, event="paid") == [events[0], events[2]]
        assert captured_events(session, distinct_id="u1") == events[:2]
        assert captured_events(session, distinct_id=2) == events[2:]
        assert captured_events(session, since=events[0].id) == events[1:]
        assert captured_events(session, event="paid", distinct_id="u1", since=events[0].id) == []
        assert captured_events.only(session, event="paid", distinct_id=2) == events[2]


def test_dead_letters_have_a_reason(database: TestDatabase, posthog: PostHog, captured_events: CapturedEvents) -> None:
    with Session(database.engine) as session:
        posthog.capture(session, "paid", distinct_id="anonymous", properties={"plan": "pro"})
        assert captured_events(session) == []
        (letter,) = captured_events.dead_letters(session)
        assert captured_events.dead_letters(session, event="sent") == []
    assert type(letter) is DeadLetter
    assert (letter.event, letter.given, letter.status) == ("paid", {"plan": "pro"}, None)
    assert "PostHog creates no person" in letter.reason
    assert repr(letter).startswith("DeadLetter('paid', 'anonymous', {'plan': 'pro'}, reason=\"distinct_id 'anonymous'")
    assert {letter} == {letter}


def test_the_only_event_that_is_not_the_only_one(
    database: TestDatabase, posthog: PostHog, captured_events: CapturedEvents
) -> None:
    with Session(database.engine) as session:
        with pytest.raises(AssertionError, match=r"^no event; there are 0 events$"):
            captured_events.only(session)
        posthog.capture(session, "paid", distinct_id="u1", properties={"cents": 5})
        posthog.capture(session, "paid", distinct_id="u1")
        with pytest.raises(AssertionError) as several:
            captured_events.only(session, event="paid")
        with pytest.raises(AssertionError) as none:
            captured_events.only(session, event="sent", distinct_id="u1", since=0)
        with pytest.raises(AssertionError, match="no event since 1000000"):
            captured_events.only(session, since=1_000_000)
        for _ in range(30):
            posthog.capture(session, "viewed", distinct_id="u1")
        with pytest.raises(AssertionError, match=r"and 12 more$"):
            captured_events.only(session)
    lines = ["  CapturedEvent('paid', 'u1', {'cents': 5})", "  CapturedEvent('paid', 'u1', {})"]
    assert str(several.value).splitlines() == ["expected one event 'paid', and there are 2:", *lines]
    assert str(none.value).splitlines() == ["no event 'sent' of 'u1'; there are 2 events:", *lines]


# Where from


def test_what_is_committed_is_read_from_a_url_an_engine_or_the_environment(
    database: TestDatabase,
    posthog: PostHog,
    captured_events: CapturedEvents,
    async_captured_events: AsyncCapturedEvents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with database.engine.begin() as connection:
        posthog.capture(connection, "paid", distinct_id="u1")
    monkeypatch.setenv("HOGBOX_DATABASE_URL", database.url)
    asynchronous = create_async_engine(database.engine.url.set(drivername="sqlite+aiosqlite"))
    for source in (database.url, database.engine, asynchronous, None):
        assert names(captured_events(source)) == ["paid"]
        assert names(asyncio.run(async_captured_events(source))) == ["paid"]


def test_without_any_database_it_says_what_to_pass(captured_events: CapturedEvents) -> None:
    with pytest.raises(ConfigurationError, match="no database: pass a URL"):
        captured_events(None)


def test_tables_with_a_prefix_of_the_applications(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    with PostHog(url, project_token=TOKEN, table_prefix="hog_") as posthog:
        posthog.create_tables()
        posthog.capture(None, "paid", distinct_id="u1")
    assert names(CapturedEvents("hog_")(url)) == ["paid"]
    with pytest.raises(TablesMissing):
        CapturedEvents()(url)
    with pytest.raises(ConfigurationError, match="table_prefix"):
        CapturedEvents("no prefix")


def test_a_handle_of_the_other_colour_says_which_fixture_to_use(
    database: TestDatabase, captured_events: CapturedEvents, async_captured_events: AsyncCapturedEvents
) -> None:
    engine = create_async_engine(database.engine.url.set(drivername="sqlite+aiosqlite"))
    with pytest.raises(AsyncHandle, match="AsyncSession is asynchronous: use async_captured_events, and await it"):
        captured_events(AsyncSession(engine))
    with Session(database.engine) as session, pytest.raises(SyncHandle, match="synchronous: use captured_events"):
        asyncio.run(async_captured_events(session))
    with pytest.raises(UnsupportedHandle):
        captured_events(object())
    with pytest.raises(UnsupportedHandle):
        asyncio.run(async_captured_events(object()))
