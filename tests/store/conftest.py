"""Workers' stores on each database, and events for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest

from hogbox._store.capture import CaptureStatements
from hogbox._store.connections.database import Database
from hogbox._store.delivery import DeliveryStore
from tests.fixtures.database import BACKENDS, SharedDatabases, TestDatabase

StoreOf = Callable[[str], DeliveryStore]
WriteEvents = Callable[..., list[int]]


@pytest.fixture(params=BACKENDS)
def database(request: pytest.FixtureRequest, emptied: SharedDatabases) -> TestDatabase:
    """A database with hogbox's tables and nothing in them, on each of the three backends."""
    return emptied(request.param)


@pytest.fixture
def own(database: TestDatabase) -> Iterator[Database]:
    """hogbox's own access to the test's database."""
    opened = Database(database.url, "posthog_")
    yield opened
    opened.close()


@pytest.fixture
def store_of(own: Database) -> StoreOf:
    """The store of a worker of this name."""
    return lambda worker: DeliveryStore(own, worker)


@pytest.fixture
def store(store_of: StoreOf) -> DeliveryStore:
    """The store of the worker `w1`, which holds every shard under fence 1."""
    store = store_of("w1")
    store.announce("host", 1, "0.1.0")
    store.claim(range(64), lease=60)
    return store


@pytest.fixture
def write(database: TestDatabase, own: Database) -> WriteEvents:
    """Writes events into a shard, committed: `write(3, "first", "second")`; returns their ids."""

    def write(shard: int, *names: str, project: str = "phc_store") -> list[int]:
        with own.begin() as connection:
            for name in names:
                payload = msgspec.json.encode({"uuid": f"uuid of {name}", "event": name}).decode()
                values = {"shard": shard, "project": project, "lane": "analytics", "payload": payload}
                connection.execute(CaptureStatements(own.tables).insert_event, values)
        return [row["id"] for row in database.rows("posthog_outbox")][-len(names) :]

    return write
