"""What a property check answers for the usual values, as an expression of Python."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, NamedTuple

from hogbox.flags._operators.check import Judge, Negation, PropertyCheck
from hogbox.flags._operators.equality import OneOf
from hogbox.flags._operators.number import NumberComparison
from hogbox.flags._operators.substring import Contains
from hogbox.flags._pattern.search import LiteralSearch, PatternSearch
from hogbox.flags._rules.predicate import StrictComparison

_UNCOUNTED: Final = 20_000
"""A search that takes no more steps than these is not counted."""

_SIGNS: Final = MappingProxyType({"gt": ">", "gte": ">=", "lt": "<", "lte": "<="})


class Inline(NamedTuple):
    """What `judge` answers for a text (or an integer that a double holds exactly), as an expression.

    With a `longest` it is only for texts of ASCII up to that length. In it `{value}` is the value, `{constant}`
    the constant and `{judge}` the check's own `judge`.
    """

    kind: type[str] | type[int]
    expression: str
    constant: object
    longest: int | None = None


def inline_of(check: PropertyCheck) -> Inline | None:
    """The check's expression; None where `judge` has to be called."""
    judge = check.judge
    if not isinstance(judge, Negation):
        return _inline_of_judge(judge)
    inline = _inline_of_judge(judge.judge)
    # In a negated expression {judge} would be the negated one, and could say unknown.
    if inline is None or "{judge}" in inline.expression:
        return None
    return inline._replace(expression=f"not ({inline.expression})")


def _inline_of_judge(judge: Judge) -> Inline | None:
    if isinstance(judge, OneOf):
        if len(judge.texts) == 1:
            return Inline(str, "{value}.lower() == {constant}", next(iter(judge.texts)))
        return Inline(str, "{value}.lower() in {constant}", judge.texts)
    if isinstance(judge, Contains):
        expression = "{constant} in {value}.lower() if {value}.isascii() else {judge}({value})"
        return Inline(str, expression, judge.needle)
    if isinstance(judge, StrictComparison):
        return _inline_of_judge(judge.comparison)
    if isinstance(judge, NumberComparison):
        return Inline(int, f"{{value}} {_SIGNS[judge.operator]} {{constant}}", judge.bound)
    if isinstance(judge, LiteralSearch):
        return Inline(str, _literal_expression(judge), judge.literal)
    return _inline_of_search(judge) if isinstance(judge, PatternSearch) else None


def _literal_expression(search: LiteralSearch) -> str:
    if search.at_start:
        return "{value} == {constant}" if search.at_end else "{value}.startswith({constant})"
    return "{value}.endswith({constant})" if search.at_end else "{constant} in {value}"


def _inline_of_search(search: PatternSearch) -> Inline | None:
    # A text of ASCII raises no doubts but about spaces.
    if search.expression is None or search.pattern.uses_space:
        return None
    longest = max((length for length, steps in search.costs if steps <= _UNCOUNTED), default=0)
    return Inline(str, "{constant}({value}) is not None", search.expression.search, longest)
