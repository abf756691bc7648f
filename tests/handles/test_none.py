"""No transaction of the caller's: hogbox commits by itself, at once, for both clients, wherever the URL says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from hogbox import AsyncPostHog, PostHog
from hogbox._store.connections.engine import open_engine
from hogbox.errors import ConfigurationError
from tests.fixtures.database import BACKENDS, SharedDatabases, TestDatabase
from tests.fixtures.stored import store
from tests.handles.application import DRIVERS, TOKEN, Application, asynchronous_url
from tests.handles.story import FLAG, names

Source = Callable[[TestDatabase, Application], Any]


def _url_of(driver: str) -> Source:
    return lambda database, _: asynchronous_url(database, driver)


def _engine_of(driver: str) -> Source:
    return lambda database, application: application.engine(database, driver)


def _with_options(database: TestDatabase) -> str:
    url = database.engine.url
    options = {"host": f"{url.host}:{url.port}", "ssl": "prefer", "prepared_statement_cache_size": "0"}
    moved = sa.URL.create("postgresql+asyncpg", url.username, url.password, database=url.database, query=options)
    return moved.render_as_string(hide_password=False)


SOURCES: dict[str, tuple[str, Source]] = {
    **{f"URL of {backend}": (backend, lambda database, _: database.url) for backend in BACKENDS},
    **{f"Engine of {backend}": (backend, lambda database, _: database.engine) for backend in BACKENDS},
    **{f"URL of {driver}": (backend, _url_of(driver)) for driver, backend in DRIVERS.items()},
    **{f"AsyncEngine of {driver}": (backend, _engine_of(driver)) for driver, backend in DRIVERS.items()},
    "URL of psycopg_async": ("postgresql", _url_of("psycopg_async")),
    "URL of asyncpg, host among the options": ("postgresql", lambda database, _: _with_options(database)),
}
"""What a client is given as its database, and which one it is."""


@pytest.fixture(params=[False, True], ids=["PostHog", "AsyncPostHog"])
def asynchronous(request: pytest.FixtureRequest) -> bool:
    """Whether the client is."""
    return bool(request.param)


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, clean: SharedDatabases) -> tuple[TestDatabase, Source]:
    """A database, and what says to a client which one it is."""
    backend, source = SOURCES[request.param]
    return clean(backend), source


@pytest.fixture
def database(source: tuple[TestDatabase, Source]) -> TestDatabase:
    """The client's database."""
    return source[0]


@pytest.fixture
def posthog(source: tuple[TestDatabase, Source], application: Application, asynchronous: bool) -> Iterator[PostHog]:
    """A client of each colour on the database."""
    database, give = source
    given = give(database, application)
    posthog = application.new_client(asynchronous=asynchronous)(database=given, definitions_max_age=0)
    yield posthog
    posthog.shutdown()


def test_p1_committed_before_capture_returns(database: TestDatabase, posthog: PostHog) -> None:
    uuid = posthog.capture(None, "paid", distinct_id="u1")
    assert [event["uuid"] for event in database.events()] == [uuid]
    uuid = posthog.capture(None, "paid", distinct_id="u" * 201)
    assert [row["event_uuid"] for row in database.dead_letters()] == [uuid]
    assert len(database.events()) == 1


def test_a_flag_is_read_and_its_exposure_committed_at_once(database: TestDatabase, posthog: PostHog) -> None:
    store(database, TOKEN, FLAG)
    for _ in range(2):
        assert posthog.get_feature_flag(None, "colour", distinct_id="u1", track_exposures=True) == "red"
        assert names(database) == ["$feature_flag_called"]


def test_an_engine_of_the_callers_is_left_open(
    clean: SharedDatabases, application: Application, asynchronous: bool
) -> None:
    database = clean("postgresql")
    with database.engine.connect() as mine:
        posthog = application.new_client(asynchronous=asynchronous)(database=database.engine)
        posthog.capture(None, "paid", distinct_id="u1")
        posthog.shutdown()
        assert not mine.closed
        assert mine.exec_driver_sql("SELECT 1").scalar() == 1
    assert names(database) == ["paid"]


def test_p1_a_transaction_of_the_callers_beside_it_is_not_touched(
    clean: SharedDatabases, application: Application, asynchronous: bool
) -> None:
    database = clean("postgresql")
    posthog = application.new_client(asynchronous=asynchronous)(database=database.engine)
    with database.engine.connect() as mine:
        mine.exec_driver_sql("INSERT INTO orders VALUES (1)")
        posthog.capture(None, "paid", distinct_id="u1")
        mine.rollback()
    posthog.shutdown()
    assert names(database) == ["paid"]
    assert database.count("orders") == 0


def test_p1_an_open_transaction_of_an_async_engine_is_not_touched(
    clean: SharedDatabases, application: Application
) -> None:
    database = clean("postgresql")
    engine = application.engine(database, "asyncpg")

    async def serve() -> None:
        async with AsyncPostHog(engine, project_token=TOKEN) as posthog, engine.connect() as mine:
            await mine.exec_driver_sql("INSERT INTO orders VALUES (1)")
            await posthog.capture(None, "paid", distinct_id="u1")
            await mine.rollback()

    application.run(serve())
    assert names(database) == ["paid"]
    assert database.count("orders") == 0


@pytest.mark.parametrize(
    ("given", "opened"),
    [
        ("postgresql+asyncpg://a:b@h/d?ssl=require", "postgresql+psycopg://a:b@h/d?sslmode=require"),
        (
            "postgresql+asyncpg://a@/d?host=/run/postgresql&statement_cache_size=0",
            "postgresql+psycopg://a@/d?host=/run/postgresql",
        ),
        (
            "postgresql+asyncpg://a@/d?host=h1:5432&host=h2:5433&target_session_attrs=primary&timeout=3",
            "postgresql+psycopg://a@/d?host=h1:5432&host=h2:5433&target_session_attrs=primary",
        ),
        ("mysql+asyncmy://a@h/d?charset=utf8mb4", "mysql+pymysql://a@h/d?charset=utf8mb4"),
        ("mariadb+aiomysql://a@h/d", "mariadb+pymysql://a@h/d"),
        ("sqlite+aiosqlite:////srv/app.db", "sqlite+pysqlite:////srv/app.db"),
    ],
)
def test_the_url_of_an_asynchronous_driver_leads_to_the_same_database(given: str, opened: str) -> None:
    assert open_engine(given).url == sa.make_url(opened)


def test_a_database_in_an_asynchronous_drivers_memory_is_refused(application: Application) -> None:
    for given in ("sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:"):
        with pytest.raises(ConfigurationError, match=r"in memory belongs to one connection.*sqlite:///app\.db"):
            AsyncPostHog(given, project_token=TOKEN)
