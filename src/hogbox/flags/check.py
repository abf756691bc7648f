"""A compiled operator: what it answers for a value, and for none.

Operators come in families, each in its own module (`equality`, `phrase`, `number`, `regex`, `instant`,
`version`); every family turns a filter's value into a `Check`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from hogbox.flags.outcome import Outcome
from hogbox.flags.reason import Reason
from hogbox.flags.value import Json


class Inline(NamedTuple):
    """What `judge` answers for a text (or an integer that a double holds exactly), as an expression.

    With a `longest` it is only for texts of ASCII up to that length. In it `{value}` is the value, `{constant}`
    the constant and `{judge}` the check's own `judge`.
    """

    kind: type[str] | type[int]
    expression: str
    constant: object
    longest: int | None = None


class Check(NamedTuple):
    """One operator with its value, ready to judge."""

    judge: Callable[[Json], Outcome]
    """Takes a plain JSON value that was passed."""

    absent: Outcome = Reason.MISSING_CONTEXT
    """The answer when the property was not passed and the service may hold it."""

    judge_at: Callable[[Json, datetime], Outcome] | None = None
    """Given where the answer depends on the time: takes the value and an aware time, and goes before `judge`.
    """

    inline: Inline | None = None
    """The same as `judge`, as source, for values of one type; only for speed."""

    cost: Callable[[int], int] | None = None
    """The most steps that `judge` takes for a text of this length, where that is worth counting; the inlined
    source is for texts that are not.
    """

    problem: str | None = None
    """Why the answer is unknown or never a match whatever the value, in words; None where it is neither."""


def never(problem: str) -> Check:
    """A filter that can match no value, and so does not miss one that was not passed (section 9, step 5)."""
    return Check(lambda _: False, absent=False, problem=problem)


def unsupported(problem: str) -> Check:
    """A filter whose value only the service understands."""
    return Check(lambda _: Reason.UNSUPPORTED_DEFINITION, problem=problem)


def negated(check: Check) -> Check:
    """The opposite for values that were passed; what is unknown stays so."""
    judge = check.judge

    def opposite(value: Json) -> Outcome:
        outcome = judge(value)
        return (not outcome) if isinstance(outcome, bool) else outcome

    # In a negated expression {judge} would be the negated one, and could say unknown.
    inline = None
    if check.inline is not None and "{judge}" not in check.inline.expression:
        inline = check.inline._replace(expression=f"not ({check.inline.expression})")
    return check._replace(judge=opposite, inline=inline)
