"""However its owner likes a handle: rows, cursors, codecs, statements that are prepared or not, engines' options."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import aiomysql  # type: ignore[import-untyped]
import aiosqlite
import asyncmy.cursors
import asyncpg  # type: ignore[import-untyped]
import psycopg
import psycopg2.extras  # type: ignore[import-untyped]
import pymysql.cursors
import pytest
import sqlalchemy as sa
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from tests.fixtures.database import SharedDatabases, TestDatabase
from tests.fixtures.stored import store
from tests.handles.application import DRIVERS, TOKEN, Application, NewClient, asynchronous_url
from tests.handles.async_opened import (
    connect_aiomysql,
    connect_aiosqlite,
    connect_async_psycopg,
    connect_asyncmy,
    connect_asyncpg,
    of_async_session,
    open_async_driver,
    open_asyncpg,
)
from tests.handles.opened import (
    Opened,
    connect_mysqlclient,
    connect_psycopg,
    connect_psycopg2,
    connect_pymysql,
    connect_sqlite3,
    of_session,
    open_driver,
)
from tests.handles.story import FLAG

Open = Callable[[TestDatabase, Application], AbstractContextManager[Opened]]


class OwnRecord(asyncpg.Record):  # type: ignore[misc]
    """An application's rows of asyncpg."""


def plain(connect: Callable[..., Any], **options: Any) -> Open:
    """A synchronous driver's connection with these options."""
    return lambda database, _: open_driver(partial(connect, **options), database)


def awaited(connect: Callable[..., Any], **options: Any) -> Open:
    """An asynchronous driver's connection with these options."""
    return lambda database, application: application.entered(
        open_async_driver(partial(connect, **options), database, application)
    )


def of_asyncpg(connect: Callable[..., Any] = connect_asyncpg, transactions: int = 1, **options: Any) -> Open:
    """A connection of asyncpg's with these options, in a transaction."""
    return lambda database, application: application.entered(
        open_asyncpg(partial(connect, **options), transactions, database, application)
    )


def lite_with_rows_and_bytes(database: TestDatabase) -> sqlite3.Connection:
    connection = connect_sqlite3(database)
    connection.row_factory = lambda _, row: {"row": row}
    connection.text_factory = bytes
    return connection


def psycopg2_in_autocommit(database: TestDatabase) -> Any:
    connection = connect_psycopg2(database)
    connection.autocommit = True
    return connection


async def aiosqlite_with_rows_and_bytes(database: TestDatabase) -> aiosqlite.Connection:
    connection = await connect_aiosqlite(database)
    connection.row_factory = sqlite3.Row
    connection.text_factory = bytes
    return connection


async def asyncpg_with_codecs(database: TestDatabase) -> Any:
    connection = await connect_asyncpg(database)
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
    await connection.set_type_codec("int8", encoder=str, decoder=int, schema="pg_catalog")
    return connection


def engine(driver: str, **options: Any) -> Open:
    """A session of an engine with these options."""

    @contextmanager
    def open_session(database: TestDatabase, _: Application) -> Iterator[Opened]:
        engine = sa.create_engine(asynchronous_url(database, driver), poolclass=sa.NullPool, **options)
        with Session(engine) as session:
            yield of_session(session)

    return open_session


def async_engine(driver: str, **options: Any) -> Open:
    """A session of an asynchronous engine with these options."""

    @contextmanager
    def open_session(database: TestDatabase, application: Application) -> Iterator[Opened]:
        engine = create_async_engine(asynchronous_url(database, driver), poolclass=sa.NullPool, **options)
        with application.entered(AsyncSession(engine)) as session:
            yield of_async_session(application, session)

    return open_session


