"""Measuring on a machine that others use too: in turns, medians, minima, and what a process spends."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median

import psutil

MEGABYTE = 1024 * 1024


def in_turns(measured: Mapping[str, Callable[[], float]], repetitions: int) -> dict[str, float]:
    """The median of each, measured A B C, A B C, ...: what disturbs the machine meets all of them."""
    figures: dict[str, list[float]] = {name: [] for name in measured}
    for _ in range(repetitions):
        for name, measure in measured.items():
            gc.collect()
            figures[name].append(measure())
    return {name: median(values) for name, values in figures.items()}


def seconds_each(call: Callable[[int], object], times: int) -> float:
    """The seconds that one call takes, over so many; each is given its number."""
    began = time.perf_counter()
    for number in range(times):
        call(number)
    return (time.perf_counter() - began) / times


@contextmanager
def worker(database_url: str, host: str, **settings: str) -> Iterator[psutil.Process]:
    """A `hogbox worker` process."""
    command = [sys.executable, "-m", "hogbox", "worker", "--database-url", database_url, "--host", host]
    environment = {**os.environ, **settings}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def cpu_seconds(process: psutil.Process) -> float:
    """What the process has spent so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def micro(seconds: float) -> str:
    """For people."""
    return f"{seconds * 1e6:.1f} µs"


def milli(seconds: float) -> str:
    """For people."""
    return f"{seconds * 1e3:.0f} ms"
