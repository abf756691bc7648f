"""How it goes with each project: whether it is put off, how narrow its next request is, and who is to blame.

A failure may be the host's, the project's or one event's. At first all are taken for the host's or the project's: the
project waits, and the others go on. After some attempts its requests get narrower, down to one event, each time of
another shard. Once such a narrow request passes, host and project are proven well: what still fails is then the fault
of its events, which are searched at once, by halving. So an outage costs one request for each pause, however many
events wait, and one bad event is found after a few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from hogbox._delivery.batch import Waiting
from hogbox._delivery.bisection import Part, narrowed, rotated, whole

MOST_FAILURES: Final = 16
"""Failures in a row in which a search ends: an outage has begun. Among 30,000 events one is found with fewer."""

LONGEST_SEARCH: Final = 10.0
"""Seconds in which a search without any success ends: with time-outs each failure is expensive."""

PROVEN_SECONDS: Final = 300.0
"""For so long after a narrow request passed, or an event was found, a failure is searched at once."""

_NARROWER: Final = 32
_NEVER: Final = float("-inf")


class FailedRequest(NamedTuple):
    """A request that failed: when it began and ended, and how many events it had.

    `of_events`: the answer is one that events may be to blame for; `of_size`: it is about the size of them.
    `later`: the server asks for a pause by itself.
    """

    began: float
    ended: float
    size: int
    of_events: bool = True
    of_size: bool = False
    later: bool = False


class Ruling(NamedTuple):
    """Who is to blame for a failure, and whether the project is put off now."""

    accused: bool
    """The events of the request: other requests of the project pass."""
    pause: bool


@dataclass(slots=True)
class _Course:
    attempt: int = 0
    until: float = _NEVER
    paused_at: float = _NEVER
    prober: object = None
    width: int | None = None
    proven_until: float = _NEVER
    streak: int = 0
    streak_began: float = 0.0
    passes: int = 0


class Courses:
    """The projects of one worker that failed. Times are seconds on one monotonic clock. Guard it with a lock."""

    def __init__(self) -> None:
        self._courses: dict[str, _Course] = {}

    def held(self, now: float) -> frozenset[str]:
        """The projects to leave alone at this moment."""
        return frozenset(project for project, course in self._courses.items() if course.until > now)

    def next_due(self, now: float) -> float:
        """When the next of the projects that are left alone may be tried; infinity where there is none."""
        return min((course.until for course in self._courses.values() if course.until > now), default=float("inf"))

    def may_try(self, project: str, now: float, patience: float, who: object) -> bool:
        """Whether `who` may send for the project. After a pause one may; others only `patience` seconds later."""
        course = self._courses.get(project)
        if course is None or not course.attempt:
            return True
        if course.until > now and course.prober is not who:
            return False
        course.prober, course.until = who, now + patience
        return True

    def attempts(self, project: str) -> int:
        """How often in a row the project failed."""
        course = self._courses.get(project)
        return course.attempt if course else 0

    def passes(self, project: str) -> int:
        """How many requests of the project passed since its first failure."""
        course = self._courses.get(project)
        return course.passes if course else 0

    def parts(self, rows: tuple[Waiting, ...]) -> tuple[Part, ...]:
        """One batch of a project, as the requests to make for it while they pass."""
        course = self._courses.get(rows[0].project)
        if course is None or course.width is None:
            return whole(rows)
        return narrowed(rows, course.width)

    def arrange(self, rows: Sequence[Waiting]) -> Sequence[Waiting]:
        """What was read: of each project whose requests are narrow, other events first than at its last attempt."""
        narrow = {row.project for row in rows if (course := self._courses.get(row.project)) and course.width}
        for project in narrow:
            attempt = self._courses[project].attempt
            turned = iter(rotated([row for row in rows if row.project == project], attempt) if attempt else ())
            rows = [next(turned, row) if row.project == project else row for row in rows]
        return rows

    def accept(self, project: str, now: float, *, passed: bool = True) -> bool:
        """PostHog took events of the project, or accused one in its own words: let it go; whether it was put off."""
        course = self._courses.get(project)
        if course is None:
            return False
        course.streak = 0
        if passed:
            course.passes += 1
            if course.width is not None:
                course.proven_until = now + PROVEN_SECONDS
                course.width = 2 * course.width if course.width < _NARROWER**2 else None
        was_put_off = course.attempt > 0
        course.attempt, course.until, course.prober = 0, _NEVER, None
        return was_put_off

    def judge(self, project: str, failure: FailedRequest) -> Ruling:
        """Who is to blame for a failure of the project."""
        course = self._courses.setdefault(project, _Course())
        if not course.streak:
            course.streak_began = failure.began
        course.streak += 1
        proven = course.proven_until > failure.began
        accused = failure.of_events and (proven or failure.of_size)
        if proven and failure.size == 1:
            course.proven_until = failure.ended + PROVEN_SECONDS
        endless = course.streak > MOST_FAILURES or failure.ended - course.streak_began > LONGEST_SEARCH
        return Ruling(accused, not accused or failure.later or endless)

    def pause(self, project: str, until: float, failure: FailedRequest, patience: int) -> bool:
        """Put the project off up to a moment; from the attempt number `patience` on, its requests get narrower.

        Not narrower for an answer that is about no event. A request that was under way when the project was put off
        counts as part of the same attempt: False, and nothing is changed.
        """
        course = self._courses.setdefault(project, _Course())
        if course.attempt and failure.began < course.paused_at:
            return False
        course.attempt += 1
        course.until, course.paused_at, course.prober, course.streak = until, failure.ended, None, 0
        proven = course.proven_until > failure.began
        if failure.of_events and (proven or course.attempt >= patience):
            course.width = max(1, failure.size // (2 if proven else _NARROWER))
            course.proven_until = _NEVER
        return True

    def adopt(self, project: str, attempt: int, until: float) -> None:
        """Go on where a worker before this one ended; nothing where the project is known by now."""
        self._courses.setdefault(project, _Course(attempt, until))
