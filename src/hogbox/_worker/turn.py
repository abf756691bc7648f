"""A turn: one sender's work on some shards; and the state shared by the senders of a worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from hogbox._delivery.attempt import Attempts
from hogbox._delivery.batch import Waiting
from hogbox._delivery.condition import OVER_AFTER, Condition
from hogbox._delivery.course import Courses
from hogbox._delivery.deferral import Deferrals
from hogbox._delivery.endpoint import Endpoints
from hogbox._delivery.limit import SizeLimit
from hogbox._delivery.suspect import Passed, Suspects
from hogbox._store.hold import Paused
from hogbox._store.outbox import Ready
from hogbox._wire.verdict import what_is_refused
from hogbox.telemetry import Telemetry

TURN_SECONDS: Final = 1.0
"""How long a sender keeps its shards before the worker may reassign them."""


@dataclass(slots=True)
class Shared:
    """State shared by the senders of one worker. Changed under the lock."""

    limit: SizeLimit
    endpoints: Endpoints
    telemetry: Telemetry
    lock: threading.Lock = field(default_factory=threading.Lock)
    courses: Courses = field(default_factory=Courses)
    suspects: Suspects = field(default_factory=Suspects)
    deferrals: Deferrals = field(default_factory=Deferrals)
    attempts: Attempts = field(default_factory=Attempts)
    delivered: int = 0
    dead: int = 0
    host_fails: Condition = field(default_factory=lambda: Condition(OVER_AFTER))
    without_keys: Condition = field(default_factory=Condition)

    def count(self) -> tuple[int, int]:
        """The numbers of delivered events and of dead letters."""
        with self.lock:
            return self.delivered, self.dead

    def next_due(self, now: float) -> float:
        """The monotonic time at which the next paused project or person may be retried."""
        with self.lock:
            return min(self.courses.next_due(now), self.deferrals.next_due(now))

    def passed_over(self, turn: Turn, now: float) -> Passed:
        """What the turn's next read is to leave out. Called under the lock."""
        self.suspects.forget_earlier(turn.fences)
        self.deferrals.release(turn.fences, now)
        failing, deferred = self.suspects.passed_over(now), self.deferrals.passed_over()
        return Passed([*failing.ids, *deferred.ids], {*failing.shards, *deferred.shards})

    def free(self, rows: Sequence[Waiting]) -> tuple[Waiting, ...]:
        """Those of the events that may be sent now. Called under the lock."""
        return self.deferrals.free(self.suspects.free(rows))

    def forget(self, ids: Sequence[int]) -> frozenset[int]:
        """These events are settled. Returns the shards in which nobody waits by himself any more by that."""
        with self.lock:
            self.suspects.forget(ids)
            self.attempts.forget(ids)
            return self.deferrals.settle(ids)

    def adopt(self, paused: Iterable[Paused], now: float) -> None:
        """Continue the pauses of earlier workers. Refused projects are retried at once: a restart is how to hurry."""
        with self.lock:
            for one in paused:
                if one.left > 0 and what_is_refused(one.status) is None:
                    self.courses.adopt(one.project, one.attempt, now + one.left)


def accusation(row: Waiting) -> str:
    """How the error of a shard begins if its attempts are those of this event."""
    return f"event {row.uuid or f'in row {row.id}'} fails"


class Turn:
    """One sender's work on some shards."""

    def __init__(self, ready: Sequence[Ready], lapses: int) -> None:
        self.lapses = lapses
        self.fences = {one.shard: one.fence for one in ready}
        self.attempts = {one.shard: one.attempt for one in ready}
        self._errors = {one.shard: one.error or "" for one in ready}
        self.ends = time.monotonic() + TURN_SECONDS
        self.sent = False
        self.late = False
        """Whether events were left unsent because the leases expire too soon."""
        self.more = False
        """Whether the last read may have reached its limit before the last event."""
        self.left: set[str] = set()
        """Projects for which nothing more is sent in this turn: the events read may no longer be the oldest."""

    def recover(self, shards: Collection[int]) -> Collection[int]:
        """The given shards that had failed before; their failures are reset."""
        failed = {shard for shard in shards if self.attempts[shard]}
        self.attempts.update(dict.fromkeys(failed, 0))
        return failed

    def attempts_alone(self, row: Waiting) -> int:
        """How often this event failed alone with workers before; zero where the shard's attempts are about another."""
        named = self._errors[row.shard].startswith(accusation(row))
        return self.attempts[row.shard] if named else 0

    def accuse(self, row: Waiting, attempts: int) -> None:
        """The shard's attempts are those of this event from now on."""
        self.attempts[row.shard], self._errors[row.shard] = attempts, accusation(row)

    def attempt(self, shards: Collection[int]) -> int:
        """The number of the attempt that has just failed."""
        return max(self.attempts[shard] for shard in shards) + 1
