"""Draining a backlog: a large one costs no more for each event than a small one, in time and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks.drain import Drained, drain
from benchmarks.place import Setup, database
from benchmarks.result import Result
from benchmarks.sample import fill

SMALL = 10_000
GOAL = 1.2


def run(setup: Setup) -> Iterator[Result]:
    """The same on every database: the small backlog three times, the large one once in between."""
    for backend in setup.backends:
        small = [_drain(setup, backend, SMALL)]
        large = _drain(setup, backend, setup.rows)
        small += [_drain(setup, backend, SMALL) for _ in range(2)]
        yield from _compare(backend, small, large)


def _drain(setup: Setup, backend: str, rows: int) -> Drained:
    before = setup.server.events
    with database(backend) as url:
        fill(url, rows)
        drained = drain(url, setup.server.url)
    arrived = setup.server.events - before
    if (drained.delivered, arrived) != (rows, rows):
        raise RuntimeError(f"of {rows} events {drained.delivered} were delivered and {arrived} arrived")
    return drained


def _compare(backend: str, small: list[Drained], large: Drained) -> Iterator[Result]:
    each = median(one.seconds / one.delivered for one in small)
    each_of_large = large.seconds / large.delivered
    memory = max(one.memory for one in small)
    yield Result.at_most(
        f"{backend}: an event of {large.delivered:,}, against one of {SMALL:,}, in time",
        each_of_large / each,
        GOAL,
        f"{each_of_large * 1e6:.0f} µs against {each * 1e6:.0f} µs; {large.seconds:.1f} s, "
        f"{1 / each_of_large:,.0f} events/s, {large.cpu / large.seconds:.0%} of a core",
    )
    yield Result.at_most(
        f"{backend}: the same in peak memory of the process",
        large.memory / memory,
        GOAL,
        f"{large.memory:.0f} MB against {memory:.0f} MB",
    )
