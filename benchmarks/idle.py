"""What a worker process costs while there is nothing to do."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.measure import MEGABYTE, cpu_seconds, worker
from benchmarks.place import Setup, database
from benchmarks.result import Result


def run(setup: Setup) -> Iterator[Result]:
    """CPU seconds a minute, and resident memory, on every database."""
    seconds = 5.0 if setup.quick else 15.0
    for backend in setup.backends:
        with database(backend) as url, worker(url, setup.server.url) as process:
            time.sleep(3)
            before = cpu_seconds(process)
            time.sleep(seconds)
            spent = (cpu_seconds(process) - before) * 60 / seconds
            memory = process.memory_info().rss / MEGABYTE
        yield Result(f"{backend}: an idle worker", f"{spent:.2f} s/min", f"CPU, over {seconds:.0f} s; {memory:.0f} MB")
