"""P1 to P4 together, with real processes: producers, workers that are killed, a server that fails."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest
import sqlalchemy as sa

from hogbox.emulator import Emulator, ReceivedEvent
from tests.fixtures.database import TestDatabase, use_wal
from tests.fixtures.process import WorkerStarter
from tests.fixtures.waiting import wait_until

PRODUCER = Path(__file__).with_name("producer.py")
ROOT = Path(__file__).parents[2]

SECONDS = 7.0
"""How long the producers produce."""

KILL_EVERY = 2.0

SERVER_FAULTS: list[dict[str, object]] = [
    {"status": 503},
    {"status": 500},
    {"status": 429, "headers": {"Retry-After": "1"}},
    {"delay": 0.4},
    {"drop": "before"},
    {"drop": "after"},
]

OTHERS = pytest.mark.nightly(reason="25 seconds each; the statements of each database are tested one by one")

Order = tuple[str, str, int]


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "database", ["postgresql", *(pytest.param(one, marks=OTHERS) for one in ("sqlite", "mariadb"))], indirect=True
)
def test_p1_p2_p3_p4_hold_while_workers_are_killed_and_the_server_fails(
    database: TestDatabase, emulator: Emulator, start_worker: WorkerStarter
) -> None:
    prepare(database)
    for fault in SERVER_FAULTS:
        emulator.fault(**fault, rate=0.045)
    producers = [start_producer(database.url, name) for name in ("session", "driver")]
    workers = [start_worker(database.url, emulator.url, HOGBOX_BATCH_EVENTS="40") for _ in range(3)]
    killed = 0
    while any(producer.poll() is None for producer in producers):
        wait_for_all(producers, KILL_EVERY)
        victim = workers.pop(0)
        victim.send_signal(signal.SIGKILL)
        killed += 1
        workers.append(start_worker(database.url, emulator.url, HOGBOX_BATCH_EVENTS="40"))
    assert [producer.wait() for producer in producers] == [0, 0]
    orders = committed_orders(database)
    emulator.wait_for_events(len(orders), timeout=120)
    wait_until(lambda: database.count("posthog_outbox") == 0, "the outbox to be empty")

    received = emulator.events()
    assert killed >= 3
    assert len(orders) > 200
    assert lost(orders, received) == set()
    assert unexpected(orders, received) == set()
    assert first_arrivals(received) == by_person(orders)
    assert timestamps_of_repeats(received) == {}
    assert database.count("posthog_dead_letters") == 0


def prepare(database: TestDatabase) -> None:
    with database.engine.begin() as connection:
        connection.execute(
            sa.text("CREATE TABLE orders (uuid VARCHAR(36) PRIMARY KEY, person VARCHAR(40), position INTEGER)")
        )
    use_wal(database)


def start_producer(url: str, name: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen([sys.executable, str(PRODUCER), url, name, str(SECONDS)], env=environment)


def wait_for_all(processes: list[subprocess.Popen[bytes]], seconds: float) -> None:
    """Until the processes have ended, but no longer than so many seconds: the pace of the killing."""
    ends = time.monotonic() + seconds
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, ends - time.monotonic()))


def committed_orders(database: TestDatabase) -> list[Order]:
    with database.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT uuid, person, position FROM orders")).all()
    return [(uuid, person, position) for uuid, person, position in rows]


def lost(orders: list[Order], received: list[ReceivedEvent]) -> set[str]:
    return {uuid for uuid, _, _ in orders} - {event.uuid for event in received}


def unexpected(orders: list[Order], received: list[ReceivedEvent]) -> set[str]:
    return {event.uuid for event in received} - {uuid for uuid, _, _ in orders}


def by_person(orders: list[Order]) -> dict[str, list[int]]:
    people: dict[str, list[int]] = defaultdict(list)
    for _, person, position in orders:
        people[person].append(position)
    return {person: sorted(positions) for person, positions in people.items()}


def first_arrivals(received: list[ReceivedEvent]) -> dict[str, list[int]]:
    people: dict[str, list[int]] = defaultdict(list)
    seen: set[str] = set()
    for event in received:
        if event.uuid not in seen:
            seen.add(event.uuid)
            people[event.distinct_id].append(event.properties["position"])
    return dict(people)


def timestamps_of_repeats(received: list[ReceivedEvent]) -> dict[str, set[str | None]]:
    """The uuids that came with more than one timestamp."""
    timestamps: dict[str, set[str | None]] = defaultdict(set)
    for event in received:
        timestamps[event.uuid].add(event.timestamp)
    return {uuid: found for uuid, found in timestamps.items() if len(found) > 1}
