"""Workers of their real parts, without threads, on a clock that tests move."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from hogbox._delivery.batch import BatchLimits
from hogbox._delivery.endpoint import Endpoints
from hogbox._delivery.limit import SizeLimit
from hogbox._encryption import VARIABLE, Cipher, new_key
from hogbox._store.connections.database import Database
from hogbox._store.delivery import DeliveryStore
from hogbox._store.exposure import ClaimStore
from hogbox._store.outbox import Ready
from hogbox._wire.mode import CaptureMode
from hogbox._worker.exposure import ExposureClaims
from hogbox._worker.flagged import FlaggedEvents
from hogbox._worker.lease import Leases
from hogbox._worker.sender import Sender
from hogbox._worker.turn import Shared
from hogbox.settings import DeliverySettings
from hogbox.telemetry import Telemetry

KEY: Final = new_key()


class Clock:
    """Stands in for the module `time`: it moves when it is told to, and a little with each look."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        self.now += 0.00001
        return self.now


@contextmanager
def clock_in_workers(clock: Clock) -> Iterator[None]:
    """Let everything that a worker is made of see this clock."""
    found = [
        module
        for name, module in sys.modules.items()
        if name.startswith(("hogbox._worker.", "hogbox._store.shards.mark_keeper"))
        and getattr(module, "time", None) is time
    ]
    try:
        for module in found:
            module.time = clock  # type: ignore[attr-defined]
        yield
    finally:
        for module in found:
            module.time = time  # type: ignore[attr-defined]


class Member:
    """One worker, of its real parts."""

    def __init__(
        self, name: str, database: Database, settings: DeliverySettings, transport: Any, *, keys: bool, mode: str
    ) -> None:
        telemetry = Telemetry()
        self.name = name
        self.keys = keys
        self.store = DeliveryStore(database, name)
        limit = SizeLimit(BatchLimits(settings.batch_events, settings.batch_bytes))
        self.shared = Shared(limit, Endpoints(CaptureMode.read(mode)), telemetry)
        self.leases = Leases(name, self.store, settings.lease_seconds, self.shared.count)
        exposures = ExposureClaims(self.store, ClaimStore(database, settings.exposure_seconds), telemetry)
        cipher = Cipher.load({VARIABLE: KEY} if keys else {})
        self.sender = Sender(
            self.store,
            transport,
            settings,
            self.shared,
            self.leases,
            lambda: False,
            cipher,
            exposures,
            FlaggedEvents("http://127.0.0.1:1", telemetry),
        )
        self.busy: set[int] = set()
        self._adopted = False

    def beat(self, clock: Clock) -> None:
        """What the worker's loop does beside dealing."""
        self.leases.keep()
        if not self._adopted:
            self._adopted = True
            self.shared.adopt(self.store.paused, clock.now)
        self.leases.return_recalled(self.busy)

    def turn(self, chance: random.Random) -> None:
        """Deal the shards that are ready to one or two senders."""
        unavailable = self.busy | self.leases.recalled
        ready = [one for one in self.store.read_ready() if one.wait <= 0 and one.shard not in unavailable]
        chance.shuffle(ready)
        senders = chance.choice((1, 1, 2))
        for number in range(senders):
            self._deliver([one for one in ready[number::senders] if one.shard not in self.busy], chance)

    def _deliver(self, ready: list[Ready], chance: random.Random) -> None:
        if not ready:
            return
        mine = {one.shard for one in ready}
        self.busy |= mine
        try:
            self.sender.deliver(ready, chance.random() < 0.5)
        finally:
            self.busy -= mine
