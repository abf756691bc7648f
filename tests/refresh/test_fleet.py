"""P5 with real processes: a fleet sends one request an interval, and goes on when the one that polls is killed."""

from __future__ import annotations

import itertools
import signal
import time

import pytest

from tests.fixtures.database import TestDatabase
from tests.fixtures.definitions_server import Asked, DefinitionsServer
from tests.fixtures.forked import ForkedProcess
from tests.fixtures.process import WorkerStarter
from tests.fixtures.waiting import wait_until

INTERVAL = 2
LARGE = pytest.mark.nightly(reason="eight processes, which all start at once, where three show the same")
FLEETS = [("postgresql", 3), pytest.param("postgresql", 8, marks=LARGE), pytest.param("sqlite", 4, marks=LARGE)]
KEYS = {
    "POSTHOG_PROJECT_TOKEN": "phc_fleet",
    "POSTHOG_PERSONAL_API_KEY": "phs_fleet",
    "POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS": str(INTERVAL),
    "POSTHOG_FLAGS_RETRY_DELAY_MS_OVERRIDE": "0",
}


def begin(
    database: TestDatabase, server: DefinitionsServer, start_worker: WorkerStarter, count: int
) -> dict[int, ForkedProcess]:
    """Start so many workers; returns them by their process ids once all are at work."""
    processes = [start_worker(database.url, server.url, **KEYS) for _ in range(count)]
    wait_until(lambda: database.count("posthog_workers") == count, "all workers to be at work", timeout=60)
    return {process.pid: process for process in processes}


def within(asked: list[Asked], begins: float, ends: float) -> int:
    return sum(begins <= one.at <= ends for one in asked)


def longest_gap(asked: list[Asked]) -> float:
    return max(after.at - before.at for before, after in itertools.pairwise(asked))


def poller(database: TestDatabase) -> int:
    """The process id of the one that took the last refresh: its name tells."""
    (row,) = database.rows("posthog_refreshes", "project")
    return int(row["holder"].split("-")[-2])


@pytest.mark.parametrize(
    "seconds", [8, pytest.param(20, marks=pytest.mark.nightly(reason="the same for longer: more intervals to count"))]
)
@pytest.mark.parametrize(("database", "count"), FLEETS, indirect=["database"])
def test_p5_a_fleet_sends_one_request_an_interval(
    database: TestDatabase, definitions_server: DefinitionsServer, start_worker: WorkerStarter, count: int, seconds: int
) -> None:
    definitions_server.say(200, '{"flags": []}', ETag='"1"').then(304)
    begin(database, definitions_server, start_worker, count)
    begins = time.monotonic()
    time.sleep(seconds)
    asked = within(definitions_server.asked, begins, begins + seconds)
    assert seconds // INTERVAL - 1 <= asked <= seconds // INTERVAL + 1
    assert longest_gap(definitions_server.asked) < INTERVAL + 1
    assert sum("if-none-match" not in one.headers for one in definitions_server.asked) == 1
    assert database.rows("posthog_flag_definitions", "project")[0]["revision"] == 1


@pytest.mark.parametrize(
    "kills", ["two", pytest.param("all but one", marks=pytest.mark.nightly(reason="the same, more often in a row"))]
)
@pytest.mark.parametrize(("database", "count"), FLEETS, indirect=["database"])
def test_p5_the_polling_goes_on_when_the_process_that_polls_is_killed(
    database: TestDatabase, definitions_server: DefinitionsServer, start_worker: WorkerStarter, count: int, kills: str
) -> None:
    """Killed with its request under way: the worst moment, for it has taken the turn and brings nothing back."""
    definitions_server.say(200, '{"flags": []}', delay=0.5)
    processes = begin(database, definitions_server, start_worker, count)
    killed: list[float] = []
    for _ in range(2 if kills == "two" else count - 1):
        before = len(definitions_server.asked)
        wait_until(lambda before=before: len(definitions_server.asked) > before, "the next request")  # type: ignore[misc]
        victim = processes.pop(poller(database))
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        killed.append(time.monotonic())
    wait_until(lambda: definitions_server.asked[-1].at > killed[-1], "a request of those that live")
    assert longest_gap(definitions_server.asked) < INTERVAL + 1
    assert within(definitions_server.asked, killed[0], killed[-1]) <= (killed[-1] - killed[0]) // INTERVAL + 1
    wait_until(lambda: database.count("posthog_flag_definitions") == 1, "definitions to be stored")
