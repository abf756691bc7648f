"""What `capture` costs: in an open transaction on SQLite, beside the official client's memory queue."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

from posthog import Posthog
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from benchmarks.measure import in_turns, micro, seconds_each
from benchmarks.place import Setup, database, sqlite_path
from benchmarks.result import Result
from benchmarks.sample import NAME, PEOPLE, PROPERTIES, TOKEN
from hogbox import PostHog

GOAL = 4.0
_EVENTS = 1000
_QUEUE = 100_000

Capture = Callable[[str], object]


def run(setup: Setup) -> Iterator[Result]:
    """One capture, in each of hogbox's ways and in each of the official client's."""
    with ExitStack() as stack:
        url = stack.enter_context(database("sqlite"))
        posthog = stack.enter_context(PostHog(url, project_token=TOKEN, host=setup.server.url))
        cost = in_turns({**_ours(stack, posthog, url), **_theirs(stack, setup)}, setup.repetitions)
    official = "posthog, into its queue"
    for name in ("sqlite3 connection", "SQLAlchemy Connection", "SQLAlchemy Session"):
        behind = f"{micro(cost[name])} against {micro(cost[official])}"
        ratio = cost[official] / cost[name]
        if name == "sqlite3 connection":
            yield Result.at_least(f"capture, {name}: cheaper than {official}", ratio, GOAL, behind)
        else:
            yield Result(f"capture, {name}: cheaper than {official}", f"{ratio:.2f}x", behind)
    for name in ("posthog, with its thread sending", "posthog, send=False"):
        behind = f"{micro(cost['sqlite3 connection'])} against {micro(cost[name])}"
        what = f"capture, sqlite3 connection: cheaper than {name}"
        yield Result(what, f"{cost[name] / cost['sqlite3 connection']:.2f}x", behind)


def _ours(stack: ExitStack, posthog: PostHog, url: str) -> dict[str, Callable[[], float]]:
    raw = stack.enter_context(closing(sqlite3.connect(sqlite_path(url))))
    engine = create_engine(url)
    stack.callback(engine.dispose)
    connection = stack.enter_context(engine.connect())
    session = stack.enter_context(Session(engine))
    handles: dict[str, Any] = {
        "sqlite3 connection": raw,
        "SQLAlchemy Connection": connection,
        "SQLAlchemy Session": session,
    }
    return {name: _in_transaction(posthog, handle) for name, handle in handles.items()}


def _in_transaction(posthog: PostHog, handle: Any) -> Callable[[], float]:
    """Captures in one open transaction. The first, which opens it, isn't counted; the end is a rollback."""

    def measure() -> float:
        posthog.capture(handle, NAME, distinct_id=PEOPLE[0], properties=PROPERTIES)
        cost = _each(lambda person: posthog.capture(handle, NAME, distinct_id=person, properties=PROPERTIES))
        handle.rollback()
        return cost

    return measure


def _theirs(stack: ExitStack, setup: Setup) -> dict[str, Callable[[], float]]:
    host = setup.server.url
    queue_only = Posthog(f"{TOKEN}_1", host=host, thread=0, max_queue_size=_QUEUE)
    sending = Posthog(f"{TOKEN}_2", host=host, max_queue_size=_QUEUE)
    discarding = Posthog(f"{TOKEN}_3", host=host, send=False)
    for client in (queue_only, sending, discarding):
        stack.callback(client.shutdown)

    def into_queue() -> float:
        cost = _each(lambda person: queue_only.capture(NAME, distinct_id=person, properties=PROPERTIES))
        while not queue_only.queue.empty():
            queue_only.queue.get_nowait()
            queue_only.queue.task_done()
        return cost

    def while_sending() -> float:
        cost = _each(lambda person: sending.capture(NAME, distinct_id=person, properties=PROPERTIES))
        sending.flush(timeout_seconds=None)
        return cost

    return {
        "posthog, into its queue": into_queue,
        "posthog, with its thread sending": while_sending,
        "posthog, send=False": lambda: _each(
            lambda person: discarding.capture(NAME, distinct_id=person, properties=PROPERTIES)
        ),
    }


def _each(capture: Capture) -> float:
    return seconds_each(lambda number: capture(PEOPLE[number % len(PEOPLE)]), _EVENTS)
