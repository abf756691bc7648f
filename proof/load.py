"""`python -m proof.load`: a large backlog, many workers and many producers on PostgreSQL, and how each shard fares.

Prints what arrived, the database's count of deadlocks, the longest time that a shard with events saw none of them
leave, how long `status` took meanwhile, and the memory of the workers. Exits with 1 where a promise broke.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import psutil
import sqlalchemy as sa

from benchmarks.counting import CountingServer, counting_server
from benchmarks.place import database
from benchmarks.sample import fill
from hogbox._operations.status import read_status
from hogbox._store.connections.database import Database
from hogbox._store.outbox import read_oldest
from proof.ledger import LEDGER

_LEASE: Final = 30.0
_SECONDS: Final = 20.0
"""For which the producers commit."""

_EACH: Final = 200
"""Events that a producer commits."""

_PATIENCE: Final = 900.0
_STARVED: Final = 60.0
"""Seconds without progress that no shard should see: two leases."""


class Watch:
    """Looks at the outbox while it drains."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._database = Database(engine, "posthog_")
        self._oldest: dict[int, tuple[int, float]] = {}
        self.longest_wait = 0.0
        self.statuses: list[float] = []
        self.most_memory = 0

    def look(self, workers: Sequence[psutil.Process]) -> int:
        """Note how the shards have moved; how many of them hold events."""
        began = time.monotonic()
        read_status(self._database, lease=_LEASE)
        self.statuses.append(time.monotonic() - began)
        self.most_memory = max(self.most_memory, *(worker.memory_info().rss for worker in workers))
        with self._engine.connect() as connection:
            oldest = dict(connection.execute(read_oldest(self._database.tables)).all())
        now = time.monotonic()
        for shard, event in oldest.items():
            before, since = self._oldest.get(shard, (None, now))
            self._oldest[shard] = (event, since if event == before else now)
            self.longest_wait = max(self.longest_wait, now - self._oldest[shard][1])
        for shard in set(self._oldest) - set(oldest):
            del self._oldest[shard]
        return len(oldest)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m proof.load", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="events that wait when the workers begin")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--producers", type=int, default=20)
    asked = parser.parse_args(arguments)
    with counting_server() as server, database("postgresql") as url:
        return _run(server, sa.make_url(url).set(drivername="postgresql+psycopg"), asked)


def _run(server: CountingServer, url: sa.URL, asked: argparse.Namespace) -> int:
    text = url.render_as_string(hide_password=False)
    engine = sa.create_engine(url)
    LEDGER.create(engine)
    fill(url.set(drivername="postgresql").render_as_string(hide_password=False), asked.rows)
    before, began = _deadlocks(engine), time.monotonic()
    watch = Watch(engine)
    with ExitStack() as stack:
        undone = stack.enter_context(tempfile.TemporaryDirectory(prefix="hogbox-load-"))
        workers = [stack.enter_context(_worker(text, server.url)) for _ in range(asked.workers)]
        producers = [stack.enter_context(_producer(text, number, Path(undone))) for number in range(asked.producers)]
        while watch.look(workers) or any(producer.poll() is None for producer in producers):
            if time.monotonic() - began > _PATIENCE:
                break
            time.sleep(0.5)
    seconds = time.monotonic() - began
    with engine.connect() as connection:
        committed = asked.rows + (connection.scalar(sa.select(sa.func.count()).select_from(LEDGER)) or 0)
        left = connection.scalar(sa.text("SELECT count(*) FROM posthog_outbox")) or 0
        dead = connection.scalar(sa.text("SELECT count(*) FROM posthog_dead_letters")) or 0
    deadlocks = _deadlocks(engine) - before
    engine.dispose()
    print(f"committed {committed}, arrived {server.events}, left {left}, dead {dead}, in {seconds:.0f} s")
    print(f"{committed / seconds:.0f} events a second; {server.requests} requests; {deadlocks} deadlocks")
    print(f"longest time without progress of a shard that held events: {watch.longest_wait:.1f} s")
    usual, slowest = (1000 * find(watch.statuses) for find in (median, max))
    print(
        f"status: {usual:.0f} ms (median), {slowest:.0f} ms (slowest); a worker's memory: {watch.most_memory >> 20} MB"
    )
    kept = not (left or dead or deadlocks) and server.events >= committed and watch.longest_wait < _STARVED
    print("kept" if kept else "BROKEN")
    return 0 if kept else 1


@contextmanager
def _worker(url: str, host: str) -> Iterator[psutil.Process]:
    command = [sys.executable, "-m", "hogbox", "worker", "--database-url", url, "--host", host]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


@contextmanager
def _producer(url: str, number: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    arguments = [url, f"producer-{number}", str(_EACH), str(_SECONDS), str(folder / f"{number}.txt"), "phc_proof", "6"]
    with subprocess.Popen([sys.executable, "-m", "proof.producer", *arguments]) as process:
        try:
            yield process
        finally:
            process.terminate()


def _deadlocks(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        statement = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        return connection.scalar(sa.text(statement)) or 0


if __name__ == "__main__":
    sys.exit(main())
