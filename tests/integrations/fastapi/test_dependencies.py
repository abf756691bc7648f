"""What endpoints depend on: the client, of either kind, and the flags of the person whose request it is."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx2
import pytest
import sqlalchemy as sa
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection

from hogbox import AsyncFlags, AsyncPostHog, Flags, PostHog
from hogbox.context import identify_context
from hogbox.errors import ConfigurationError
from hogbox.integrations.fastapi import (
    AsyncPostHogDep,
    HogboxMiddleware,
    PostHogDep,
    async_flags_of,
    flags_of,
    get_posthog,
    posthog_lifespan,
)
from tests.fixtures.database import TestDatabase, use_wal
from tests.fixtures.stored import store
from tests.integrations.fastapi.serving import served

PROJECT = "phc_dependencies"
FLAG = {
    "key": "gift-wrap",
    "active": True,
    "filters": {
        "groups": [
            {
                "properties": [{"key": "distinct_id", "type": "person", "operator": "exact", "value": ["ada"]}],
                "rollout_percentage": 100,
            }
        ]
    },
}
ADA = {"X-POSTHOG-DISTINCT-ID": "ada"}


def get_session(connection: HTTPConnection) -> Iterator[Session]:
    with Session(connection.app.state.engine) as session, session.begin():
        yield session


async def get_async_session(connection: HTTPConnection) -> AsyncIterator[AsyncSession]:
    async with AsyncSession(connection.app.state.async_engine) as session, session.begin():
        yield session


async def get_session_that_nobody_commits(connection: HTTPConnection) -> AsyncIterator[AsyncSession]:
    async with AsyncSession(connection.app.state.async_engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session)]
AsyncSessionDep = Annotated[AsyncSession, Depends(get_async_session)]
ScopedSessionDep = Annotated[AsyncSession, Depends(get_async_session, scope="function")]
BareSessionDep = Annotated[AsyncSession, Depends(get_session_that_nobody_commits)]

FlagsDep = Annotated[Flags, Depends(flags_of(SessionDep))]
AsyncFlagsDep = Annotated[AsyncFlags, Depends(async_flags_of(AsyncSessionDep))]
ScopedFlagsDep = Annotated[AsyncFlags, Depends(async_flags_of(ScopedSessionDep), scope="function")]
FunctionFlagsDep = Annotated[AsyncFlags, Depends(async_flags_of(get_async_session))]
BareFlagsDep = Annotated[AsyncFlags, Depends(async_flags_of(BareSessionDep))]


class NotingPostHog(AsyncPostHog):
    """Notes where flags are read."""

    seen: list[object]

    async def flags(self, ctx: Any, **options: Any) -> AsyncFlags:
        self.seen = [ctx]
        return await super().flags(ctx, **options)


def make_app(database: TestDatabase, **options: Any) -> FastAPI:
    """An application with both clients, whose lifespans are within one of its own."""
    use_wal(database)
    store(database, PROJECT, {"flags": [FLAG]})
    async_engine = create_async_engine(sa.make_url(database.url).set(drivername="sqlite+aiosqlite"))
    posthog = PostHog(database.engine, project_token=PROJECT, **options)
    async_posthog = NotingPostHog(async_engine, project_token=PROJECT, **options)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.engine, app.state.async_engine = database.engine, async_engine
        async with (
            posthog_lifespan(posthog, worker=False)(app),
            posthog_lifespan(async_posthog, worker=False)(app),
        ):
            yield
        await async_engine.dispose()

    return FastAPI(lifespan=lifespan, middleware=[Middleware(HogboxMiddleware, posthog=async_posthog)])


@pytest.fixture
def app(sqlite_database: TestDatabase) -> FastAPI:
    return make_app(sqlite_database)


@pytest.fixture
def tracking_app(sqlite_database: TestDatabase) -> FastAPI:
    return make_app(sqlite_database, track_exposures=True)


def told(answer: httpx2.Response) -> Any:
    answer.raise_for_status()
    return answer.json()


def test_both_clients_serve_one_application(app: FastAPI, sqlite_database: TestDatabase) -> None:
    @app.post("/plain")
    def plain(session: SessionDep, posthog: PostHogDep, flags: FlagsDep) -> bool | None:
        posthog.capture(session, "plain", flags=flags)
        return flags.is_enabled("gift-wrap")

    @app.post("/async")
    async def asynchronous(session: AsyncSessionDep, posthog: AsyncPostHogDep, flags: AsyncFlagsDep) -> bool | None:
        await posthog.capture(session, "async", flags=flags)
        return flags.is_enabled("gift-wrap")

    with served(app) as client:
        answers = [
            told(client.post(path, headers={"X-POSTHOG-DISTINCT-ID": person}))
            for path in ("/plain", "/async")
            for person in ("ada", "grace")
        ]
    assert answers == [True, False, True, False]
    events = [(event["event"], event["distinct_id"]) for event in sqlite_database.events()]
    assert events == [("plain", "ada"), ("plain", "grace"), ("async", "ada"), ("async", "grace")]
    assert [event["properties"]["$feature/gift-wrap"] for event in sqlite_database.events()] == answers


def seen_by(posthog: AsyncPostHog) -> list[object]:
    assert isinstance(posthog, NotingPostHog)
    return posthog.seen


def test_flags_are_read_in_the_session_of_the_endpoint(app: FastAPI) -> None:
    @app.get("/")
    async def read(session: AsyncSessionDep, posthog: AsyncPostHogDep, flags: AsyncFlagsDep) -> bool:
        return seen_by(posthog) == [session]

    @app.get("/scoped")
    async def scoped(session: ScopedSessionDep, posthog: AsyncPostHogDep, flags: ScopedFlagsDep) -> bool:
        return seen_by(posthog) == [session]

    @app.get("/function")
    async def function(session: AsyncSessionDep, posthog: AsyncPostHogDep, flags: FunctionFlagsDep) -> bool:
        return seen_by(posthog) == [session]

    with served(app) as client:
        assert [told(client.get(path, headers=ADA)) for path in ("/", "/scoped", "/function")] == [True] * 3


def test_flags_are_those_of_who_signed_in_before(app: FastAPI) -> None:
    async def sign_in() -> None:
        identify_context("ada")

    @app.get("/", dependencies=[Depends(sign_in)])
    async def read(flags: AsyncFlagsDep) -> bool | None:
        return flags.is_enabled("gift-wrap")

    with served(app) as client:
        assert told(client.get("/", headers={"X-POSTHOG-DISTINCT-ID": "grace"})) is True


def test_exposures_share_the_fate_of_the_session(tracking_app: FastAPI, sqlite_database: TestDatabase) -> None:

    @tracking_app.get("/{ending}")
    async def read(ending: str, flags: AsyncFlagsDep) -> bool | None:
        value = flags.is_enabled("gift-wrap")
        if ending == "fails":
            raise HTTPException(409)
        return value

    with served(tracking_app) as client:
        assert client.get("/fails", headers=ADA).status_code == 409
        assert sqlite_database.events() == []
        assert told(client.get("/ends-well", headers=ADA)) is True
    (event,) = sqlite_database.events()
    assert (event["event"], event["distinct_id"]) == ("$feature_flag_called", "ada")


def test_exposures_are_kept_by_an_endpoint_that_writes_them_before_it_commits(
    tracking_app: FastAPI, sqlite_database: TestDatabase
) -> None:
    @tracking_app.get("/{how}")
    async def read(how: str, session: BareSessionDep, posthog: AsyncPostHogDep, flags: BareFlagsDep) -> bool | None:
        value = flags.is_enabled("gift-wrap")
        if how == "captured":
            await posthog.capture(session, "read", flags=flags)
        elif how == "written":
            await flags.write_exposures()
        await session.commit()
        return value

    counts = []
    with served(tracking_app) as client:
        for how, person in (("captured", "ada"), ("written", "grace"), ("neither", "joan")):
            told(client.get(f"/{how}", headers={"X-POSTHOG-DISTINCT-ID": person}))
            counts.append(len(sqlite_database.events()))
    assert counts == [2, 3, 3]


def test_a_client_that_is_not_there_is_told_of(sqlite_database: TestDatabase, caplog: pytest.LogCaptureFixture) -> None:
    app = FastAPI()

    @app.get("/", dependencies=[Depends(get_posthog)])
    async def read() -> None: ...

    with served(app) as client:
        # uvicorn closes the connection after an error, at a moment of its own.
        assert client.get("/", headers={"Connection": "close"}).status_code == 500
        app.state.posthog = PostHog(sqlite_database.engine, project_token=PROJECT)
        assert client.get("/").status_code == 200
    assert "app.state.posthog is not set to a PostHog: use posthog_lifespan" in caplog.text


def test_the_client_can_be_replaced_in_tests(app: FastAPI, sqlite_database: TestDatabase) -> None:
    @app.post("/")
    def place_order(posthog: PostHogDep) -> str | None:
        return posthog.capture(None, "order placed")

    app.dependency_overrides[get_posthog] = lambda: PostHog(
        sqlite_database.engine, project_token=PROJECT, disabled=True
    )
    with served(app) as client:
        assert told(client.post("/", headers=ADA)) is None


def test_dependencies_do_not_show_in_the_schema(app: FastAPI) -> None:
    plain = FastAPI()

    def declare() -> None:
        @plain.get("/{number}")
        async def read(number: int) -> bool:
            return True

    @app.get("/{number}")
    async def read(
        number: int, posthog: PostHogDep, other: AsyncPostHogDep, flags: FlagsDep, async_flags: AsyncFlagsDep
    ) -> bool:
        return True

    declare()
    assert app.openapi() == plain.openapi()


@pytest.mark.parametrize("make", [flags_of, async_flags_of])
def test_what_is_no_session_is_told_at_once(make: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"must be Annotated\[Session, Depends\(get_session\)\]"):
        make(None)