SYNC: dict[str, tuple[str, Open]] = {
    "sqlite3, rows as dicts, text as bytes": ("sqlite", plain(lite_with_rows_and_bytes)),
    "psycopg, dict_row": ("postgresql", plain(connect_psycopg, row_factory=dict_row)),
    "psycopg, ClientCursor": ("postgresql", plain(connect_psycopg, cursor_factory=psycopg.ClientCursor)),
    "psycopg, RawCursor": ("postgresql", plain(connect_psycopg, cursor_factory=psycopg.RawCursor)),
    "psycopg, prepared": ("postgresql", plain(connect_psycopg, prepare_threshold=0)),
    "psycopg2, RealDictCursor": (
        "postgresql",
        plain(connect_psycopg2, cursor_factory=psycopg2.extras.RealDictCursor),
    ),
    "psycopg2, DictConnection": (
        "postgresql",
        plain(connect_psycopg2, connection_factory=psycopg2.extras.DictConnection),
    ),
    "PyMySQL, DictCursor": ("mariadb", plain(connect_pymysql, cursorclass=pymysql.cursors.DictCursor)),
    "PyMySQL, SSCursor": ("mariadb", plain(connect_pymysql, cursorclass=pymysql.cursors.SSCursor)),
    "mysqlclient, no unicode": ("mariadb", plain(connect_mysqlclient, use_unicode=False)),
    "Session by psycopg2": ("postgresql", engine("psycopg2")),
    "Session, format": ("postgresql", engine("psycopg", paramstyle="format")),
    "Session on SQLite, named": ("sqlite", engine("pysqlite", paramstyle="named")),
    "Session of a streaming engine": ("postgresql", engine("psycopg", execution_options={"stream_results": True})),
    "Session of a streaming engine by psycopg2": ("postgresql", engine("psycopg2", execution_options={"yield_per": 9})),
}

ASYNC: dict[str, tuple[str, Open]] = {
    "aiosqlite, Row, text as bytes": ("sqlite", awaited(aiosqlite_with_rows_and_bytes)),
    "psycopg, dict_row": ("postgresql", awaited(connect_async_psycopg, row_factory=dict_row)),
    "psycopg, AsyncClientCursor": (
        "postgresql",
        awaited(connect_async_psycopg, cursor_factory=psycopg.AsyncClientCursor),
    ),
    "psycopg, AsyncRawCursor": ("postgresql", awaited(connect_async_psycopg, cursor_factory=psycopg.AsyncRawCursor)),
    "psycopg, prepared": ("postgresql", awaited(connect_async_psycopg, prepare_threshold=0)),
    "asyncpg, no statement cache": ("postgresql", of_asyncpg(statement_cache_size=0)),
    "asyncpg, records of its own": ("postgresql", of_asyncpg(record_class=OwnRecord)),
    "asyncpg, codecs": ("postgresql", of_asyncpg(asyncpg_with_codecs)),
    "asyncmy, DictCursor": ("mariadb", awaited(connect_asyncmy, cursor_cls=asyncmy.cursors.DictCursor)),
    "asyncmy, SSCursor": ("mariadb", awaited(connect_asyncmy, cursor_cls=asyncmy.cursors.SSCursor)),
    "aiomysql, DictCursor": ("mariadb", awaited(connect_aiomysql, cursorclass=aiomysql.DictCursor)),
    "aiomysql, SSCursor": ("mariadb", awaited(connect_aiomysql, cursorclass=aiomysql.SSCursor)),
    "AsyncSession, no statement cache": (
        "postgresql",
        async_engine("asyncpg", connect_args={"statement_cache_size": 0, "prepared_statement_cache_size": 0}),
    ),
    "AsyncSession of a streaming engine by asyncpg": (
        "postgresql",
        async_engine("asyncpg", execution_options={"stream_results": True}),
    ),
    "AsyncSession of a streaming engine by aiosqlite": (
        "sqlite",
        async_engine("aiosqlite", execution_options={"stream_results": True}),
    ),
    "AsyncSession of a streaming engine by asyncmy": (
        "mariadb",
        async_engine("asyncmy", execution_options={"stream_results": True}),
    ),
}

CHOICES = [*(("PostHog", name) for name in SYNC), *(("AsyncPostHog", name) for name in ASYNC)]


@pytest.fixture(params=CHOICES, ids=": ".join)
def choice(request: pytest.FixtureRequest, clean: SharedDatabases) -> tuple[Open, TestDatabase, bool]:
    """How a handle is opened, its database, and whether it is asynchronous."""
    client, name = request.param
    backend, opener = (SYNC if client == "PostHog" else ASYNC)[name]
    return opener, clean(backend), client != "PostHog"


@pytest.fixture
def database(choice: tuple[Open, TestDatabase, bool]) -> TestDatabase:
    return choice[1]


