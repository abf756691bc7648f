"""Leases: a worker stays alive in the database and holds its fair share of the shards."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Collection
from typing import Final

from hogbox._delivery.share import choose_shards
from hogbox._delivery.throughput import Throughput
from hogbox._store.delivery import DeliveryStore
from hogbox._store.shards.lease import Done
from hogbox._wire.library import VERSION
from hogbox._wire.printable import one_line

log = logging.getLogger("hogbox.worker")

_HEARTBEATS: Final = 6
"""Within one lease: a few may fail before the lease is lost."""


class Leases:
    """The shards that one worker holds. Used by the worker's own thread only, but for `deadline` and `lapses`.

    `count` says how many events the worker has delivered, and how many it has made dead letters.
    """

    def __init__(self, worker: str, store: DeliveryStore, seconds: float, count: Callable[[], tuple[int, int]]) -> None:
        self.recalled: set[int] = set()
        """Shards to give back, for other workers to claim, as soon as nothing of theirs is under way."""
        self.deadline = 0.0
        """Until when, on the monotonic clock, this worker surely holds its shards."""
        self.lapses = 0
        """How often the leases had run out before they were prolonged: what was read before may be another's since."""
        self.next_beat = 0.0
        """When, on the monotonic clock, to keep the leases again."""
        self._worker = worker
        self._store = store
        self._seconds = seconds
        self._held: set[int] = set()
        self._count = count
        self._pace = Throughput()

    @property
    def held(self) -> int:
        """How many shards it holds."""
        return len(self._held)

    def keep(self) -> bool:
        """When it is time: say that the worker is alive, prolong its leases, move towards its fair share of the shards.

        Returns whether shards were claimed.
        """
        now = time.monotonic()
        if now < self.next_beat:
            return False
        delivered, dead = self._count()
        done = Done(delivered, dead, self._pace.per_minute(now, delivered + dead))
        if not self._store.heartbeat(self._seconds, forget_after=2 * self._seconds, done=done):
            self._store.announce(socket.gethostname(), os.getpid(), VERSION)
        if self.deadline and now >= self.deadline:
            self.lapses += 1
        self.deadline = now + self._seconds
        self.next_beat = now + self._seconds / _HEARTBEATS
        return self._balance()

    def return_recalled(self, busy: Collection[int]) -> None:
        """Give recalled shards back, but for the busy ones."""
        if free := self.recalled.difference(busy):
            self._store.give_back(free)
            self._held -= free
            self.recalled -= free

    def leave(self) -> None:
        """Give everything back and end; where the database fails, the leases run out by themselves."""
        try:
            self._store.leave(self._held)
        except Exception as error:
            log.warning("leases could not be given back, and run out within %.0f s: %s", self._seconds, one_line(error))

    def _balance(self) -> bool:
        alive, leases = self._store.read_leases(self._seconds)
        move = choose_shards(self._worker, alive, leases)
        if move.claim:
            self._store.claim(move.claim, self._seconds)
            _, leases = self._store.read_leases(self._seconds)
        self._held = {lease.shard for lease in leases if lease.owner == self._worker}
        self.recalled = set(move.give_back)
        return bool(move.claim)
