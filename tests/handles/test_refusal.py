"""What is no handle of the client's is refused at the call, with what was given and what to do instead."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, NoReturn

import aiomysql  # type: ignore[import-untyped]
import aiosqlite
import asyncmy
import asyncpg  # type: ignore[import-untyped]
import psycopg
import psycopg2  # type: ignore[import-untyped]
import pymysql
import pytest
import sqlalchemy as sa
import sqlmodel
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelAsyncSession

from hogbox import AsyncPostHog, PostHog
from hogbox._store.handles.async_handle import ASYNC_KINDS
from hogbox._store.handles.handle import ASYNC, KINDS
from hogbox.errors import AsyncHandle, SyncHandle, UnsupportedHandle, UsageError
from tests.fixtures.database import SharedDatabases
from tests.fixtures.stored import store
from tests.handles.application import TOKEN, Application
from tests.handles.story import FLAG

Method = Callable[[PostHog, Any], Any]

METHODS: dict[str, Method] = {
    "capture": lambda posthog, ctx: posthog.capture(ctx, "paid", distinct_id="u1"),
    "capture_ai": lambda posthog, ctx: posthog.capture_ai(ctx, "$ai_span", distinct_id="u1"),
    "identify": lambda posthog, ctx: posthog.identify(ctx, distinct_id="u1"),
    "group_identify": lambda posthog, ctx: posthog.group_identify(ctx, "company", "c-19"),
    "alias": lambda posthog, ctx: posthog.alias(ctx, "anon", distinct_id="u1"),
    "capture_exception": lambda posthog, ctx: posthog.capture_exception(ctx, "it broke", distinct_id="u1"),
    "get_feature_flag": lambda posthog, ctx: posthog.get_feature_flag(ctx, "colour", distinct_id="u1"),
    "is_feature_enabled": lambda posthog, ctx: posthog.is_feature_enabled(ctx, "colour", distinct_id="u1"),
    "get_feature_flag_result": lambda posthog, ctx: posthog.get_feature_flag_result(ctx, "colour", distinct_id="u1"),
    "get_feature_flag_payload": lambda posthog, ctx: posthog.get_feature_flag_payload(ctx, "colour", distinct_id="u1"),
    "payload by value": lambda posthog, ctx: posthog.get_feature_flag_payload(ctx, "colour", match_value=True),
    "get_remote_config_payload": lambda posthog, ctx: posthog.get_remote_config_payload(ctx, "colour"),
    "get_all_flags": lambda posthog, ctx: posthog.get_all_flags(ctx, distinct_id="u1"),
    "get_all_flags_and_payloads": lambda posthog, ctx: posthog.get_all_flags_and_payloads(ctx, distinct_id="u1"),
    "flags": lambda posthog, ctx: posthog.flags(ctx, distinct_id="u1"),
    "evaluate_flag": lambda posthog, ctx: posthog.evaluate_flag(ctx, "colour", distinct_id="u1"),
    "evaluate_flag_payload": lambda posthog, ctx: posthog.evaluate_flag_payload(ctx, "colour", distinct_id="u1"),
    "evaluate_all_flags": lambda posthog, ctx: posthog.evaluate_all_flags(ctx, distinct_id="u1"),
}

SYNC_ACCEPTED = f"pass one of {', '.join(kind.name for kind in KINDS.values())}; or None, and hogbox commits by itself"

ASYNC_ACCEPTED = (
    "pass one of SQLAlchemy AsyncSession, SQLAlchemy async_scoped_session, SQLAlchemy AsyncConnection, psycopg "
    "AsyncConnection, asyncpg connection, aiosqlite connection, asyncmy connection, aiomysql connection; or None, and "
    "hogbox commits by itself"
)

ACCEPTED = {False: SYNC_ACCEPTED, True: ASYNC_ACCEPTED}
"""What a client accepts, by whether it is asynchronous."""


def unborn(kind: Any) -> Any:
    """An object of that class that nothing has initialised: hogbox looks at the class only."""
    return kind.__new__(kind)


def own(kind: type) -> Any:
    """An object of a class of the application's that inherits from the handle's, and minds no end."""
    return unborn(
        type("Own", (kind,), {"__del__": lambda _: None, "__repr__": lambda _: "own", "__module__": "application"})
    )


SYNCHRONOUS: dict[str, tuple[Callable[[], Any], str]] = {
    "Session": (Session, "SQLAlchemy Session"),
    "SQLModel Session": (sqlmodel.Session, "SQLAlchemy Session"),
    "scoped_session": (lambda: scoped_session(sessionmaker()), "SQLAlchemy scoped_session"),
    "Connection": (lambda: unborn(sa.Connection), "SQLAlchemy Connection"),
    "sqlite3": (lambda: own(sqlite3.Connection), "sqlite3 connection"),
    "psycopg": (lambda: own(psycopg.Connection), "psycopg connection"),
    "psycopg2": (lambda: own(psycopg2.extensions.connection), "psycopg2 connection"),
    "PyMySQL": (lambda: own(pymysql.connections.Connection), "PyMySQL connection"),
}

ASYNCHRONOUS: dict[str, tuple[Callable[[], Any], str]] = {
    "AsyncSession": (AsyncSession, "sqlalchemy.ext.asyncio.session.AsyncSession"),
    "SQLModel AsyncSession": (SQLModelAsyncSession, "sqlmodel.ext.asyncio.session.AsyncSession"),
    "async_scoped_session": (
        lambda: async_scoped_session(async_sessionmaker(), scopefunc=object),
        "sqlalchemy.ext.asyncio.scoping.async_scoped_session",
    ),
    "AsyncConnection": (lambda: unborn(AsyncConnection), "sqlalchemy.ext.asyncio.engine.AsyncConnection"),
    "psycopg AsyncConnection": (lambda: own(psycopg.AsyncConnection), "application.Own"),
    "asyncpg": (lambda: own(asyncpg.Connection), "application.Own"),
    "asyncpg of a pool": (lambda: unborn(asyncpg.pool.PoolConnectionProxy), "asyncpg.pool.PoolConnectionProxy"),
    "aiosqlite": (lambda: own(aiosqlite.Connection), "application.Own"),
    "asyncmy": (lambda: own(asyncmy.Connection), "application.Own"),
    "aiomysql": (lambda: own(aiomysql.Connection), "application.Own"),
}

NO_HANDLES: dict[str, Callable[[], Any]] = {
    "sqlalchemy.engine.base.Engine": lambda: sa.create_engine("sqlite://"),
    "sqlalchemy.ext.asyncio.engine.AsyncEngine": lambda: create_async_engine("sqlite+aiosqlite://"),
    "sqlalchemy.orm.session.sessionmaker": sessionmaker,
    "sqlalchemy.ext.asyncio.session.async_sessionmaker": async_sessionmaker,
    "asyncpg.pool.Pool": lambda: unborn(asyncpg.Pool),
    "sqlite3.Cursor": lambda: unborn(sqlite3.Cursor),
    "builtins.str": lambda: "u1",
    "builtins.int": lambda: 0,
    "builtins.object": object,
}


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Method:
    """Each method that takes a handle, called on one."""
    return METHODS[request.param]


@pytest.fixture(params=[False, True], ids=["PostHog", "AsyncPostHog"])
def asynchronous(request: pytest.FixtureRequest) -> bool:
    """Whether the client is."""
    return bool(request.param)


@pytest.mark.parametrize("name", ASYNCHRONOUS)
def test_posthog_refuses_asynchronous_handles_with_what_to_use_instead(posthog: PostHog, name: str) -> None:
    make, shown = ASYNCHRONOUS[name]
    with pytest.raises(AsyncHandle) as caught:
        posthog.capture(make(), "paid", distinct_id="u1")
    assert str(caught.value) == f"{shown} is asynchronous and PostHog is not: use AsyncPostHog, and await its methods"


@pytest.mark.parametrize("name", SYNCHRONOUS)
def test_async_posthog_refuses_synchronous_handles_with_what_to_use_instead(
    application: Application, name: str
) -> None:
    make, shown = SYNCHRONOUS[name]
    posthog = application.new_client(asynchronous=True)()
    with pytest.raises(SyncHandle) as caught:
        posthog.capture(make(), "paid", distinct_id="u1")
    assert str(caught.value) == f"a {shown} is synchronous and AsyncPostHog is not: use PostHog with it"


@pytest.mark.parametrize("name", NO_HANDLES)
def test_other_objects_are_refused_with_what_is_accepted(
    application: Application, asynchronous: bool, name: str
) -> None:
    posthog = application.new_client(asynchronous=asynchronous)()
    with pytest.raises(UnsupportedHandle) as caught:
        posthog.capture(NO_HANDLES[name](), "paid", distinct_id="u1")
    assert str(caught.value) == f"hogbox can't write in a {name}: {ACCEPTED[asynchronous]}"


def test_every_method_refuses_before_the_callback_is_asked(
    application: Application, asynchronous: bool, method: Method
) -> None:
    def identify(_: Any) -> NoReturn:
        raise AssertionError("asked")

    posthog = application.new_client(asynchronous=asynchronous)(identify=identify)
    wrong, error = (Session(), SyncHandle) if asynchronous else (AsyncSession(), AsyncHandle)
    with pytest.raises(error):
        method(posthog, wrong)
    with pytest.raises(UnsupportedHandle):
        method(posthog, object())


def test_a_read_that_needs_no_query_refuses_as_well(
    clean: SharedDatabases, application: Application, asynchronous: bool
) -> None:
    database = clean("sqlite")
    store(database, TOKEN, FLAG)
    posthog = application.new_client(asynchronous=asynchronous)(database=database.url, definitions_max_age=3600)
    assert posthog.get_feature_flag(None, "colour", distinct_id="u1") == "red"
    wrong, error = (Session(), SyncHandle) if asynchronous else (AsyncSession(), AsyncHandle)
    for _ in range(2):
        with pytest.raises(error):
            posthog.get_feature_flag(wrong, "colour", distinct_id="u1")
    posthog.shutdown()


def test_an_asynchronous_callback_is_not_asked_either(application: Application) -> None:
    async def identify(_: Any) -> NoReturn:
        raise AssertionError("asked")

    posthog = application.new_client(asynchronous=True)(identify=identify)
    with pytest.raises(SyncHandle):
        posthog.capture(Session(), "paid", distinct_id="u1")


def test_the_session_inside_of_run_sync_is_posthogs(application: Application) -> None:
    posthog = AsyncPostHog(project_token=TOKEN)

    async def serve() -> None:
        async with AsyncSession() as session:
            inner = await session.run_sync(lambda inner: inner)
            with pytest.raises(SyncHandle, match="a SQLAlchemy Session is synchronous"):
                await posthog.capture(inner, "paid", distinct_id="u1")

    application.run(serve())


def test_every_asynchronous_kind_is_known_to_both_clients() -> None:
    assert set(ASYNC_KINDS) == ASYNC


def test_it_is_a_mistake_of_the_caller_and_a_type_error() -> None:
    for error in (AsyncHandle, SyncHandle):
        assert issubclass(error, UnsupportedHandle)
    assert issubclass(UnsupportedHandle, UsageError)
    assert issubclass(UnsupportedHandle, TypeError)
