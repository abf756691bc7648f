"""What `capture_exception` costs for short and long stacks, beside the official client."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

from posthog import Posthog

from benchmarks.measure import in_turns, micro
from benchmarks.place import Setup, database, sqlite_path
from benchmarks.result import Result
from benchmarks.sample import PEOPLE, TOKEN
from hogbox import PostHog

FRAMES = (50, 900)
_CAPTURES = 10


def run(setup: Setup) -> Iterator[Result]:
    """One exception that is raised anew each time: in an open transaction, and into the official client's queue."""
    with ExitStack() as stack:
        url = stack.enter_context(database("sqlite"))
        ours = stack.enter_context(PostHog(url, project_token=TOKEN, host=setup.server.url))
        raw = stack.enter_context(closing(sqlite3.connect(sqlite_path(url))))
        theirs = Posthog(f"{TOKEN}_1", host=setup.server.url, send=False)
        stack.callback(theirs.shutdown)
        captures: dict[str, Callable[[Exception], object]] = {
            "hogbox": lambda error: ours.capture_exception(raw, error, distinct_id=PEOPLE[0]),
            "posthog": lambda error: theirs.capture_exception(error, distinct_id=PEOPLE[0]),
        }
        for frames in FRAMES:
            measured = {name: _measured(capture, frames) for name, capture in captures.items()}
            cost = in_turns(measured, setup.repetitions)
            behind = f"{micro(cost['hogbox'])} against {micro(cost['posthog'])}"
            yield Result(f"{frames} frames: cheaper than posthog", f"{cost['posthog'] / cost['hogbox']:.2f}x", behind)
        raw.rollback()


def _measured(capture: Callable[[Exception], object], frames: int) -> Callable[[], float]:
    def measure() -> float:
        errors = [_raised(frames) for _ in range(_CAPTURES)]
        began = time.perf_counter()
        for error in errors:
            capture(error)
        return (time.perf_counter() - began) / _CAPTURES

    return measure


def _raised(frames: int) -> Exception:
    try:
        _descend(frames - 1)
    except ValueError as error:
        return error
    raise AssertionError


def _descend(frames: int) -> None:
    if frames > 1:
        _descend(frames - 1)
    else:
        raise ValueError("at the bottom")
