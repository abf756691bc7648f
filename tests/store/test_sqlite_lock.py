"""A transaction that holds the lock of a SQLite file, even one of the calling thread: calls end in time and say why."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from hogbox import PostHog
from hogbox._store.schema import migration
from hogbox.errors import TablesError
from tests.fixtures.database import TestDatabase

WHY = "a transaction of the application or of another process holds the lock"
BUSY = 1.3
"""Seconds that hogbox's own connections wait here."""


@pytest.fixture(params=["wal", "delete"])
def file(request: pytest.FixtureRequest, sqlite_database: TestDatabase) -> TestDatabase:
    database = sqlite_database
    database.execute(f"PRAGMA journal_mode = {request.param}")
    return database


@pytest.fixture
def posthog(file: TestDatabase) -> Iterator[PostHog]:
    engine = sa.create_engine(file.url, connect_args={"timeout": BUSY})
    with PostHog(engine, project_token="phc_t", host="http://127.0.0.1:9", personal_api_key="phs_k") as client:
        client.capture(None, "before", distinct_id="u1")
        yield client
    engine.dispose()


@pytest.fixture
def application(file: TestDatabase) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file.engine.url.database or "", isolation_level=None)) as connection:
        yield connection


@pytest.mark.parametrize(
    "call",
    [
        lambda posthog: posthog.capture(None, "mine", distinct_id="u1"),
        lambda posthog: posthog.refresh_flag_definitions(),
        lambda posthog: posthog.refresh_flag_definitions(only_if_due=True),
    ],
    ids=["capture", "refresh", "refresh if due"],
)
def test_a_call_in_an_open_transaction_of_the_same_thread_ends_in_time_and_says_why(
    posthog: PostHog, application: sqlite3.Connection, call: Callable[[PostHog], Any], caplog: pytest.LogCaptureFixture
) -> None:
    application.execute("BEGIN IMMEDIATE")
    posthog.capture(application, "in it", distinct_id="u1")
    began = time.monotonic()
    with caplog.at_level(logging.WARNING, "hogbox"), pytest.raises(OperationalError, match=WHY) as caught:
        call(posthog)
    assert time.monotonic() - began < 10 * BUSY
    assert "database is locked" in str(caught.value.orig)
    assert isinstance(caught.value.orig, sqlite3.OperationalError)
    assert any("waiting for a write" in record.getMessage() for record in caplog.records)
    application.execute("COMMIT")
    call(posthog)


def test_a_lock_that_is_released_costs_a_capture_only_the_wait(
    posthog: PostHog, application: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    application.execute("BEGIN IMMEDIATE")
    captured = threading.Event()

    def capture() -> None:
        posthog.capture(None, "after", distinct_id="u1")
        captured.set()

    thread = threading.Thread(target=capture)
    with caplog.at_level(logging.WARNING, "hogbox"):
        thread.start()
        while not caplog.records and thread.is_alive():
            thread.join(0.01)
    application.execute("COMMIT")
    thread.join(30)
    assert captured.is_set()


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_tables_that_can_not_be_made_are_said_with_the_reason(
    tmp_path: Path, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration, "PATIENCE", 0.0)
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'new.db'}", connect_args={"timeout": 0.1})
    with closing(sqlite3.connect(tmp_path / "new.db", isolation_level=None)) as application:
        application.execute(f"PRAGMA journal_mode = {journal}")
        with PostHog(engine, project_token="phc_t") as posthog:
            application.execute("BEGIN IMMEDIATE")
            with pytest.raises(TablesError, match=WHY):
                posthog.create_tables()
            application.execute("COMMIT")
            posthog.create_tables()
    engine.dispose()


def test_a_drain_ends_in_time_where_a_transaction_can_write(
    posthog: PostHog, application: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    application.execute("BEGIN IMMEDIATE")
    with caplog.at_level(logging.WARNING, "hogbox"):
        assert posthog.deliver(timeout=0.1) == (0, 0, 1)
    assert "held the write lock" in caplog.text
    application.execute("COMMIT")


def test_a_drain_ends_in_time_where_readers_are_kept_out(file: TestDatabase) -> None:
    with PostHog(file.url, project_token="phc_t", host="http://127.0.0.1:9") as posthog:
        with closing(sqlite3.connect(file.engine.url.database or "", isolation_level=None)) as application:
            # In WAL mode readers get past an exclusive transaction, and not past an exclusive connection.
            application.execute("PRAGMA locking_mode = EXCLUSIVE")
            application.execute("BEGIN EXCLUSIVE")
            began = time.monotonic()
            with pytest.raises(OperationalError, match=WHY):
                posthog.deliver(timeout=0.2)
            assert time.monotonic() - began < 10
        assert posthog.deliver(timeout=5) == (0, 0, 0)
