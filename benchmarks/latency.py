"""From commit to arrival: how long one event travels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from random import Random
from statistics import median

from sqlalchemy import create_engine

from benchmarks.measure import milli, worker
from benchmarks.place import Setup, database
from benchmarks.result import Result
from benchmarks.sample import NAME, PEOPLE, PROPERTIES, TOKEN
from hogbox import PostHog

SAME_PROCESS = 0.1
OTHER_PROCESS = 1.0

Running = Callable[[PostHog, str, str], AbstractContextManager[object]]


def run(setup: Setup) -> Iterator[Result]:
    """Through a thread of the committing process, and through another process."""
    commits = 15 if setup.quick else 50
    ways: tuple[tuple[str, float, Running], ...] = (
        ("a thread of the same process", SAME_PROCESS, _thread),
        ("another process", OTHER_PROCESS, lambda _, url, host: worker(url, host)),
    )
    for backend in setup.backends:
        for name, goal, running in ways:
            took = _travel(setup, backend, running, commits)
            behind = f"median of {commits}; at most {milli(max(took))}"
            yield Result.below(f"{backend}: commit to arrival through {name}", median(took), goal, behind)


def _travel(setup: Setup, backend: str, running: Running, commits: int) -> list[float]:
    server, random = setup.server, Random(1)
    took = []
    with database(backend) as url, PostHog(url, project_token=TOKEN, host=server.url) as posthog:
        engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        with running(posthog, url, server.url):
            time.sleep(2)
            for number in range(commits):
                before = server.events
                with engine.begin() as connection:
                    posthog.capture(connection, NAME, distinct_id=PEOPLE[number], properties=PROPERTIES)
                committed = time.monotonic()
                took.append(server.wait_for(before + 1) - committed)
                time.sleep(random.uniform(0.02, 0.3))
        engine.dispose()
    return took


@contextmanager
def _thread(posthog: PostHog, _url: str, _host: str) -> Iterator[None]:
    posthog.start()
    yield
