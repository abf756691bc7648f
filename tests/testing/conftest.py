"""Clients of both colours in one way, and an environment that decides nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from inspect import iscoroutinefunction
from typing import Any

import pytest

from hogbox import AsyncPostHog, PostHog
from tests.fixtures.database import SharedDatabases, TestDatabase

TOKEN = "phc_a_token_of_the_tests"
NOWHERE = "http://127.0.0.1:1"
"""Where no PostHog answers: a test that asks it fails."""

MakeClient = Callable[..., "Client"]


class Client:
    """A client of either colour, whose methods can be called without a wait; by one thread only."""

    def __init__(self, client: PostHog | AsyncPostHog) -> None:
        self.own = client
        self._runner = asyncio.Runner()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.own, name)
        if iscoroutinefunction(method):
            return lambda *arguments, **options: self._runner.run(method(*arguments, **options))
        return method  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close its connections."""
        self.shutdown()
        self._runner.close()


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


@pytest.fixture(params=[PostHog, AsyncPostHog])
def make_client(request: pytest.FixtureRequest) -> Iterator[MakeClient]:
    """Makes clients of one colour, which no PostHog answers unless they are told of one."""
    made: list[Client] = []

    def make(database: Any = None, **arguments: Any) -> Client:
        made.append(Client(request.param(database, **{"project_token": TOKEN, "host": NOWHERE, **arguments})))
        return made[-1]

    yield make
    for one in made:
        one.close()
