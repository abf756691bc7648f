"""A worker's life: sharing, waking, ending, surviving its database."""

from __future__ import annotations

import logging
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from hogbox import PostHog
from hogbox._store.connections.database import Database
from hogbox._worker.worker import Delivery, Worker
from hogbox.emulator import Emulator
from hogbox.errors import ConfigurationError
from hogbox.settings import DeliverySettings
from tests.fixtures.database import TestDatabase
from tests.fixtures.process import WorkerStarter
from tests.fixtures.waiting import wait_until

QUICK = DeliverySettings(request_timeout_seconds=1.0, lease_seconds=1.5, poll_seconds=0.1, senders=2)


@contextmanager
def running(database: TestDatabase, emulator: Emulator) -> Iterator[Worker]:
    """A worker in a thread of its own."""
    worker = Worker(Database(database.engine, "posthog_"), emulator.url, QUICK)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join()


def owners(database: TestDatabase) -> dict[str | None, int]:
    """How many shards each worker owns; None is nobody."""
    with database.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT owner, count(*) FROM posthog_shards GROUP BY owner")).all()
    return dict(rows)


def test_a_worker_alone_holds_all_shards_and_gives_them_back(database: TestDatabase, emulator: Emulator) -> None:
    with running(database, emulator) as worker:
        wait_until(lambda: owners(database) == {worker.id: 64}, "the worker to hold all shards")
    assert owners(database) == {None: 64}
    assert database.count("posthog_workers") == 0


def test_workers_share_the_shards_and_take_over_from_one_that_leaves(
    database: TestDatabase, emulator: Emulator
) -> None:
    with running(database, emulator) as first, running(database, emulator) as second:
        fair = {first.id: 32, second.id: 32}
        wait_until(lambda: owners(database) == fair, "two workers to hold half of the shards each")
        with running(database, emulator):
            wait_until(
                lambda: None not in owners(database) and sorted(owners(database).values()) == [20, 22, 22],
                "three workers to hold a third each",
            )
        wait_until(lambda: owners(database) == fair, "the two that stay to hold half each again")


def test_a_killed_workers_shards_are_taken_over_when_its_leases_have_run_out(
    database: TestDatabase, emulator: Emulator, start_worker: WorkerStarter
) -> None:
    victim = start_worker(database.url, emulator.url)
    wait_until(lambda: None not in owners(database), "the first worker to hold all shards")
    victim.kill()
    with PostHog(database.url, project_token="phc_test") as posthog:
        posthog.capture(None, "survivor", distinct_id="u1")
    with running(database, emulator) as successor:
        emulator.wait_for_events(1)
        wait_until(lambda: owners(database) == {successor.id: 64}, "the second worker to hold all shards")
        wait_until(lambda: database.count("posthog_workers") == 1, "the dead worker to be forgotten")


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_told_to_end_finishes_what_is_under_way(
    sqlite_database: TestDatabase, emulator: Emulator, start_worker: WorkerStarter, ending: signal.Signals
) -> None:
    emulator.fault(delay=0.5)
    with PostHog(sqlite_database.url, project_token="phc_test") as posthog:
        for number in range(10):
            posthog.capture(None, "step", distinct_id="u1", properties={"n": number})
    worker = start_worker(sqlite_database.url, emulator.url)
    emulator.wait_for(lambda server: server.summary()["faults_fired"] == 1)
    worker.send_signal(ending)
    assert worker.wait(timeout=10) == 0
    assert [event.properties["n"] for event in emulator.events()] == list(range(10))
    assert sqlite_database.count("posthog_outbox") == 0
    assert owners(sqlite_database) == {None: 64}
    assert sqlite_database.count("posthog_workers") == 0


def test_the_thread_worker_delivers_what_this_process_and_others_commit(
    database: TestDatabase, emulator: Emulator
) -> None:
    with PostHog(database.url, project_token="phc_test", host=emulator.url) as posthog:
        posthog.start()
        posthog.start()
        with database.engine.begin() as connection:
            posthog.capture(connection, "here", distinct_id="u1")
            assert emulator.events() == []
        emulator.wait_for_events(1)
        with PostHog(database.url, project_token="phc_test") as elsewhere:
            elsewhere.capture(None, "there", distinct_id="u2")
        assert {event.event for event in emulator.wait_for_events(2)} == {"here", "there"}
        assert [thread.name for thread in threading.enumerate()].count("hogbox-worker") == 1
    assert "hogbox-worker" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_worker_survives_that_the_database_cuts_its_connections(database: TestDatabase, emulator: Emulator) -> None:
    cut = {"postgresql": cut_postgresql, "mariadb": cut_mariadb}[database.backend]
    with PostHog(database.url, project_token="phc_test", host=emulator.url, delivery=QUICK) as posthog:
        posthog.start()
        posthog.capture(None, "before", distinct_id="u1")
        emulator.wait_for_events(1)
        cut(database)
        posthog.capture(None, "after", distinct_id="u1")
        emulator.wait_for_events(2)


