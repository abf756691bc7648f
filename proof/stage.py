"""A stage: the processes of one scenario, and what is counted when they have ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from hogbox.emulator import Emulator
from proof.ground import Ground
from proof.ledger import read_committed
from proof.producer import Producer, people
from proof.verify import Arrival, Verdict, compare

LEASE: Final = 2.0
_QUICK: Final = {
    "HOGBOX_LEASE_SECONDS": f"{LEASE:g}",
    "HOGBOX_REQUEST_TIMEOUT_SECONDS": "1",
    "HOGBOX_POLL_SECONDS": "0.1",
    "HOGBOX_RETRY_BASE_SECONDS": "0.2",
    "HOGBOX_RETRY_CAP_SECONDS": "1",
    "HOGBOX_KEY_REFUSED_CAP_SECONDS": "1",
    "HOGBOX_BATCH_EVENTS": "40",
}
TOKEN: Final = "phc_proof"
_PRODUCERS: Final = 2
_PEOPLE: Final = 6
_CROWD: Final = 60
"""People of a second project: so many that they share their shards with everybody of the first."""

_PACE: Final = 0.02
_PATIENCE: Final = 45.0
_ROOT: Final = Path(__file__).parents[1]

Process = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Size:
    """How many events a scenario commits, and over how many seconds."""

    events: int
    seconds: float


class Stage:
    """The workers and producers of one scenario. Whatever happens, they have ended when the block is left."""

    def __init__(self, ground: Ground, emulator: Emulator, folder: Path, size: Size, broken: str = "") -> None:
        self.ground = ground
        self.emulator = emulator
        self.size = size
        self.host = emulator.url
        self.concerned: set[str] = set()
        self.workers: list[Process] = []
        self.producers: list[Process] = []
        self._broken = broken
        self._undone = folder / "undone"
        self._log = (folder / "log").open("wb")
        self._started: list[Process] = []
        self._commands: dict[int, tuple[list[str], dict[str, str]]] = {}
        self._ends = 0.0
        self._stuck = 0
        self._engine = sa.create_engine(ground.direct or ground.url, poolclass=sa.NullPool)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        self._log.close()

    def begin(self, workers: int, *, also: str | None = None) -> None:
        """Start more workers; when all are at work, let the producers begin. `also`: one for a second project's token.

        The people of the second project are those whom a fault of that project concerns.
        """
        for _ in range(workers):
            self.start_worker()
        self.wait(self.at_work, _PATIENCE)
        self._ends = time.monotonic() + self.size.seconds
        for _ in range(_PRODUCERS):
            self.start_producer()
        if also:
            self.concerned.update(people(self.start_producer(also, _CROWD), _CROWD))
        self.wait(self._begun, _PATIENCE)
        self._ends = time.monotonic() + self.size.seconds

    def _begun(self) -> bool:
        """Whether an event was committed: processes take their time to start."""
        try:
            with self._engine.connect() as connection:
                return bool(read_committed(connection))
        except SQLAlchemyError:
            return False

    def at_work(self) -> bool:
        """Whether every worker has entered itself among those alive."""
        try:
            with self._engine.connect() as connection:
                alive = set(connection.scalars(sa.text("SELECT pid FROM posthog_workers")))
        except SQLAlchemyError:
            return False
        return {worker.pid for worker in self.workers} <= alive

    def start_worker(self, *, url: str | None = None, clock: float = 0.0, **settings: str) -> Process:
        """A worker, as `hogbox worker` starts it, or with its clock wrong."""
        plain = not (clock or self._broken)
        module = ["hogbox", "worker"] if plain else ["proof.worker", str(clock), self._broken]
        environment = {"HOGBOX_DATABASE_URL": url or self.ground.url, "POSTHOG_HOST": self.host}
        process = self._start(module, {**_QUICK, **environment, **settings})
        self.workers.append(process)
        return process

    def start_producer(self, token: str = TOKEN, count: int = _PEOPLE) -> str:
        """A producer for people of its own, with its share of the events that are left to the time that is left.

        Returns the producer's name.
        """
        left = max(0.0, self._ends - time.monotonic())
        events = round(self.size.events / _PRODUCERS * left / self.size.seconds)
        name = f"p{len(self._started)}"
        arguments = [self.ground.url, name, str(events), f"{left:.2f}", str(self._undone), token, str(count)]
        self.producers.append(self._start(["proof.producer", *arguments], {}))
        return name

    def capture(self, name: str, event: str) -> None:
        """Commit one event of this name, and one after it, for a new person whom the fault concerns."""
        self.concerned.add(name)
        Producer(self.ground.url, [name], self._undone, TOKEN).commit(name, event, "afterwards")

    def connect(self) -> sa.Connection:
        """A connection of somebody else's to the database."""
        return self._engine.connect()

    def restart_workers(self, host: str) -> None:
        """End all workers, and start as many that deliver to this host."""
        count, self.host = len(self.workers), host
        for worker in [*self.workers]:
            self.end(worker)
        for _ in range(count):
            self.start_worker()

    def every(self, seconds: float) -> Iterator[int]:
        """Once in so many seconds, while producers produce, and not long after they should have ended."""
        count = 0
        while self.pause(seconds) and time.monotonic() < self._ends + self.size.seconds:
            yield count
            count += 1

    def pause(self, seconds: float) -> bool:
        """Wait so long, or until the producers have ended; whether they still produce."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and self.producing():
            self._supervise()
            time.sleep(_PACE)
        return self.producing()

    def time_left(self) -> bool:
        """Whether it is not yet time for producers to end."""
        return time.monotonic() < self._ends

    def producing(self) -> bool:
        """Whether a producer is at work."""
        return any(producer.poll() is None for producer in self.producers)

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Until the condition holds, for so many seconds at most; whether it does."""
        ends = time.monotonic() + seconds
        while not (holds := condition()) and time.monotonic() < ends:
            self._supervise()
            time.sleep(_PACE)
        return holds

    def end(self, process: Process, number: int = signal.SIGTERM) -> None:
        """End a process, politely unless another signal is named; one that does not end in time is killed."""
        process.send_signal(number)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._stuck += 1
            process.kill()
            process.wait()
        if process in self.workers:
            self.workers.remove(process)

    def settle(self) -> tuple[Verdict, int]:
        """Let everything be delivered; the comparison then, and how many events were rolled back."""
        self.wait(lambda: not self.producing(), _PATIENCE * 2)
        self.emulator.clear_faults()
        if not self.workers:
            self.start_worker()
        self.wait(lambda: not self._waiting("1 = 1"), _PATIENCE)
        for worker in [*self.workers]:
            self.end(worker)
        return self._compare(), self._rolled_back()

    def _supervise(self) -> None:
        """Start workers again that have ended by themselves, as they do where the database is down at their start."""
        for place, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.workers[place] = self._start(*self._commands[worker.pid])

    def _compare(self) -> Verdict:
        with self._engine.connect() as connection:
            committed = read_committed(connection)
            dead = set(connection.scalars(sa.text("SELECT event_uuid FROM posthog_dead_letters")))
        arrivals = [
            Arrival(one.uuid, one.distinct_id, one.timestamp, one.request, one.arrived_at)
            for one in self.emulator.events()
        ]
        stated = "shard IN (SELECT shard FROM posthog_shards WHERE last_error IS NOT NULL)"
        verdict = compare(committed, arrivals, dead, self._waiting(stated), self.concerned)
        return replace(verdict, stuck=self._stuck)

    def _waiting(self, condition: str) -> set[str]:
        """The uuids of the events in the outbox; something where it can't be read."""
        try:
            with self._engine.connect() as connection:
                payloads = connection.scalars(sa.text(f"SELECT payload FROM posthog_outbox WHERE {condition}")).all()
        except SQLAlchemyError:
            return {""}
        return {str(msgspec.json.decode(payload)["uuid"]) for payload in payloads}

    def _rolled_back(self) -> int:
        return len(self._undone.read_text().split()) if self._undone.exists() else 0

    def _start(self, module: list[str], settings: dict[str, str]) -> Process:
        path = os.pathsep.join((str(_ROOT / "src"), str(_ROOT)))
        environment = {**os.environ, "PYTHONPATH": path, **settings}
        process = subprocess.Popen([sys.executable, "-m", *module], env=environment, stderr=self._log, cwd=_ROOT)
        self._started.append(process)
        self._commands[process.pid] = (module, settings)
        return process
