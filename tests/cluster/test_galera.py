"""P1 to P4, exposures, migrations and outages on a cluster of three MariaDB servers, all of which take writes."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from hogbox import PostHog
from hogbox._events.identifier import SHARDS
from hogbox._operations.diagnosis import judge
from hogbox._operations.doctor import examine
from hogbox._settings.client import ClientSettings
from hogbox._store.connections.database import Database
from hogbox._store.inspection.status import StatusStore
from hogbox._store.schema.table import SCHEMA_VERSION, Tables
from hogbox.emulator import Emulator
from tests.emulator.flag_case import definitions, flag
from tests.fixtures.database import TestDatabase
from tests.fixtures.galera import Galera, Replicas
from tests.fixtures.process import QUICK, WorkerStarter
from tests.fixtures.stored import store
from tests.fixtures.waiting import wait_until

pytestmark = [
    pytest.mark.nightly(reason="three database servers, and nodes that are lost and come back"),
    pytest.mark.timeout(240),
]

VERSION_1 = Path(__file__).parents[1] / "store" / "version_1" / "mariadb.sql"
TOKEN = "phc_cluster"
SECONDS = 10.0
THREADS = 3
PEOPLE = 4
"""Of each thread of the application."""

EXPOSED = 60
END_SECONDS = 40.0
"""Within which a worker ends, whatever its node does: time-outs of an operation, of connecting and of a request."""


class TestOrder:
    def test_p1_p2_p4_one_persons_transactions_on_all_nodes_in_turn(
        self, replicas: Replicas, emulator: Emulator, start_worker: WorkerStarter
    ) -> None:
        for replica in replicas:
            start_worker(replica.url, emulator.url, HOGBOX_BATCH_EVENTS="50")
        ends = time.monotonic() + SECONDS
        with ThreadPoolExecutor(THREADS) as threads:
            found = list(threads.map(lambda name: commit_in_turn(replicas, name, ends), "abc"))
        committed = {person: uuids for one in found for person, uuids in one.items()}
        total = sum(map(len, committed.values()))
        emulator.wait_for_events(total, timeout=60)
        wait_until(lambda: replicas[0].count("posthog_outbox") == 0, "the outbox to be empty")

        print(f"{total} events of {len(committed)} people, {len(emulator.events())} received")
        assert total > 200
        assert first_arrivals(emulator) == committed
        assert replicas[0].count("posthog_dead_letters") == 0

    def test_the_missing_setting_is_named_on_each_node(self, replicas: Replicas) -> None:
        for replica in replicas:
            assert "wsrep_sync_wait is 0" in checks(replica.url)["cluster"]
            with closing(Database(replica.url, "posthog_")) as database:
                found = judge(StatusStore(database).read(), lease=30.0, key_given=False)
            assert "cluster_order" in {finding.name for finding in found}


class TestExposures:
    def test_the_same_one_on_two_nodes_at_once_fails_no_commit_and_arrives_once(
        self, replicas: Replicas, emulator: Emulator, start_worker: WorkerStarter
    ) -> None:
        store(replicas[0], TOKEN, definitions(flag("new-checkout"), flag("dark-mode")))
        for person in range(EXPOSED):
            meeting = threading.Barrier(2)
            with ThreadPoolExecutor(2) as threads:
                # Read in opposite order, as two requests do.
                orders = (("new-checkout", "dark-mode"), ("dark-mode", "new-checkout"))
                works = [
                    threads.submit(read_tracked, replica, f"person {person}", order, meeting)
                    for replica, order in zip(replicas[:2], orders, strict=True)
                ]
            assert [work.exception() for work in works] == [None, None]
        assert replicas[0].count("posthog_outbox") == 4 * EXPOSED, "each transaction wrote its own"

        for replica in replicas:
            start_worker(replica.url, emulator.url)
        emulator.wait_for_events(2 * EXPOSED, timeout=60)
        wait_until(lambda: replicas[0].count("posthog_outbox") == 0, "the outbox to be empty")
        received = [(event.distinct_id, event.properties["$feature_flag"]) for event in emulator.events(unique=True)]
        assert sorted(received) == sorted(
            (f"person {person}", key) for person in range(EXPOSED) for key in ("new-checkout", "dark-mode")
        )


class TestMigration:
    @pytest.mark.parametrize("old", [False, True], ids=["of nothing", "of version 1"])
    @pytest.mark.parametrize("attempt", range(2))
    def test_from_three_nodes_at_once(self, empty_replicas: Replicas, old: bool, attempt: int) -> None:
        if old:
            make_version_1(empty_replicas[0])
            wait_until(lambda: all(tables_of(replica) for replica in empty_replicas), "the tables on all nodes")
        processes = [migrate(replica) for replica in empty_replicas]
        ends = [process.communicate(timeout=90) for process in processes]
        assert [process.returncode for process in processes] == [0, 0, 0], ends
        wanted = {table.name for table in Tables("posthog_").metadata.sorted_tables}
        for replica in empty_replicas:
            assert tables_of(replica) == wanted
            versions = [row["version"] for row in replica.rows("posthog_schema", "version")]
            assert versions == ([1] if old else []) + [SCHEMA_VERSION]
            assert replica.count("posthog_shards") == (0 if old else SHARDS)
        assert len({str(columns_of(replica)) for replica in empty_replicas}) == 1

    def test_never_for_one_node_alone(self, galera: Galera, empty_replicas: Replicas) -> None:
        node = galera.nodes[1]
        node.run("SET GLOBAL wsrep_OSU_method = 'RSU'")
        try:
            process = migrate(empty_replicas[1])
            _, complaint = process.communicate(timeout=60)
        finally:
            node.run("SET GLOBAL wsrep_OSU_method = 'TOI'")
        assert process.returncode != 0
        assert b"RSU" in complaint
        assert [tables_of(replica) for replica in empty_replicas] == [set(), set(), set()]


class TestOutages:
    def test_a_worker_on_a_frozen_node_ends_and_another_one_delivers(
        self, galera: Galera, replicas: Replicas, emulator: Emulator, start_worker: WorkerStarter
    ) -> None:
        stuck = start_worker(replicas[2].url, emulator.url)
        start_worker(replicas[0].url, emulator.url)
        wait_until(lambda: owners(replicas[0]) == 2, "both workers to hold shards")
        capture(replicas[0], range(5))
        emulator.wait_for_events(50)

        galera.nodes[2].freeze()
        wait_until(lambda: size_of(galera, 0) == "2", "the others to go on without it", 60)
        capture(replicas[0], range(5, 10))
        began = time.monotonic()
        stuck.send_signal(signal.SIGTERM)
        assert stuck.wait(END_SECONDS) == 0
        print(f"ended after {time.monotonic() - began:.1f} s")
        emulator.wait_for_events(100, timeout=60)
        wait_until(lambda: replicas[0].count("posthog_outbox") == 0, "the outbox to be empty")
        assert positions(emulator) == {f"person {number}": list(range(10)) for number in range(10)}

    def test_a_node_that_was_killed_comes_back_and_its_worker_with_it(
        self, galera: Galera, replicas: Replicas, emulator: Emulator, start_worker: WorkerStarter
    ) -> None:
        worker = start_worker(replicas[2].url, emulator.url)
        capture(replicas[0], range(5))
        emulator.wait_for_events(50)
        galera.nodes[2].kill()
        wait_until(lambda: size_of(galera, 0) == "2", "the others to go on without it", 60)
        capture(replicas[0], range(5, 10))
        galera.nodes[2].start()
        emulator.wait_for_events(100, timeout=60)
        wait_until(lambda: replicas[0].count("posthog_outbox") == 0, "the outbox to be empty")
        assert worker.poll() is None
        assert positions(emulator) == {f"person {number}": list(range(10)) for number in range(10)}

    def test_a_node_without_a_quorum_is_one_line_in_the_log_and_is_used_again_when_it_has_one(
        self, galera: Galera, replicas: Replicas, emulator: Emulator, tmp_path: Path
    ) -> None:
        log = tmp_path / "log"
        with log.open("wb") as lines, logged_worker(replicas[2], emulator, lines) as worker:
            capture(replicas[0], range(5))
            emulator.wait_for_events(50)
            galera.nodes[2].isolate(True)
            wait_until(lambda: complaints(log), "the worker to notice", 60)
            wait_until(lambda: size_of(galera, 0) == "2", "the others to go on without it", 60)
            capture(replicas[0], range(5, 10))
            wait_until(galera.nodes[2].status, "the node to answer")
            galera.nodes[2].isolate(False)
            emulator.wait_for_events(100, timeout=60)
            wait_until(lambda: replicas[0].count("posthog_outbox") == 0, "the outbox to be empty")
            wait_until(lambda: b"connection restored" in log.read_bytes(), "the worker to be well")
            assert worker.poll() is None
        assert len(complaints(log)) == 1, log.read_text()
        assert positions(emulator) == {f"person {number}": list(range(10)) for number in range(10)}


def commit_in_turn(replicas: Replicas, name: str, ends: float) -> dict[str, list[str]]:
    """Be an application until then: each transaction of a person goes to the next node, and a fifth is rolled back."""
    chance, committed = random.Random(name), defaultdict[str, list[str]](list)
    nodes = itertools.cycle(replicas)
    with PostHog(replicas[0].engine, project_token=TOKEN) as posthog:
        while time.monotonic() < ends:
            person = f"{name}-{chance.randrange(PEOPLE)}"
            with Session(next(nodes).engine) as session:
                events = [posthog.capture(session, "step", distinct_id=person) for _ in range(chance.randint(1, 3))]
                if chance.random() < 0.2:
                    session.rollback()
                    continue
                session.commit()
            committed[person] += map(str, events)
    return dict(committed)


def first_arrivals(emulator: Emulator) -> dict[str, list[str]]:
    arrived = defaultdict[str, list[str]](list)
    for event in emulator.events(unique=True):
        arrived[event.distinct_id].append(str(event.uuid))
    return dict(arrived)


def read_tracked(replica: TestDatabase, person: str, keys: Iterable[str], meeting: threading.Barrier) -> None:
    """One transaction, which ends at the same moment as the other one."""
    with PostHog(replica.engine, project_token=TOKEN) as posthog, Session(replica.engine) as session:
        for key in keys:
            assert posthog.get_feature_flag(session, key, distinct_id=person, track_exposures=True) is True
        meeting.wait(30)
        session.commit()


def capture(replica: TestDatabase, steps: range) -> None:
    """One event for each of ten people, and then the next."""
    with PostHog(replica.url, project_token=TOKEN) as posthog:
        for position in steps:
            for number in range(10):
                properties = {"position": position}
                posthog.capture(None, "step", distinct_id=f"person {number}", properties=properties)


def positions(emulator: Emulator) -> dict[str, list[int]]:
    arrived = defaultdict[str, list[int]](list)
    for event in emulator.events(unique=True):
        arrived[event.distinct_id].append(event.properties["position"])
    return dict(arrived)


def checks(url: str) -> dict[str, str]:
    settings = ClientSettings.load({}, database_url=url, host="http://127.0.0.1:1", token_needed=False)
    return {check.name: check.text for check in examine(settings, {})}


def migrate(replica: TestDatabase) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "HOGBOX_DATABASE_URL": replica.url}
    command = [sys.executable, "-m", "hogbox", "migrate"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def make_version_1(replica: TestDatabase) -> None:
    with replica.engine.begin() as connection:
        for statement in VERSION_1.read_text().split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement.replace("%", "%%"))


def tables_of(replica: TestDatabase) -> set[str]:
    return set(sa.inspect(replica.engine).get_table_names())


def columns_of(replica: TestDatabase) -> list[tuple[object, ...]]:
    look = sa.text(
        "SELECT table_name, column_name, column_type, is_nullable FROM information_schema.columns "
        "WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position"
    )
    with replica.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(look)]


def owners(replica: TestDatabase) -> int:
    """How many workers hold shards."""
    with replica.engine.connect() as connection:
        return connection.scalar(sa.text("SELECT count(DISTINCT owner) FROM posthog_shards")) or 0


def size_of(galera: Galera, number: int) -> str | None:
    """How many nodes this one sees, where they are enough."""
    status = galera.nodes[number].status()
    return status.get("wsrep_cluster_size") if status.get("wsrep_ready") == "ON" else None


@contextmanager
def logged_worker(replica: TestDatabase, emulator: Emulator, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    addresses = {"HOGBOX_DATABASE_URL": replica.url, "POSTHOG_HOST": emulator.url}
    command = [sys.executable, "-m", "hogbox", "worker"]
    process = subprocess.Popen(command, env={**os.environ, **QUICK, **addresses}, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def complaints(log: Path) -> list[str]:
    """Lines of warnings and errors."""
    return [line for line in log.read_text().splitlines() if "WARNING" in line or "ERROR" in line]
