"""Schedule: when a worker looks for events, which shards it deals to its senders, and for how long it may sleep.

Pure: it is told what happened and asked what is due, with the time of one monotonic clock, in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from enum import Enum
from typing import Final, NamedTuple, Protocol, TypeVar

HINT_SECONDS: Final = 10.0
"""How long a capture in this process keeps the worker looking often: its transaction may commit at any moment."""

OFTEN: Final = 0.04
"""The pulse after a hint: below what a person notices. Each look is one query of about 0.2 ms, half a percent of it."""

SELDOM: Final = 0.1
"""The longest pulse where a look is free: SQLite's file says whether it changed without a query."""

GATHER: Final = 0.03
"""After a turn that took all there was: time for the next events to gather, so that a few requests carry many."""

REST: Final = 1.0
"""After an error of the database: long enough to cost nothing, short enough to go on soon after a restart."""

IDLE_SHARE: Final = 20
"""Times the duration of a search in vain: passing over the events of held projects costs at most a twentieth of the
time, however many wait."""

LONGEST_REST: Final = 5.0
"""A search that itself waited for a lost connection took long without costing anything."""

TOGETHER: Final = 0.01
"""Shards that were put off together are due within a few milliseconds: one request serves them all."""


class TurnOutcome(Enum):
    """How a turn ended."""

    NOTHING = "nothing"
    """There was nothing to send, or nothing that could be."""

    LATE = "late"
    """There was something to send, but the leases may have ended before an answer came: prolong them first."""

    SENT = "sent"
    """Events were sent, and none are left, or those that are have to wait."""

    MORE = "more"
    """Events were sent, and more are waiting."""


class Finished(NamedTuple):
    """A turn that is over; it may be collected much later."""

    outcome: TurnOutcome
    began: float
    ended: float


class Due(Protocol):
    """A shard that holds events."""

    @property
    def shard(self) -> int: ...

    @property
    def wait(self) -> float:
        """Seconds until it may be sent from; zero or less where it may be now."""


D = TypeVar("D", bound=Due)


class Schedule:
    """What one worker does next, for `senders` requests at once and a look every `poll_seconds`."""

    def __init__(self, senders: int, poll_seconds: float) -> None:
        self.parallel = 1
        """Turns to have under way: more while there is a backlog; one for all shards while there is none."""
        self.failing = False
        """Whether the last round met an error of the database."""
        self._senders = senders
        self._poll_seconds = poll_seconds
        self._often_until = 0.0
        self._look_at = 0.0
        self._gather_until = 0.0
        self._resting: dict[int, float] = {}

    def hint(self, now: float, seconds: float = HINT_SECONDS) -> bool:
        """Events may be committed soon. Returns whether the worker may sleep longer than that allows."""
        asleep = now >= self._often_until
        self._often_until = max(self._often_until, now + seconds)
        return asleep

    def look_now(self) -> None:
        """Shards were claimed: what waits in them is due."""
        self._look_at = 0.0

    def finish(self, shards: Iterable[int], turn: Finished, now: float, next_due: float) -> None:
        """A turn has ended. `next_due`: when the next project that was put off may be tried again."""
        self._adapt(turn.outcome)
        if turn.outcome in (TurnOutcome.SENT, TurnOutcome.MORE):
            self._gather_until = now + GATHER if turn.outcome is TurnOutcome.SENT else 0.0
            self._look_at = self._gather_until
        else:
            # From the end of the search: it may be collected much later, where the database keeps the worker waiting.
            self._let_rest(shards, min(turn.ended + self._rest(turn), next_due + TOGETHER))

    def fail(self, shards: Iterable[int], now: float) -> None:
        """A turn has ended with an error."""
        self._adapt(TurnOutcome.NOTHING)
        self._let_rest(shards, now + REST)

    def should_look(self, now: float, busy: int, changed: Callable[[], bool]) -> bool:
        """Whether to look for events now, while `busy` turns are under way."""
        return busy < self._senders and now >= self._gather_until and (changed() or now >= self._look_at)

    def deal(
        self, found: Iterable[D], unavailable: Collection[int], busy: int, next_beat: float, now: float
    ) -> list[Sequence[D]]:
        """The turns to begin with the shards that were found, without the unavailable ones."""
        self._resting = {shard: until for shard, until in self._resting.items() if until > now}
        self._look_at = next_beat
        ready: list[D] = []
        for one in found:
            wait = max(one.wait, self._resting.get(one.shard, now) - now)
            if wait > 0:
                self._look_at = min(self._look_at, now + wait + TOGETHER)
            elif one.shard not in unavailable:
                ready.append(one)
        turns = max(1, self.parallel - busy)
        return [ready[index::turns] for index in range(turns) if ready[index::turns]]

    def pause(self, now: float, busy: int, next_beat: float, *, precise: bool) -> float:
        """How long to sleep: until something is due; a pulse at the latest, for what no signal announces.

        `precise`: whether the database says by itself that something changed, for free.
        """
        if self.failing:
            return REST
        pulse = min(self._poll_seconds, SELDOM) if precise else self._poll_seconds
        if now < self._often_until:
            pulse = min(pulse, OFTEN)
        due = next_beat if busy >= self._senders else min(next_beat, self._look_at)
        return max(0.0, min(pulse, due - now))

    def _adapt(self, outcome: TurnOutcome) -> None:
        wanted = self.parallel * 2 if outcome is TurnOutcome.MORE else self.parallel // 2
        self.parallel = max(1, min(wanted, self._senders))

    def _rest(self, turn: Finished) -> float:
        cost = 0.0 if turn.outcome is TurnOutcome.LATE else turn.ended - turn.began
        return min(LONGEST_REST, max(self._poll_seconds, IDLE_SHARE * cost))

    def _let_rest(self, shards: Iterable[int], until: float) -> None:
        self._resting.update(dict.fromkeys(shards, until))
        self._look_at = min(self._look_at, until)
