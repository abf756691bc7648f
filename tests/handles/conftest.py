"""Every pair of a handle and a database, opened, with a table of the application's beside hogbox's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import pytest

from hogbox import PostHog
from hogbox._store.handles.async_handle import AsyncWriter
from hogbox._store.handles.handle import Writer
from tests.fixtures.database import SharedDatabases, TestDatabase
from tests.handles.application import TOKEN, Application, NewClient
from tests.handles.async_opened import ASYNC_OPENERS, ASYNC_PAIRS
from tests.handles.opened import OPENERS, PAIRS, Opened

EMPTIED = ("posthog_outbox", "posthog_dead_letters", "posthog_flag_definitions", "posthog_exposures", "orders")

OpenHandle = Callable[[], AbstractContextManager[Opened]]


@pytest.fixture
def clean(shared_databases: SharedDatabases) -> SharedDatabases:
    """The shared databases with nothing in them, each with a table of the application's, `orders`."""

    def give(backend: str) -> TestDatabase:
        database = shared_databases(backend)
        with database.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY)")
            for table in EMPTIED:
                connection.exec_driver_sql(f"DELETE FROM {table}")
        return database

    return give


@pytest.fixture(scope="session")
def application(shared_databases: SharedDatabases) -> Iterator[Application]:
    """An asynchronous application, for as long as the shared databases are there."""
    application = Application()
    yield application
    application.close()


@pytest.fixture(params=[*PAIRS, *ASYNC_PAIRS], ids=" on ".join)
def pair(request: pytest.FixtureRequest, clean: SharedDatabases) -> tuple[str, TestDatabase]:
    """A kind of handle, and a database that it speaks."""
    kind, backend = request.param
    return kind, clean(backend)


@pytest.fixture
def database(pair: tuple[str, TestDatabase]) -> TestDatabase:
    """The database of the handle."""
    return pair[1]


@pytest.fixture
def open_handle(pair: tuple[str, TestDatabase], application: Application) -> OpenHandle:
    """Opens a handle of the kind."""
    kind, database = pair
    if kind in ASYNC_OPENERS:
        return lambda: application.entered(ASYNC_OPENERS[kind](database, application))
    return lambda: OPENERS[kind](database)


@pytest.fixture
def opened(open_handle: OpenHandle) -> Iterator[Opened]:
    """The handle, opened."""
    with open_handle() as opened:
        yield opened


@pytest.fixture
def client(pair: tuple[str, TestDatabase], application: Application) -> NewClient:
    """Gives clients of the handle's colour, which other tests use as well: they have no flags to remember."""
    return partial(application.client, asynchronous=pair[0] in ASYNC_OPENERS)


@pytest.fixture
def new_client(pair: tuple[str, TestDatabase], application: Application) -> NewClient:
    """Makes clients of the handle's colour, which know nothing yet."""
    return application.new_client(asynchronous=pair[0] in ASYNC_OPENERS)


@pytest.fixture
def write(pair: tuple[str, TestDatabase], application: Application) -> Callable[..., int]:
    """Runs a statement on a handle of the kind; the rows that it changed."""
    return application.running(AsyncWriter().write) if pair[0] in ASYNC_OPENERS else Writer().write


@pytest.fixture
def posthog() -> PostHog:
    """A synchronous client that has no database of its own: it writes in callers' transactions only."""
    return PostHog(project_token=TOKEN)
