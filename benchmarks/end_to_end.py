"""From capture to arrival: 20,000 events, through hogbox's tables and its worker, and through the official queue."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial

from posthog import Posthog

from benchmarks.measure import in_turns, worker
from benchmarks.place import Setup, database, sqlite_path
from benchmarks.result import Result
from benchmarks.sample import NAME, PEOPLE, PROPERTIES, TOKEN
from hogbox import PostHog

GOAL = 5.0
EVENTS = 20_000

Delivering = Callable[[PostHog, str, str], AbstractContextManager[object]]


def run(setup: Setup) -> Iterator[Result]:
    """The seconds from the first capture to the last arrival, in turns with the official client."""
    repetitions = 1 if setup.quick else 5
    ways: dict[str, Callable[[], float]] = {
        "worker process, transactions of 1,000": partial(hogbox, setup, _process, 1000),
        "worker process, transactions of 100": partial(hogbox, setup, _process, 100),
        "worker thread, transactions of 100": partial(hogbox, setup, _thread, 100),
        "posthog": partial(posthog, setup),
    }
    with setup.server.keeping():
        took = in_turns(ways, repetitions)
        exact = setup.server.exact()
    expected = len(ways) * repetitions * (EVENTS + 1)
    if exact != (expected, expected):
        raise RuntimeError(f"{expected} events were captured; {exact.events} arrived with {exact.unique} uuids")
    for name in [name for name in ways if name != "posthog"]:
        behind = f"{took[name]:.2f} s against {took['posthog']:.2f} s; {EVENTS / took[name]:,.0f} events/s"
        what = f"{EVENTS:,} events, {name}: faster than posthog"
        yield Result.at_least(what, took["posthog"] / took[name], GOAL, behind)


def hogbox(setup: Setup, delivering: Delivering, transaction: int) -> float:
    """Captures on SQLite, in WAL mode and with synchronous NORMAL, as the how-to page says; a worker delivers."""
    with database("sqlite") as url, PostHog(url, project_token=TOKEN, host=setup.server.url) as client:
        with closing(sqlite3.connect(sqlite_path(url), timeout=30)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            with delivering(client, url, setup.server.url):
                _warm_up(setup, lambda: client.capture(None, NAME, distinct_id=PEOPLE[0], properties=PROPERTIES))
                before, began = setup.server.events, time.monotonic()
                for first in range(0, EVENTS, transaction):
                    with connection:
                        for number in range(first, first + transaction):
                            person = PEOPLE[number % len(PEOPLE)]
                            client.capture(connection, NAME, distinct_id=person, properties=PROPERTIES)
                return setup.server.wait_for(before + EVENTS) - began


@contextmanager
def _thread(client: PostHog, _database_url: str, _host: str) -> Iterator[object]:
    client.start()
    yield client


def _process(_client: PostHog, database_url: str, host: str) -> AbstractContextManager[object]:
    return worker(database_url, host)


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