def cut_postgresql(database: TestDatabase) -> None:
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with database.engine.connect() as connection:
        connection.execute(sa.text(kill))


def cut_mariadb(database: TestDatabase) -> None:
    others = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    with database.engine.connect() as connection:
        for number in connection.scalars(sa.text(others)).all():
            connection.execute(sa.text(f"KILL {number}"))


def test_a_drain_leaves_what_is_captured_after_it_began(sqlite_database: TestDatabase, emulator: Emulator) -> None:
    """A drain ends though producers never do."""
    with PostHog(sqlite_database.url, project_token="phc_test", host=emulator.url) as posthog:
        for _ in range(3):
            posthog.capture(None, "before", distinct_id="u1")

        def produce(done: int, total: int) -> None:
            posthog.capture(None, "during", distinct_id="u1")

        result = posthog.deliver(progress=produce)
        assert [event.event for event in emulator.events()][:3] == ["before"] * 3
        assert result.delivered >= 3


def test_two_drains_at_once_share_the_work_and_both_end(database: TestDatabase, emulator: Emulator) -> None:
    clients = [PostHog(database.url, project_token="phc_test", host=emulator.url, delivery=QUICK) for _ in range(2)]
    with database.engine.begin() as connection:
        for number in range(400):
            clients[0].capture(connection, "step", distinct_id=f"u{number % 50}", properties={"n": number})
    results = in_threads([client.deliver for client in clients])
    for client in clients:
        client.shutdown()
    assert [result.waiting for result in results] == [0, 0]
    assert len(emulator.events(unique=True)) == 400


def in_threads(calls: list[Callable[[], Delivery]]) -> list[Delivery]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [turn.result() for turn in [pool.submit(call) for call in calls]]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused_with_what_to_use(url: str) -> None:
    with PostHog(url, project_token="phc_test") as posthog:
        for deliver in (posthog.deliver, posthog.start):
            with pytest.raises(ConfigurationError, match=r"use a file, sqlite:///app.db"):
                deliver()


@contextmanager
def locked(database: TestDatabase) -> Iterator[Worker]:
    """A worker that has never seen its tables, since somebody keeps all others out of the SQLite file."""
    database.engine.dispose()
    lock = sqlite3.connect(sa.make_url(database.url).database or "", isolation_level=None)
    lock.execute("PRAGMA journal_mode = DELETE")
    lock.execute("BEGIN EXCLUSIVE")
    impatient = Database(sa.create_engine(database.url, connect_args={"timeout": 0.05}), "posthog_")
    try:
        yield Worker(impatient, "http://127.0.0.1:9", QUICK)
    finally:
        lock.close()
        impatient.close()


def test_a_worker_that_starts_while_sqlite_is_locked_waits(
    sqlite_database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with ThreadPoolExecutor() as pool, locked(sqlite_database) as worker:
        try:
            ran = pool.submit(worker.run)
            wait_until(lambda: worker.health().failing_for is not None, "the worker to meet the lock")
            with pytest.raises(TimeoutError):
                ran.result(timeout=1.5)
        finally:
            worker.stop()
        ran.result(timeout=30)
    assert [record.getMessage()[:18] for record in caplog.records if record.levelno == logging.WARNING] == [
        "database error; re"
    ]


def test_a_worker_whose_start_waited_for_a_lock_works_when_it_is_gone(
    sqlite_database: TestDatabase, emulator: Emulator
) -> None:
    with ThreadPoolExecutor() as pool:
        with locked(sqlite_database) as worker:
            ran = pool.submit(worker.run)
            wait_until(lambda: worker.health().failing_for is not None, "the worker to meet the lock")
        try:
            wait_until(lambda: owners(sqlite_database) == {worker.id: 64}, "the worker to hold all shards")
        finally:
            worker.stop()
        ran.result(timeout=30)


def test_a_drain_leaves_no_bound_on_other_statements_of_the_process(
    sqlite_database: TestDatabase, emulator: Emulator
) -> None:
    with PostHog(sqlite_database.url, project_token="phc_test", host=emulator.url) as posthog:
        posthog.capture(None, "captured", distinct_id="ada")
        assert posthog.deliver() == (1, 0, 0)
        assert posthog._components.database.guard.patience is None
        posthog.start()
        wait_until(lambda: posthog._components.database.guard.patience is not None, "the worker to begin")
        while_working = posthog._components.database.guard.patience
        posthog.capture(None, "captured", distinct_id="ada")
        posthog.deliver()
        assert posthog._components.database.guard.patience == while_working
        posthog.shutdown()
        assert posthog._components.database.guard.patience is None
