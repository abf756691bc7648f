"""Events that failed alone while others of their project pass: they wait by themselves, and their persons with them.

Later events of the same project and distinct id wait behind such an event (P4); everybody else's go on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from hogbox._delivery.batch import Waiting
from hogbox._events.event import distinct_id_of

MOST_PASSED_OVER: Final = 5000
"""Events that a read leaves out one by one. Where more wait behind suspects, whole shards are left out."""


class Passed(NamedTuple):
    """What a read leaves out: single events, and shards where too many of them wait."""

    ids: Collection[int]
    shards: Collection[int]


class Sorted(NamedTuple):
    """What was read: suspects to try again, each alone, and the events that nothing is in the way of."""

    due: list[Waiting]
    free: list[Waiting]


@dataclass(slots=True)
class Suspect:
    """An event that failed alone."""

    row: Waiting
    person: str | None
    passes: int
    """Requests of its project that had passed when it failed first."""
    attempts: int
    """How often it failed alone."""
    fence: int
    """Under which its shard was leased then."""
    charged: int
    """Those attempts that a limit counts: not where the project was refused and nothing had passed since the last."""
    passed: int = 0
    """Requests of its project that had passed when it failed last."""
    is_charged: bool = True
    """Whether the last attempt counts."""
    until: float | None = None
    """When it is tried again; None while its project as a whole fails, so that nothing accuses it."""
    behind: set[int] = field(default_factory=set)
    missing: bool = False
    """A read did not come upon it. That read left out what is behind it, so that the person waits for the next one."""


class Suspects:
    """The suspects of one worker. Times are seconds on one monotonic clock. Guard it with a lock."""

    def __init__(self) -> None:
        self._suspects: dict[int, Suspect] = {}
        self._blocked: dict[tuple[str, str], Suspect] = {}

    def fail(self, row: Waiting, passes: int, before: int, *, fence: int = 0, refused: bool = False) -> Suspect:
        """An event failed alone. `before`: how often it may have done so with another worker.

        `passes`: how many requests of its project passed so far. `refused`: the answer is about the project, its token
        or its quota: it says something about the event only if another one was taken since the attempt before.
        """
        suspect = self._suspects.get(row.id)
        if suspect is None:
            known = before if not self.shards({row.shard}) else 0
            # Only what tells them apart is kept: payloads may be large, and are secret where they are encrypted.
            bare = row._replace(payload="")
            suspect = self._suspects[row.id] = Suspect(bare, distinct_id_of(row.payload), passes, known, fence, known)
        suspect.attempts += 1
        suspect.is_charged = not refused or passes > suspect.passed
        suspect.charged += suspect.is_charged
        suspect.passed = passes
        return suspect

    def put_off(self, event: int, until: float) -> bool:
        """Leave an event that failed, and what is behind it, alone up to a moment; whether this is the first time."""
        suspect = self._suspects[event]
        first = suspect.until is None
        suspect.until = until
        if suspect.person is not None:
            self._blocked.setdefault((suspect.row.project, suspect.person), suspect)
        return first

    def forget(self, ids: Iterable[int]) -> None:
        """These events are settled, or gone."""
        if not self._suspects:
            return
        for suspect in [self._suspects.pop(one) for one in ids if one in self._suspects]:
            key = (suspect.row.project, suspect.person or "")
            if self._blocked.get(key) is suspect:
                del self._blocked[key]
                self._block_next(key)

    def forget_earlier(self, fences: Mapping[int, int]) -> None:
        """Forget the suspects of shards that were lost and claimed again since: another worker may have settled them.

        What has not been settled is read again, in its place.
        """
        if self._suspects:
            known = [(one, fences.get(one.row.shard, one.fence)) for one in self._suspects.values()]
            self.forget([one.row.id for one, fence in known if one.fence != fence])

    def attempts(self, event: int) -> int:
        """How often an event failed alone and was not settled since."""
        suspect = self._suspects.get(event)
        return suspect.attempts if suspect else 0

    def is_accused(self, event: int) -> bool:
        """Whether the event failed alone while others passed."""
        return self._accused(event) is not None

    def shards(self, among: Collection[int]) -> frozenset[int]:
        """Those of the shards in which some event is accused."""
        return frozenset(
            one.row.shard for one in self._suspects.values() if one.until is not None and one.row.shard in among
        )

    def passed_over(self, now: float) -> Passed:
        """What the next read is to leave out."""
        ids: list[int] = []
        shards: set[int] = set()
        accused = [one for one in self._suspects.values() if one.until is not None]
        for one in sorted(accused, key=lambda one: len(one.behind)):
            waits = one.until is not None and one.until > now
            if len(ids) + len(one.behind) < MOST_PASSED_OVER:
                ids += [*one.behind, one.row.id] if waits else one.behind
            elif waits:
                shards.add(one.row.shard)
        return Passed(ids, shards)

    def sort(self, rows: Sequence[Waiting], now: float) -> Sorted:
        """What was read, in order. Events behind a suspect are remembered, for the next read to leave them out."""
        if not self._suspects:
            return Sorted([], [*rows])
        due = [row for row in rows if (one := self._accused(row.id)) and one.until is not None and one.until <= now]
        return Sorted(due, [*self.free(rows)])

    def free(self, rows: Sequence[Waiting]) -> tuple[Waiting, ...]:
        """Those of the events that no suspect is in the way of."""
        if not self._suspects:
            return tuple(rows)
        found = []
        for row in rows:
            if self._accused(row.id):
                continue
            before = self._before(row)
            if before is None:
                found.append(row)
            elif not before.missing:
                before.behind.add(row.id)
        return tuple(found)

    def forget_missing(
        self, rows: Sequence[Waiting], shards: Collection[int], held: Collection[str], *, more: bool, now: float
    ) -> None:
        """Forget due suspects that are in the outbox no longer: a read of their shards did not come upon them.

        Another worker has settled them, or somebody removed them. Where events behind one were left out of the read,
        it is forgotten after the next read: what was read of its person comes later than they do.
        `held`: the projects that were left out. `more`: the read ended early, so that what lies beyond its last event
        of a shard was not looked at.
        """
        due = [one for one in self._suspects.values() if one.until is not None and one.until <= now]
        if not due:
            return
        read = {row.id for row in rows}
        last: dict[int, int] = {}
        for row in rows:
            last[row.shard] = max(row.id, last.get(row.shard, 0))
        looked_at = [one for one in due if one.row.shard in shards and one.row.project not in held]
        unread = [one for one in looked_at if one.row.id not in read]
        absent = [one for one in unread if not more or one.row.id < last.get(one.row.shard, 0)]
        gone = [one.row.id for one in looked_at if one.missing or (one in absent and not one.behind)]
        for one in absent:
            one.missing = True
            one.behind.clear()
        self.forget(gone)

    def _block_next(self, key: tuple[str, str]) -> None:
        for other in self._suspects.values():
            if other.until is not None and (other.row.project, other.person) == key:
                self._blocked.setdefault(key, other)

    def _accused(self, event: int) -> Suspect | None:
        suspect = self._suspects.get(event)
        return suspect if suspect is not None and suspect.until is not None else None

    def _before(self, row: Waiting) -> Suspect | None:
        if not self._blocked:
            return None
        person = distinct_id_of(row.payload)
        return None if person is None else self._blocked.get((row.project, person))
