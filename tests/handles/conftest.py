"""Databases that live as long as the tests of handles, emptied for each test, with a table of the application's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from hogbox import PostHog
from hogbox.schema import create_tables
from tests.fixtures.database import TestDatabase, make_database
from tests.handles.opened import OPENERS, PAIRS, Opened

Databases = Callable[[str], TestDatabase]


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """One database of each kind, made when it is first asked for."""
    made: dict[str, TestDatabase] = {}
    with ExitStack() as stack:

        def give(backend: str) -> TestDatabase:
            if backend not in made:
                folder = tmp_path_factory.mktemp("handles")
                made[backend] = stack.enter_context(make_database(request, backend, folder))
                create_tables(made[backend].engine)
                made[backend].execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
            return made[backend]

        yield give


@pytest.fixture
def clean(databases: Databases) -> Databases:
    """One of these databases, empty."""

    def give(backend: str) -> TestDatabase:
        database = databases(backend)
        for table in ("posthog_outbox", "posthog_dead_letters", "orders"):
            database.execute(f"DELETE FROM {table}")
        return database

    return give


@pytest.fixture(params=PAIRS, ids=[" on ".join(pair) for pair in PAIRS])
def pair(request: pytest.FixtureRequest, clean: Databases) -> tuple[str, TestDatabase]:
    """A kind of handle, and a database that it speaks."""
    kind, backend = request.param
    return kind, clean(backend)


@pytest.fixture
def database(pair: tuple[str, TestDatabase]) -> TestDatabase:
    """The database of the handle."""
    return pair[1]


@pytest.fixture
def opened(pair: tuple[str, TestDatabase]) -> Iterator[Opened]:
    """The handle, opened."""
    kind, database = pair
    with OPENERS[kind](database) as opened:
        yield opened


@pytest.fixture
def posthog() -> PostHog:
    """A client that has no database of its own: it writes in callers' transactions only."""
    return PostHog(project_token="phc_handles")