@pytest.fixture
def opened(choice: tuple[Open, TestDatabase, bool], application: Application) -> Iterator[Opened]:
    opener, database, _ = choice
    with opener(database, application) as opened:
        yield opened


@pytest.fixture
def new_client(choice: tuple[Open, TestDatabase, bool], application: Application) -> NewClient:
    return application.new_client(asynchronous=choice[2])


AUTOCOMMIT: dict[str, tuple[str, Open]] = {
    "sqlite3": ("sqlite", plain(connect_sqlite3, isolation_level=None)),
    "psycopg": ("postgresql", plain(connect_psycopg, autocommit=True)),
    "psycopg2": ("postgresql", plain(psycopg2_in_autocommit)),
    "PyMySQL": ("mariadb", plain(connect_pymysql, autocommit=True)),
    "mysqlclient": ("mariadb", plain(connect_mysqlclient, autocommit=True)),
    **{
        f"Session by {driver}": (backend, engine(driver, isolation_level="AUTOCOMMIT"))
        for driver, backend in (("pysqlite", "sqlite"), ("psycopg", "postgresql"), ("pymysql", "mariadb"))
    },
}

ASYNC_AUTOCOMMIT: dict[str, tuple[str, Open]] = {
    "aiosqlite": ("sqlite", awaited(connect_aiosqlite, isolation_level=None)),
    "psycopg": ("postgresql", awaited(connect_async_psycopg, autocommit=True)),
    "asyncpg": ("postgresql", of_asyncpg(transactions=0)),
    "asyncmy": ("mariadb", awaited(connect_asyncmy, autocommit=True)),
    "aiomysql": ("mariadb", awaited(connect_aiomysql, autocommit=True)),
    **{
        f"AsyncSession by {driver}": (backend, async_engine(driver, isolation_level="AUTOCOMMIT"))
        for driver, backend in DRIVERS.items()
    },
}


@pytest.mark.parametrize(
    ("client", "name"),
    [*(("PostHog", name) for name in AUTOCOMMIT), *(("AsyncPostHog", name) for name in ASYNC_AUTOCOMMIT)],
)
def test_a_handle_that_commits_by_itself_keeps_each_event_at_once(
    client: str, name: str, clean: SharedDatabases, application: Application
) -> None:
    asynchronous = client == "AsyncPostHog"
    backend, opener = (ASYNC_AUTOCOMMIT if asynchronous else AUTOCOMMIT)[name]
    database = clean(backend)
    store(database, TOKEN, FLAG)
    posthog = application.new_client(asynchronous=asynchronous)(definitions_max_age=0)
    with opener(database, application) as opened:
        posthog.capture(opened.handle, "paid", distinct_id="u1")
        assert [event["event"] for event in database.events()] == ["paid"]
        for _ in range(2):
            posthog.get_feature_flag(opened.handle, "colour", distinct_id="u1", track_exposures=True)
        assert [event["event"] for event in database.events()] == ["paid", "$feature_flag_called"]
        assert not opened.in_transaction()


AWKWARD = "back\\slash 'single' \"double\" %s %(name)s :name ? $1 \N{PILE OF POO} \u2028"


def test_p1_an_event_shares_the_fate_of_the_transaction(
    opened: Opened, database: TestDatabase, new_client: NewClient
) -> None:
    posthog = new_client()
    posthog.capture(opened.handle, "rolled back", distinct_id="u1")
    opened.rollback()
    opened.begin()
    posthog.capture(opened.handle, "kept", distinct_id="u1", properties={"text": AWKWARD})
    posthog.capture(opened.handle, "kept", distinct_id="u" * 201)
    opened.commit()
    assert [(event["event"], event["properties"]["text"]) for event in database.events()] == [("kept", AWKWARD)]
    assert len(database.dead_letters()) == 1


def test_a_flag_is_read_and_its_exposure_is_noted_once(
    opened: Opened, database: TestDatabase, new_client: NewClient
) -> None:
    store(database, TOKEN, FLAG)
    posthog = new_client(definitions_max_age=0)
    for _ in range(2):
        assert posthog.get_feature_flag(opened.handle, "colour", distinct_id="u1", track_exposures=True) == "red"
    opened.commit()
    assert len(database.events()) == database.count("posthog_exposures") == 1
