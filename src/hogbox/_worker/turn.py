"""A turn: one sender's go at some shards; and what the senders of a worker know together."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from hogbox._delivery.batch import Waiting
from hogbox._delivery.condition import OVER_AFTER, Condition
from hogbox._delivery.course import Courses
from hogbox._delivery.limit import SizeLimit
from hogbox._delivery.suspect import Suspects
from hogbox._store.hold import Paused
from hogbox._store.outbox import Ready
from hogbox._wire.verdict import what_is_refused
from hogbox.telemetry import Telemetry

TURN_SECONDS: Final = 1.0
"""How long a sender keeps its shards before the worker may deal them anew."""


@dataclass(slots=True)
class Shared:
    """What the senders of one worker know together. Changed under the lock."""

    limit: SizeLimit
    telemetry: Telemetry
    lock: threading.Lock = field(default_factory=threading.Lock)
    courses: Courses = field(default_factory=Courses)
    suspects: Suspects = field(default_factory=Suspects)
    delivered: int = 0
    dead: int = 0
    host_fails: Condition = field(default_factory=lambda: Condition(OVER_AFTER))
    without_keys: Condition = field(default_factory=Condition)

    def count(self) -> tuple[int, int]:
        """How many events are delivered, and how many are dead letters."""
        with self.lock:
            return self.delivered, self.dead

    def next_due(self, now: float) -> float:
        """When, on the monotonic clock, the next of the projects that are left alone may be tried."""
        with self.lock:
            return self.courses.next_due(now)

    def adopt(self, paused: Iterable[Paused], now: float) -> None:
        """Go on where workers before this one ended. What was refused is tried at once: a restart is how to hurry."""
        with self.lock:
            for one in paused:
                if one.left > 0 and what_is_refused(one.status) is None:
                    self.courses.adopt(one.project, one.attempt, now + one.left)


def fails_alone(row: Waiting) -> str:
    """How the error of a shard begins if its attempts are those of this event."""
    return f"event {row.uuid or f'in row {row.id}'} fails alone"


class Turn:
    """One sender's go at some shards."""

    def __init__(self, ready: Sequence[Ready], lapses: int) -> None:
        self.lapses = lapses
        self.fences = {one.shard: one.fence for one in ready}
        self.attempts = {one.shard: one.attempt for one in ready}
        self._errors = {one.shard: one.error or "" for one in ready}
        self.ends = time.monotonic() + TURN_SECONDS
        self.sent = False
        self.late = False
        """Whether something was left unsent because the leases end too soon."""
        self.more = False
        """Whether the last read may have left events out for want of room."""
        self.left: set[str] = set()
        """Projects of which nothing more is sent in this turn: what was read of them may no longer be the oldest."""

    def recover(self, shards: Collection[int]) -> Collection[int]:
        """Those of the shards that had failed before; from now on they have not."""
        failed = {shard for shard in shards if self.attempts[shard]}
        self.attempts.update(dict.fromkeys(failed, 0))
        return failed

    def attempts_alone(self, row: Waiting) -> int:
        """How often this event failed alone with workers before; zero where the shard's attempts are about another."""
        named = self._errors[row.shard].startswith(fails_alone(row))
        return self.attempts[row.shard] if named else 0

    def accuse(self, row: Waiting, attempts: int) -> None:
        """The shard's attempts are those of this event from now on."""
        self.attempts[row.shard], self._errors[row.shard] = attempts, fails_alone(row)

    def attempt(self, shards: Collection[int]) -> int:
        """The number of the failed attempt that the shards have just had."""
        return max(self.attempts[shard] for shard in shards) + 1
