"""The shop with hogbox installed, and the events that its requests leave behind."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from hogbox import PostHog
from hogbox.integrations.flask import Hogbox
from tests.fixtures.database import SharedDatabases, TestDatabase
from tests.integrations.flask.shop import TOKEN, dispose, make_shop, signed_in

InstallShop = Callable[..., Flask]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the environment's decides what a client does."""
    for name in os.environ:
        if name.startswith(("POSTHOG_", "HOGBOX_")) and not name.startswith(("HOGBOX_TEST_", "HOGBOX_REQUIRE")):
            monkeypatch.delenv(name)


@pytest.fixture
def orders(emptied: SharedDatabases) -> SharedDatabases:
    """The shared databases, each with an empty table `orders`."""

    def give(backend: str) -> TestDatabase:
        database = emptied(backend)
        database.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY)")
        database.execute("DELETE FROM orders")
        return database

    return give


@pytest.fixture
def database(orders: SharedDatabases) -> TestDatabase:
    """A SQLite file: for what doesn't depend on the database."""
    return orders("sqlite")


@pytest.fixture
def install_shop() -> Iterator[InstallShop]:
    """Makes shops with hogbox installed: `install_shop(database, personless=True)`."""
    made: list[Flask] = []

    def install(database: TestDatabase, **options: Any) -> Flask:
        app = make_shop(database)
        posthog = PostHog(database.url, project_token=TOKEN, host="http://127.0.0.1:9")
        Hogbox(app, posthog, **{"distinct_id": signed_in, **options})
        made.append(app)
        return app

    yield install
    for app in made:
        dispose(app)
        app.extensions["hogbox"].shutdown()


@pytest.fixture
def shop(install_shop: InstallShop, database: TestDatabase) -> Flask:
    """The shop on SQLite. Exceptions become a 500, as in production."""
    return install_shop(database)
