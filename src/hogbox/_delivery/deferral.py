"""Deferrals: persons with an event that PostHog asks to send again, by itself and not the whole request.

All later events of such a person wait with it (P4); when the wait is over they are read in their order. Nobody else's
wait.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hogbox._delivery.batch import Waiting
from hogbox._delivery.suspect import MOST_PASSED_OVER, Passed
from hogbox._events.event import distinct_id_of

MOST_DEFERRED: Final = 2000
"""Persons that wait at a time. If there are more, PostHog stores next to nothing, and the project waits as a whole."""

_FORGOTTEN_AFTER: Final = 600.0
"""Seconds after a wait in which nothing more was heard of its events: they were removed by somebody else."""

_NEVER: Final = float("inf")

_Person = tuple[str, str | None]
"""Project and distinct id. Events whose distinct id can't be read wait together."""


@dataclass(slots=True)
class _Deferral:
    shard: int
    fence: int
    until: float
    waits: bool = True
    attempts: dict[int, int] = field(default_factory=dict)
    """By event, how often PostHog has asked for it again."""
    behind: set[int] = field(default_factory=set)
    """Later events that a read came upon."""


class Deferrals:
    """The deferrals of one worker. Times are seconds on one monotonic clock. Guard it with a lock."""

    def __init__(self) -> None:
        self._deferrals: dict[_Person, _Deferral] = {}
        self._persons: dict[int, _Person] = {}

    def has_room(self, rows: Collection[Waiting]) -> bool:
        """Whether the persons of these events may wait separately."""
        return len(self._deferrals) + len(rows) <= MOST_DEFERRED

    def defer(self, rows: Sequence[Waiting], fences: Mapping[int, int], until: Callable[[int], float]) -> None:
        """PostHog asks for these events again. `until` gives the end of the wait for the number of the attempt."""
        for row in rows:
            person = self._persons[row.id] = (row.project, distinct_id_of(row.payload))
            known = self._deferrals.setdefault(person, _Deferral(row.shard, fences[row.shard], 0.0))
            known.attempts[row.id] = known.attempts.get(row.id, 0) + 1
        ends = until(max(self.attempts(row.id) for row in rows))
        for row in rows:
            one = self._deferrals[self._persons[row.id]]
            one.waits, one.until, one.fence = True, max(one.until, ends), fences[row.shard]

    def attempts(self, event: int) -> int:
        """How often PostHog has asked for an event again."""
        person = self._persons.get(event)
        return 0 if person is None else self._deferrals[person].attempts.get(event, 0)

    def release(self, shards: Mapping[int, int], now: float) -> None:
        """End the waits of these shards that are over. To be called before they are read, by whoever works on them.

        `shards` are given with their fences: those that were lost and claimed again may be settled by another worker.
        """
        for person, one in [*self._deferrals.items()]:
            fence = shards.get(one.shard, one.fence)
            if fence != one.fence or one.until + _FORGOTTEN_AFTER < now:
                self._forget(person)
            elif one.shard in shards and one.until <= now:
                one.waits = False
                one.behind.clear()

    def settle(self, ids: Iterable[int]) -> frozenset[int]:
        """These events are settled, or gone. Returns the shards in which a deferral is over by that."""
        if not self._persons:
            return frozenset()
        over = set()
        for event in ids:
            if (person := self._persons.pop(event, None)) is not None:
                one = self._deferrals[person]
                del one.attempts[event]
                if not one.attempts:
                    over.add(one.shard)
                    del self._deferrals[person]
        return frozenset(over)

    def passed_over(self) -> Passed:
        """What the next read is to leave out."""
        ids: list[int] = []
        shards: set[int] = set()
        for one in self._deferrals.values():
            if not one.waits:
                continue
            if len(ids) + len(one.attempts) + len(one.behind) <= MOST_PASSED_OVER:
                ids += [*one.attempts, *one.behind]
            else:
                shards.add(one.shard)
        return Passed(ids, shards)

    def free(self, rows: Sequence[Waiting]) -> tuple[Waiting, ...]:
        """Those of the events whose persons don't wait. The others are remembered, for the next read to leave out."""
        if not any(one.waits for one in self._deferrals.values()):
            return tuple(rows)
        found = []
        for row in rows:
            one = self._deferrals.get((row.project, distinct_id_of(row.payload)))
            if one is None or not one.waits:
                found.append(row)
            elif row.id not in one.attempts:
                one.behind.add(row.id)
        return tuple(found)

    def next_due(self, now: float) -> float:
        """When the next wait is over; infinity if there is none."""
        return min((one.until for one in self._deferrals.values() if one.waits and one.until > now), default=_NEVER)

    def _forget(self, person: _Person) -> None:
        for event in self._deferrals.pop(person).attempts:
            self._persons.pop(event, None)
