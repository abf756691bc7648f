"""Every pair of a handle and a database, opened, with a table of the application's beside hogbox's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hogbox import PostHog
from tests.fixtures.database import SharedDatabases, TestDatabase
from tests.handles.opened import OPENERS, PAIRS, Opened


@pytest.fixture
def clean(emptied: SharedDatabases) -> SharedDatabases:
    """The shared databases, each with an empty table of the application's, `orders`."""

    def give(backend: str) -> TestDatabase:
        database = emptied(backend)
        database.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY)")
        database.execute("DELETE FROM orders")
        return database

    return give


@pytest.fixture(params=PAIRS, ids=[" on ".join(pair) for pair in PAIRS])
def pair(request: pytest.FixtureRequest, clean: SharedDatabases) -> tuple[str, TestDatabase]:
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
