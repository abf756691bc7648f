"""P1 in the idioms of each library: context managers, nested transactions, two phases, run_sync."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import TypeVar

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from hogbox import PostHog
from hogbox.errors import TablesMissing
from tests.fixtures.database import BACKENDS, SharedDatabases, TestDatabase
from tests.fixtures.stored import store
from tests.handles.application import DRIVERS, TOKEN, Application, NewClient
from tests.handles.opened import Opened, connect_psycopg, connect_pymysql
from tests.handles.story import FLAG, Mishap, names

Handle = TypeVar("Handle")


@contextmanager
def failing(block: AbstractContextManager[Handle]) -> Iterator[Handle]:
    """The block, which ends with an error."""
    try:
        with block as handle:
            yield handle
            raise Mishap
    except Mishap:
        return


@pytest.fixture(params=BACKENDS)
def any_database(request: pytest.FixtureRequest, clean: SharedDatabases) -> TestDatabase:
    return clean(request.param)


def test_p1_session_begin_that_raises_leaves_nothing(any_database: TestDatabase, posthog: PostHog) -> None:
    with Session(any_database.engine) as session, failing(session.begin()):
        posthog.capture(session, "paid", distinct_id="u1")
    assert names(any_database) == []


def test_p1_session_begin_that_ends_well_keeps_the_event(any_database: TestDatabase, posthog: PostHog) -> None:
    with Session(any_database.engine) as session, session.begin():
        posthog.capture(session, "paid", distinct_id="u1")
    assert names(any_database) == ["paid"]


def test_p1_engine_begin_that_raises_leaves_nothing(any_database: TestDatabase, posthog: PostHog) -> None:
    with failing(any_database.engine.begin()) as connection:
        posthog.capture(connection, "paid", distinct_id="u1")
    assert names(any_database) == []


def test_p1_nested_session_that_raises_takes_only_its_own_events(any_database: TestDatabase, posthog: PostHog) -> None:
    with Session(any_database.engine) as session, session.begin():
        posthog.capture(session, "outside", distinct_id="u1")
        with failing(session.begin_nested()):
            posthog.capture(session, "inside", distinct_id="u1")
        with session.begin_nested():
            posthog.capture(session, "inside again", distinct_id="u1")
    assert names(any_database) == ["outside", "inside again"]


def test_p1_nested_connection_that_raises_takes_only_its_own_events(
    any_database: TestDatabase, posthog: PostHog
) -> None:
    with any_database.engine.begin() as connection:
        posthog.capture(connection, "outside", distinct_id="u1")
        with failing(connection.begin_nested()):
            posthog.capture(connection, "inside", distinct_id="u1")
    assert names(any_database) == ["outside"]


def test_p1_session_in_a_transaction_of_its_connection_shares_the_outer_ones_fate(
    any_database: TestDatabase, posthog: PostHog
) -> None:
    with any_database.engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="rollback_only") as session, session.begin():
            posthog.capture(session, "paid", distinct_id="u1")
        outer.rollback()
    assert names(any_database) == []


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_p1_two_phase_session(clean: SharedDatabases, posthog: PostHog, end: str) -> None:
    database = clean("mariadb")  # PostgreSQL allows prepared transactions only where it is set up for them
    with Session(database.engine, twophase=True) as session:
        posthog.capture(session, "paid", distinct_id="u1")
        getattr(session, end)()
    assert names(database) == (["paid"] if end == "commit" else [])


def test_the_connection_of_a_session_with_several_binds(any_database: TestDatabase, posthog: PostHog) -> None:
    orders = sa.table("orders", sa.column("id"))
    with Session(any_database.engine, binds={orders: any_database.engine}) as session, session.begin():
        session.execute(sa.insert(orders).values(id=1))
        posthog.capture(session, "paid", distinct_id="u1")
    assert names(any_database) == ["paid"]


def test_p1_sqlite3_context_manager_that_raises_leaves_nothing(clean: SharedDatabases, posthog: PostHog) -> None:
    database = clean("sqlite")
    with closing(sqlite3.connect(database.engine.url.database or "")) as connection:
        with failing(connection):
            posthog.capture(connection, "paid", distinct_id="u1")
        with connection:
            posthog.capture(connection, "paid after all", distinct_id="u1")
    assert names(database) == ["paid after all"]


def test_p1_psycopg_transaction_blocks(clean: SharedDatabases, posthog: PostHog) -> None:
    database = clean("postgresql")
    with closing(connect_psycopg(database)) as connection:
        with connection.transaction():
            posthog.capture(connection, "outside", distinct_id="u1")
            with failing(connection.transaction()):
                posthog.capture(connection, "inside", distinct_id="u1")
        with failing(connection.transaction()):
            posthog.capture(connection, "another", distinct_id="u1")
    assert names(database) == ["outside"]


@pytest.mark.parametrize("mode", ["NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "STRICT_ALL_TABLES"])
def test_mariadb_in_any_sql_mode(clean: SharedDatabases, posthog: PostHog, mode: str) -> None:
    database = clean("mariadb")
    text = "back\\slash 'single' \"double\" %s :name \N{PILE OF POO}"
    with closing(connect_pymysql(database, sql_mode=mode)) as connection:
        posthog.capture(connection, "paid", distinct_id="u1", properties={"text": text})
        connection.commit()
    (event,) = database.events()
    assert event["properties"]["text"] == text


AWKWARD = "back\\slash 'single' \"double\" %s %(name)s :name ? $1 \0 \N{PILE OF POO} \u2028"


def test_awkward_text_arrives_as_it_is(opened: Opened, database: TestDatabase, client: NewClient) -> None:
    posthog = client()
    person = AWKWARD.replace("\0", "")
    posthog.capture(opened.handle, AWKWARD, distinct_id=person, properties={AWKWARD: AWKWARD})
    opened.commit()
    (event,) = database.events()
    assert (event["event"], event["distinct_id"]) == (AWKWARD, person)
    assert event["properties"][AWKWARD] == AWKWARD


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_p1_run_sync_of_an_asynchronous_session(
    clean: SharedDatabases, posthog: PostHog, application: Application, driver: str, end: str
) -> None:
    database = clean(DRIVERS[driver])
    engine = application.engine(database, driver)

    async def serve() -> None:
        async with AsyncSession(engine) as session:
            await session.run_sync(lambda s: posthog.capture(s, "paid", distinct_id="u1"))
            await getattr(session, end)()
        async with engine.connect() as connection:
            await connection.run_sync(lambda c: posthog.capture(c, "paid again", distinct_id="u1"))
            await getattr(connection, end)()

    application.run(serve())
    assert names(database) == (["paid", "paid again"] if end == "commit" else [])


def test_an_exposure_in_a_psycopg_pipeline_is_noted_with_its_event(clean: SharedDatabases) -> None:
    database = clean("postgresql")
    store(database, TOKEN, FLAG)
    posthog = PostHog(project_token=TOKEN, track_exposures=True)
    with closing(connect_psycopg(database)) as connection:
        with connection.pipeline():
            posthog.capture(connection, "paid", distinct_id="u1")
            assert posthog.get_feature_flag(connection, "colour", distinct_id="u1") == "red"
        connection.commit()
        with failing(connection.pipeline()), pytest.raises(TablesMissing):
            PostHog(project_token=TOKEN, table_prefix="absent_").capture(connection, "paid", distinct_id="u1")
    assert names(database) == ["paid", "$feature_flag_called"]
