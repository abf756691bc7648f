"""From capture to arrival: 20,000 events, through hogbox's tables and worker thread, and through the official queue."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

from posthog import Posthog

from benchmarks.measure import in_turns
from benchmarks.place import Setup, database, sqlite_path
from benchmarks.result import Result
from benchmarks.sample import NAME, PEOPLE, PROPERTIES, TOKEN
from hogbox import PostHog

GOAL = 5.0
EVENTS = 20_000
_TRANSACTION = 100


def run(setup: Setup) -> Iterator[Result]:
    """The seconds from the first capture to the last arrival."""
    repetitions = 1 if setup.quick else 5
    with setup.server.keeping():
        took = in_turns({"hogbox": lambda: hogbox(setup), "posthog": lambda: posthog(setup)}, repetitions)
        exact = setup.server.exact()
    expected = 2 * repetitions * EVENTS
    if exact != (expected, expected):
        raise RuntimeError(f"{expected} events were captured; {exact.events} arrived with {exact.unique} uuids")
    behind = f"{took['hogbox']:.2f} s against {took['posthog']:.2f} s; {EVENTS / took['hogbox']:,.0f} events/s"
    what = f"{EVENTS:,} events, capture to arrival: faster than posthog"
    yield Result.at_least(what, took["posthog"] / took["hogbox"], GOAL, behind)


def hogbox(setup: Setup) -> float:
    """Transactions of a hundred events each, and a worker thread in the same process."""
    before = setup.server.events
    with database("sqlite") as url, PostHog(url, project_token=TOKEN, host=setup.server.url) as client:
        client.start()
        with closing(sqlite3.connect(sqlite_path(url), timeout=30)) as connection:
            began = time.monotonic()
            for first in range(0, EVENTS, _TRANSACTION):
                with connection:
                    for number in range(first, first + _TRANSACTION):
                        person = PEOPLE[number % len(PEOPLE)]
                        client.capture(connection, NAME, distinct_id=person, properties=PROPERTIES)
            return setup.server.wait_for(before + EVENTS) - began


def posthog(setup: Setup) -> float:
    """The official client as it comes, with a queue that holds everything."""
    before = setup.server.events
    client = Posthog(TOKEN, host=setup.server.url, max_queue_size=2 * EVENTS)
    try:
        began = time.monotonic()
        for number in range(EVENTS):
            client.capture(NAME, distinct_id=PEOPLE[number % len(PEOPLE)], properties=PROPERTIES)
        client.flush(timeout_seconds=None)
        return setup.server.wait_for(before + EVENTS) - began
    finally:
        client.shutdown()
