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
from hogbox._store.handle import KINDS
from hogbox.errors import AsyncHandle, UnsupportedHandle, UsageError

ACCEPTED = f"pass one of {', '.join(kind.name for kind in KINDS.values())}; or None, and hogbox commits by itself"

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


ASYNCHRONOUS: dict[str, Any] = {
    "sqlalchemy.ext.asyncio.engine.AsyncConnection": lambda: unborn(AsyncConnection),
    "sqlalchemy.ext.asyncio.session.AsyncSession": AsyncSession,
    "sqlalchemy.ext.asyncio.scoping.async_scoped_session": lambda: async_scoped_session(
        async_sessionmaker(), scopefunc=object
    ),
    "psycopg.AsyncConnection": lambda: unborn(own(psycopg.AsyncConnection)),
    "asyncpg.pool.PoolConnectionProxy": lambda: unborn(asyncpg.pool.PoolConnectionProxy),
    "aiosqlite.core.Connection": lambda: unborn(own(aiosqlite.Connection)),
}


def own(kind: type) -> type:
    """A class of the application's that inherits from the handle's, and minds no end."""
    return type("Own", (kind,), {"__del__": lambda _: None, "__module__": "application"})


@pytest.mark.parametrize("name", ASYNCHRONOUS)
def test_asynchronous_handles_are_refused_with_what_to_use_instead(
    posthog: PostHog, method: Callable[[PostHog, Any], Any], name: str
) -> None:
    handle = ASYNCHRONOUS[name]()
    shown = "application.Own" if type(handle).__name__ == "Own" else name
    with pytest.raises(AsyncHandle) as caught:
        method(posthog, handle)
    assert str(caught.value) == f"{shown} is asynchronous and PostHog is not: use AsyncPostHog, and await its methods"


def test_an_asyncpg_connection_is_refused(posthog: PostHog) -> None:
    class Own(asyncpg.Connection):  # type: ignore[misc]
        def __del__(self) -> None:
            """Nothing was opened."""

        def __repr__(self) -> str:
            return "unborn"

    with pytest.raises(AsyncHandle, match=r"Own is asynchronous and PostHog is not: use AsyncPostHog"):
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
