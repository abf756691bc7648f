"""Leases: a worker sends heartbeats to the database and holds its fair share of the shards."""

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
"""Heartbeats per lease: several may fail before the lease is lost."""


class Leases:
    """The shards that one worker holds. Used only by the worker's own thread, except `deadline` and `lapses`.

    `count` returns how many events the worker has delivered, and how many became dead letters.
    """

    def __init__(self, worker: str, store: DeliveryStore, seconds: float, count: Callable[[], tuple[int, int]]) -> None:
        self.recalled: set[int] = set()
        """Shards to release to other workers once none of their events are being sent."""
        self.deadline = 0.0
        """The monotonic time until which this worker is certain to hold its shards."""
        self.lapses = 0
        """How often the leases expired before they were renewed: events read before may belong to another worker."""
        self.next_beat = 0.0
        """The monotonic time of the next heartbeat."""
        self._worker = worker
        self._store = store
        self._seconds = seconds
        self._held: set[int] = set()
        self._count = count
        self._pace = Throughput()

    @property
    def held(self) -> int:
        """The number of shards held."""
        return len(self._held)

    def keep(self) -> bool:
        """If it is time: send a heartbeat, renew the leases, and move towards a fair share of the shards.

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
        """Release the recalled shards, except busy ones."""
        if free := self.recalled.difference(busy):
            self._store.give_back(free)
            self._held -= free
            self.recalled -= free

    def leave(self) -> None:
        """Release all shards and leave; if the database fails, the leases expire by themselves."""
        try:
            self._store.leave(self._held)
        except Exception as error:
            log.warning("could not release leases; they expire within %.0f s: %s", self._seconds, one_line(error))

    def _balance(self) -> bool:
        alive, leases = self._store.read_leases(self._seconds)
        move = choose_shards(self._worker, alive, leases)
        if move.claim:
            self._store.claim(move.claim, self._seconds)
            _, leases = self._store.read_leases(self._seconds)
        self._held = {lease.shard for lease in leases if lease.owner == self._worker}
        self.recalled = set(move.give_back)
        return bool(move.claim)
