"""An upgrade without a pause: a worker of the version before goes on while the tables are migrated, and after it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from hogbox import PostHog
from hogbox._store.schema.table import SCHEMA_VERSION
from hogbox.emulator import Emulator
from hogbox.schema import create_tables
from tests.fixtures.database import TestDatabase, use_wal
from tests.fixtures.process import QUICK, WorkerStarter
from tests.fixtures.waiting import wait_until

ROOT = Path(__file__).parents[2]
VERSION_2 = "b46582d^"
"""The last commit whose tables are of version 2."""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """hogbox's sources as they were at version 2 of the tables."""
    folder = tmp_path_factory.mktemp("before")
    archive = folder / "src.tar"
    command = ["git", "-C", str(ROOT), "archive", f"--output={archive}", VERSION_2, "src"]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("the history of the repository is not here")
    subprocess.run(["tar", "-xf", str(archive), "-C", str(folder)], check=True)
    return folder / "src"


@pytest.fixture
def old_worker(before: Path, empty_database: TestDatabase, emulator: Emulator) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of the old version, on tables that it has made itself."""
    addresses = {"HOGBOX_DATABASE_URL": empty_database.url, "POSTHOG_HOST": emulator.url}
    environment = {**os.environ, **QUICK, **addresses, "PYTHONPATH": str(before)}
    command = [sys.executable, "-m", "hogbox"]
    subprocess.run([*command, "migrate"], env=environment, check=True, capture_output=True)
    use_wal(empty_database)
    process = subprocess.Popen([*command, "worker"], env=environment)
    yield process
    process.kill()
    process.wait()


@pytest.mark.timeout(90)
def test_workers_of_both_versions_deliver_side_by_side_after_a_migration(
    empty_database: TestDatabase,
    emulator: Emulator,
    old_worker: subprocess.Popen[bytes],
    start_worker: WorkerStarter,
) -> None:
    database = empty_database
    wait_until(lambda: owners(database) == 1, "the old worker to hold the shards")
    assert create_tables(database.engine) == (2, SCHEMA_VERSION)
    capture(database, emulator, range(5))
    emulator.wait_for_events(100)

    start_worker(database.url, emulator.url)
    wait_until(lambda: owners(database) == 2, "both workers to hold shards")
    capture(database, emulator, range(5, 10))
    emulator.wait_for_events(200)
    wait_until(lambda: database.count("posthog_outbox") == 0, "everything to be settled")
    assert old_worker.poll() is None
    positions = defaultdict(list)
    for event in emulator.events(unique=True):
        positions[event.distinct_id].append(event.properties["position"])
    assert dict(positions) == {f"person {number}": list(range(10)) for number in range(20)}


def capture(database: TestDatabase, emulator: Emulator, positions: range) -> None:
    """One event for each of twenty people, of so many shards, and then the next."""
    with PostHog(database.url, project_token="phc_upgrade", host=emulator.url) as posthog:
        for position in positions:
            for number in range(20):
                properties = {"position": position}
                posthog.capture(None, "step", distinct_id=f"person {number}", properties=properties)


def owners(database: TestDatabase) -> int:
    """How many workers hold shards."""
    with database.engine.connect() as connection:
        return connection.scalar(sa.text("SELECT count(DISTINCT owner) FROM posthog_shards")) or 0
