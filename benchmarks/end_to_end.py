"""From capture to arrival: 20,000 events, through hogbox's tables and worker thread, and through the official queue."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from statistics import median

from posthog import Posthog

from benchmarks.measure import in_turns, micro
from benchmarks.place import Setup, database, sqlite_path
from benchmarks.result import Result
from benchmarks.sample import NAME, PEOPLE, PROPERTIES, TOKEN
from hogbox import PostHog

GOAL = 5.0
EVENTS = 20_000
_TRANSACTION = 100


def run(setup: Setup) -> Iterator[Result]:
    """The seconds from the first capture to the last arrival, and what both threads together spent meanwhile."""
    repetitions = 1 if setup.quick else 5
    spent: dict[str, list[float]] = {"hogbox": [], "posthog": []}
    with setup.server.keeping():
        took = in_turns(
            {
                "hogbox": lambda: _with_cpu(hogbox, setup, spent["hogbox"]),
                "posthog": lambda: _with_cpu(posthog, setup, spent["posthog"]),
            },
            repetitions,
        )
        exact = setup.server.exact()
    expected = 2 * repetitions * (EVENTS + 1)
    if exact != (expected, expected):
        raise RuntimeError(f"{expected} events were captured; {exact.events} arrived with {exact.unique} uuids")
    behind = f"{took['hogbox']:.2f} s against {took['posthog']:.2f} s; {EVENTS / took['hogbox']:,.0f} events/s"
    what = f"{EVENTS:,} events, capture to arrival: faster than posthog"
    yield Result.at_least(what, took["posthog"] / took["hogbox"], GOAL, behind)
    cpu = {name: median(values) for name, values in spent.items()}
    behind = f"{micro(cpu['hogbox'] / EVENTS)} against {micro(cpu['posthog'] / EVENTS)} of CPU for an event"
    yield Result("the same in CPU time of the process: cheaper", f"{cpu['posthog'] / cpu['hogbox']:.2f}x", behind)


def hogbox(setup: Setup) -> float:
    """Transactions of a hundred events each, on SQLite in WAL mode, and a worker thread in the same process."""
    with database("sqlite") as url, PostHog(url, project_token=TOKEN, host=setup.server.url) as client:
        with closing(sqlite3.connect(sqlite_path(url), timeout=30)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            client.start()
            _warm_up(setup, lambda: client.capture(None, NAME, distinct_id=PEOPLE[0], properties=PROPERTIES))
            before, began = setup.server.events, time.monotonic()
            for first in range(0, EVENTS, _TRANSACTION):
                with connection:
                    for number in range(first, first + _TRANSACTION):
                        person = PEOPLE[number % len(PEOPLE)]
                        client.capture(connection, NAME, distinct_id=person, properties=PROPERTIES)
            return setup.server.wait_for(before + EVENTS) - began


def posthog(setup: Setup) -> float:
    """The official client as it comes, with a queue that holds everything."""
    client = Posthog(TOKEN, host=setup.server.url, max_queue_size=2 * EVENTS)

    def first() -> None:
        client.capture(NAME, distinct_id=PEOPLE[0], properties=PROPERTIES)
        client.flush(timeout_seconds=None)

    try:
        _warm_up(setup, first)
        before, began = setup.server.events, time.monotonic()
        for number in range(EVENTS):
            client.capture(NAME, distinct_id=PEOPLE[number % len(PEOPLE)], properties=PROPERTIES)
        client.flush(timeout_seconds=None)
        return setup.server.wait_for(before + EVENTS) - began
    finally:
        client.shutdown()


def _warm_up(setup: Setup, capture: Callable[[], object]) -> None:
    """One event all the way: connections are open, and hogbox's worker holds its shards."""
    before = setup.server.events
    capture()
    setup.server.wait_for(before + 1)


def _with_cpu(measure: Callable[[Setup], float], setup: Setup, spent: list[float]) -> float:
    began = time.process_time()
    seconds = measure(setup)
    spent.append(time.process_time() - began)
    return seconds
