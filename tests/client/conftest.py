"""Clients, and the events that they write."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hogbox import PostHog
from tests.fixtures.colour import COLOURS
from tests.fixtures.database import BACKENDS, SharedDatabases, TestDatabase

TOKEN = "phc_a_token_of_the_tests"

Client = Callable[..., PostHog]
Only = Callable[[], dict[str, Any]]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the environment's decides what a client does."""
    for name in os.environ:
        if name.startswith(("POSTHOG_", "HOGBOX_")) and not name.startswith(("HOGBOX_TEST_", "HOGBOX_REQUIRE")):
            monkeypatch.delenv(name)


@pytest.fixture
def database(emptied: SharedDatabases) -> TestDatabase:
    """A SQLite file: for what doesn't depend on the database."""
    return emptied("sqlite")


@pytest.fixture(params=BACKENDS)
def any_database(request: pytest.FixtureRequest, emptied: SharedDatabases) -> TestDatabase:
    """Each of the three backends."""
    return emptied(request.param)


@pytest.fixture(params=COLOURS)
def colour(request: pytest.FixtureRequest) -> type[PostHog]:
    """Each of the two clients; the asynchronous one is awaited at once."""
    kind: type[PostHog] = COLOURS[request.param]
    return kind


@pytest.fixture
def client(database: TestDatabase, colour: type[PostHog]) -> Iterator[Client]:
    """Makes clients of the database."""
    made: list[PostHog] = []

    def make(**arguments: Any) -> PostHog:
        made.append(colour(database.url, **{"project_token": TOKEN, **arguments}))
        return made[-1]

    yield make
    for one in made:
        one.shutdown()


@pytest.fixture
def posthog(client: Client) -> PostHog:
    """A client with nothing special."""
    return client()


@pytest.fixture
def only(database: TestDatabase) -> Only:
    """Reads the one event that is in the outbox."""

    def read() -> dict[str, Any]:
        (event,) = database.events()
        return event

    return read
