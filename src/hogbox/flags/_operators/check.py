"""A compiled operator: what it answers for a value, and for none.

Operators come in families, each in its own module (`equality`, `substring`, `number`, `regex`, `date`,
`semver`); every family turns a filter's value into a `PropertyCheck`, and `table` finds the family by the operator's
name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias

from hogbox.flags._reason import Outcome, Reason
from hogbox.flags._value import Json

Judge: TypeAlias = Callable[[Json], Outcome]
"""Many are small values, so that others can see what they compare."""


@dataclass(frozen=True, slots=True)
class Negation:
    """The opposite of another judge."""

    judge: Judge

    def __call__(self, seen: Json) -> Outcome:
        """True for False, False for True; what is unknown stays so."""
        outcome = self.judge(seen)
        return (not outcome) if isinstance(outcome, bool) else outcome


class PropertyCheck(NamedTuple):
    """One operator with its value, ready to judge."""

    judge: Judge
    """Answers for a plain JSON value that was passed."""

    absent: Outcome = Reason.MISSING_CONTEXT
    """The answer when the property was not passed and the service may hold it."""

    judge_at: Callable[[Json, datetime], Outcome] | None = None
    """Given where the answer depends on the time: takes the value and an aware time, and goes before `judge`.
    """

    cost: Callable[[int], int] | None = None
    """The most steps that `judge` takes for a text of this length, where that is worth counting."""

    problem: str | None = None
    """Why the answer is unknown or never a match whatever the value, in words; None where it is neither."""


def never(problem: str) -> PropertyCheck:
    """A filter that can match no value, and so does not miss one that was not passed (section 9, step 5)."""
    return PropertyCheck(lambda _: False, absent=False, problem=problem)


def unsupported(problem: str) -> PropertyCheck:
    """A filter whose value only the service understands."""
    return PropertyCheck(lambda _: Reason.UNSUPPORTED_DEFINITION, problem=problem)


def negated(check: PropertyCheck) -> PropertyCheck:
    """The opposite for values that were passed; what is unknown stays so."""
    return check._replace(judge=Negation(check.judge))
