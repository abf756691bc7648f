"""`hogbox worker`: delivers until it is asked to end, and then gives its shards back."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from hogbox.emulator import Emulator
from hogbox.schema import create_tables
from proof.proxy import Proxy
from tests.fixtures.database import TestDatabase, make_database
from tests.fixtures.forked import ForkedProcess
from tests.fixtures.process import WorkerStarter
from tests.fixtures.waiting import wait_until

Capture = Callable[[TestDatabase, int], None]


def end(process: ForkedProcess, number: int) -> int:
    process.send_signal(number)
    return process.wait(timeout=60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_it_delivers_and_ends_well_on_a_signal(
    database: TestDatabase, capture: Capture, emulator: Emulator, start_worker: WorkerStarter, number: signal.Signals
) -> None:
    capture(database, 3)
    process = start_worker(database.url, emulator.url)
    emulator.wait_for_events(3)
    capture(database, 2)
    emulator.wait_for_events(5)
    assert database.count("posthog_workers") == 1
    assert end(process, number) == 0
    assert database.events() == []
    assert database.count("posthog_workers") == 0
    shards = database.rows("posthog_shards", "shard")
    assert {(row["owner"], row["lease_expires_at"]) for row in shards} == {(None, 0)}
    assert {row["fence"] for row in shards} == {1}


def test_what_is_under_way_is_settled_before_it_ends(
    sqlite_database: TestDatabase, capture: Capture, emulator: Emulator, start_worker: WorkerStarter
) -> None:
    emulator.fault(delay=0.4)
    capture(sqlite_database, 1)
    process = start_worker(sqlite_database.url, emulator.url)
    emulator.wait_for(lambda running: bool(running.requests()))
    assert end(process, signal.SIGTERM) == 0
    assert len(emulator.events()) == 1
    assert sqlite_database.events() == []


def test_an_idle_worker_ends_well(
    sqlite_database: TestDatabase, emulator: Emulator, start_worker: WorkerStarter
) -> None:
    process = start_worker(sqlite_database.url, emulator.url)
    wait_until(lambda: sqlite_database.count("posthog_workers"), "the worker to announce itself")
    assert end(process, signal.SIGTERM) == 0
    assert sqlite_database.count("posthog_workers") == 0
    assert emulator.requests() == []


def test_a_worker_of_another_prefix_leaves_these_tables_alone(
    sqlite_database: TestDatabase, capture: Capture, emulator: Emulator, start_worker: WorkerStarter
) -> None:
    create_tables(sqlite_database.engine, table_prefix="shop_")
    capture(sqlite_database, 1)
    process = start_worker(sqlite_database.url, emulator.url, HOGBOX_TABLE_PREFIX="shop_")
    wait_until(lambda: sqlite_database.count("shop_workers"), "the worker to announce itself")
    assert end(process, signal.SIGTERM) == 0
    assert len(sqlite_database.events()) == 1
    assert emulator.requests() == []


def test_without_its_tables_it_ends_at_once(
    sqlite_database: TestDatabase, emulator: Emulator, start_worker: WorkerStarter
) -> None:
    process = start_worker(sqlite_database.url, emulator.url, HOGBOX_TABLE_PREFIX="none_")
    assert process.wait(timeout=30) == 1


@pytest.mark.parametrize("backend", ["postgresql", "mariadb"])
def test_it_ends_soon_while_the_database_is_frozen(
    request: pytest.FixtureRequest, tmp_path: Path, emulator: Emulator, start_worker: WorkerStarter, backend: str
) -> None:
    """Within the time that Docker gives a container, and a moment."""
    port = {"postgresql": 5432, "mariadb": 3306}[backend]
    with make_database(request, backend, tmp_path) as database:
        create_tables(database.engine)
        url = sa.make_url(database.url)
        with Proxy(url.host or "127.0.0.1", url.port or port) as proxy:
            through = url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
            process = start_worker(through, emulator.url, HOGBOX_LEASE_SECONDS="30")
            wait_until(lambda: database.count("posthog_workers"), "the worker to announce itself")
            proxy.hold()
            began = time.monotonic()
            assert end(process, signal.SIGTERM) == 0
            assert time.monotonic() - began < 13
