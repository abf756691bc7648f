"""Old dead letters go, however many; young ones stay; and the log says how many went."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from hogbox._store.connections.database import Database
from hogbox._store.dialects.element import epoch_ms
from hogbox._store.schema.table import Tables
from hogbox._worker.worker import Worker
from hogbox.emulator import Emulator
from hogbox.settings import DeliverySettings
from tests.fixtures.database import TestDatabase
from tests.fixtures.waiting import wait_until

DAY = 86_400_000


@contextmanager
def running(database: TestDatabase, emulator: Emulator, **settings: Any) -> Iterator[None]:
    worker = Worker(Database(database.engine, "posthog_"), emulator.url, DeliverySettings(poll_seconds=0.1, **settings))
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join()


def bury(database: TestDatabase, count: int, days: int) -> None:
    """So many dead letters of that age."""
    row = {"shard": 1, "project": "phc_old", "lane": "analytics", "payload": "{}", "created_at": 1}
    with database.engine.begin() as connection:
        died = (connection.scalar(sa.select(epoch_ms())) or 0) - days * DAY
        rows = [{**row, "event_uuid": str(days), "reason": "no", "died_at": died}] * count
        connection.execute(sa.insert(Tables("posthog_").dead_letters), rows)


def test_old_dead_letters_are_removed_in_portions_and_counted(
    database: TestDatabase, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    bury(database, 1100, 91)
    bury(database, 2, 89)
    with running(database, emulator):
        wait_until(lambda: "removed 1100 dead letters older than 90 days" in caplog.text, "the log to say so")
    assert {row["event_uuid"] for row in database.rows("posthog_dead_letters")} == {"89"}
    assert caplog.text.count("older than 90 days") == 1


def test_days_are_chosen_and_0_keeps_all(
    sqlite_database: TestDatabase, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    bury(sqlite_database, 3, 4000)
    bury(sqlite_database, 3, 8)
    with running(sqlite_database, emulator, dead_letter_days=0):
        wait_until(lambda: sqlite_database.count("posthog_workers"), "the worker to be there")
    assert sqlite_database.count("posthog_dead_letters") == 6
    assert "were removed" not in caplog.text
    with running(sqlite_database, emulator, dead_letter_days=7):
        wait_until(lambda: sqlite_database.count("posthog_dead_letters") == 0, "all of them to go")
