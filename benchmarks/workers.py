"""Two worker processes against one: faster, unless the machine is the limit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import psutil

from benchmarks.measure import cpu_seconds, worker
from benchmarks.place import Setup, database
from benchmarks.result import Result
from benchmarks.sample import fill

_SETTLING = 8.0


class Speed(NamedTuple):
    """Events a second, how busy the whole machine was, and the cores that the workers used together."""

    events: float
    machine: float
    cores: float


def run(setup: Setup) -> Iterator[Result]:
    """The speed over the middle of a backlog, when all workers are at work."""
    rows = 20_000 if setup.quick else 100_000
    for backend in setup.backends:
        one, two = _in_turns(setup, backend, rows, 1 if setup.quick else 3)
        machine = f"the machine {one.machine:.0f} % and {two.machine:.0f} % busy"
        cores = f"the workers on {one.cores:.2f} and {two.cores:.2f} cores"
        behind = f"{one.events:,.0f} and {two.events:,.0f} events/s; {machine}; {cores}"
        yield Result(f"{backend}: two workers, as fast as one", f"{two.events / one.events:.2f}x", behind)


def _in_turns(setup: Setup, backend: str, rows: int, repetitions: int) -> tuple[Speed, Speed]:
    """The median speed of one worker and of two."""
    speeds = [[_speed(setup, backend, count, rows) for count in (1, 2)] for _ in range(repetitions)]
    one, two = (sorted(same)[repetitions // 2] for same in zip(*speeds, strict=True))
    return one, two


def _speed(setup: Setup, backend: str, count: int, rows: int) -> Speed:
    server = setup.server
    with ExitStack() as stack:
        url = stack.enter_context(database(backend))
        before = server.events
        # Empty at first: they share the shards before there is work, so that what is measured is the work.
        processes = [stack.enter_context(worker(url, server.url)) for _ in range(count)]
        time.sleep(_SETTLING)
        fill(url, rows)
        server.wait_for(before + rows // 5)
        psutil.cpu_percent()
        began, spent, at = time.monotonic(), sum(map(cpu_seconds, processes)), server.events
        ended = server.wait_for(before + rows)
        seconds = ended - began
        used = sum(map(cpu_seconds, processes)) - spent
        return Speed((before + rows - at) / seconds, psutil.cpu_percent(), used / seconds)
