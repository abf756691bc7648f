"""What is no handle is refused at the call, with what was given and what is accepted."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

import aiosqlite
import asyncpg  # type: ignore[import-untyped]
import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import sessionmaker

from hogbox import PostHog
from hogbox.errors import AsyncHandle, UnsupportedHandle, UsageError

ACCEPTED = (
    "pass one of SQLAlchemy Session, SQLAlchemy scoped_session, SQLAlchemy Connection, sqlite3 connection, "
    "psycopg connection, PyMySQL connection; or None, and hogbox commits by itself"
)

METHODS: dict[str, Callable[[PostHog, Any], Any]] = {
    "capture": lambda posthog, ctx: posthog.capture(ctx, "paid", distinct_id="u1"),
    "identify": lambda posthog, ctx: posthog.identify(ctx, distinct_id="u1"),
    "group_identify": lambda posthog, ctx: posthog.group_identify(ctx, "company", "c-19"),
    "alias": lambda posthog, ctx: posthog.alias(ctx, "anon", distinct_id="u1"),
    "capture_exception": lambda posthog, ctx: posthog.capture_exception(ctx, "it broke", distinct_id="u1"),
}


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Callable[[PostHog, Any], Any]:
    """Each capturing method, called on a handle."""
    return METHODS[request.param]


def unborn(kind: type) -> Any:
    """An object of that class that nothing has initialised: hogbox looks at the class only."""
    return object.__new__(kind)


@pytest.mark.parametrize(
    ("handle", "message"),
    [
        (
            sa.create_engine("sqlite://"),
            f"hogbox can't write in a sqlalchemy.engine.base.Engine: {ACCEPTED}",
        ),
        ("u1", f"hogbox can't write in a builtins.str: {ACCEPTED}"),
        (object(), f"hogbox can't write in a builtins.object: {ACCEPTED}"),
        (0, f"hogbox can't write in a builtins.int: {ACCEPTED}"),
    ],
    ids=["engine", "text", "object", "zero"],
)
def test_other_objects_are_refused_with_what_is_accepted(
    posthog: PostHog, method: Callable[[PostHog, Any], Any], handle: Any, message: str
) -> None:
    with pytest.raises(UnsupportedHandle) as caught:
        method(posthog, handle)
    assert str(caught.value) == message


def test_cursors_are_refused(posthog: PostHog) -> None:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(UnsupportedHandle, match=r"can't write in a sqlite3\.Cursor: pass one of"):
        posthog.capture(connection.cursor(), "paid", distinct_id="u1")
    connection.close()


def test_a_session_factory_is_refused(posthog: PostHog) -> None:
    with pytest.raises(UnsupportedHandle, match=r"can't write in a sqlalchemy\.orm\.session\.sessionmaker: pass"):
        posthog.capture(sessionmaker(), "paid", distinct_id="u1")


@pytest.mark.parametrize(
    ("handle", "message"),
    [
        (
            unborn(AsyncConnection),
            "AsyncConnection is asynchronous and PostHog is not: use "
            "await connection.run_sync(lambda c: posthog.capture(c, ...))",
        ),
        (
            AsyncSession(),
            "AsyncSession is asynchronous and PostHog is not: use "
            "await session.run_sync(lambda s: posthog.capture(s, ...))",
        ),
        (
            async_scoped_session(async_sessionmaker(), scopefunc=object),
            "async_scoped_session is asynchronous and PostHog is not: use "
            "await session.run_sync(lambda s: posthog.capture(s, ...))",
        ),
        (
            unborn(type("Own", (psycopg.AsyncConnection,), {"__del__": lambda _: None})),
            "AsyncConnection is asynchronous and PostHog is not: use a psycopg.Connection",
        ),
        (
            unborn(asyncpg.pool.PoolConnectionProxy),
            "PoolConnectionProxy is asynchronous and PostHog is not: use a psycopg.Connection",
        ),
        (
            unborn(type("Own", (aiosqlite.Connection,), {"__del__": lambda _: None})),
            "Connection is asynchronous and PostHog is not: use a sqlite3.Connection",
        ),
    ],
    ids=["AsyncConnection", "AsyncSession", "async_scoped_session", "psycopg", "asyncpg pool", "aiosqlite"],
)
def test_asynchronous_handles_are_refused_with_what_to_use_instead(
    posthog: PostHog, method: Callable[[PostHog, Any], Any], handle: Any, message: str
) -> None:
    with pytest.raises(AsyncHandle) as caught:
        method(posthog, handle)
    assert str(caught.value) == message


def test_an_asyncpg_connection_is_refused(posthog: PostHog) -> None:
    class Own(asyncpg.Connection):  # type: ignore[misc]
        def __del__(self) -> None:
            """Nothing was opened."""

        def __repr__(self) -> str:
            return "unborn"

    with pytest.raises(AsyncHandle, match=r"^Connection is asynchronous and PostHog is not: use a psycopg.Connection$"):
        posthog.capture(unborn(Own), "paid", distinct_id="u1")


def test_an_async_engines_connection_is_refused_while_it_is_in_use(posthog: PostHog) -> None:
    async def serve() -> None:
        engine = create_async_engine("sqlite+aiosqlite://")
        async with engine.connect() as connection:
            with pytest.raises(AsyncHandle):
                posthog.capture(connection, "paid", distinct_id="u1")
        await engine.dispose()

    asyncio.run(serve())


def test_it_is_a_mistake_of_the_caller_and_a_type_error() -> None:
    assert issubclass(AsyncHandle, UnsupportedHandle)
    assert issubclass(UnsupportedHandle, UsageError)
    assert issubclass(UnsupportedHandle, TypeError)


def test_the_callback_is_not_asked_about_what_is_no_handle() -> None:
    def identify(_: Any) -> str:
        raise AssertionError("asked")

    posthog = PostHog(project_token="phc_handles", identify=identify)
    with pytest.raises(UnsupportedHandle):
        posthog.capture(object(), "paid", distinct_id="u1")
