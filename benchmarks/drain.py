"""Drains one database in a process of its own, and prints what that took: `python -m benchmarks.drain URL HOST`."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import NamedTuple

from hogbox import PostHog


class Drained(NamedTuple):
    """How many events were delivered, in how many seconds, at what cost of CPU, and the largest memory in MB."""

    delivered: int
    seconds: float
    cpu: float
    memory: float


def drain(database_url: str, host: str) -> Drained:
    """Drain in another process."""
    command = [sys.executable, "-m", "benchmarks.drain", database_url, host]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return Drained(**json.loads(output))


def main(database_url: str, host: str) -> None:
    """Drain in this process."""
    with PostHog(database_url, project_token="phc_only_the_rows_tokens_count", host=host) as posthog:
        began = time.perf_counter()
        result = posthog.deliver(timeout=None)
        seconds = time.perf_counter() - began
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu = usage.ru_utime + usage.ru_stime
    print(json.dumps(Drained(result.delivered, seconds, cpu, usage.ru_maxrss / 1024)._asdict()))


if __name__ == "__main__":
    main(*sys.argv[1:])
