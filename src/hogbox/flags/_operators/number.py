"""Numbers, and the operators that compare them: gt, gte, lt, lte, between, not_between (section 9.3)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from hogbox.flags._operators.check import PropertyCheck, never
from hogbox.flags._reason import Reason
from hogbox.flags._value import Json

# Checked before float(), which would also take spaces and underscores.
_NUMERAL = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf(?:inity)?|nan)", re.IGNORECASE)

_COMPARISONS: MappingProxyType[str, Callable[[float, float], bool]] = MappingProxyType(
    {"gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}
)


def number_of(value: Json) -> float | None:
    """The value as a double, or None: numbers and text that reads as one, never booleans."""
    kind = type(value)
    if kind is int or kind is float:
        return float(value)
    if kind is str and _NUMERAL.fullmatch(value) and value.isascii():
        return float(value)
    return None


def comparison(operator_name: str, value: Json) -> PropertyCheck:
    """gt, gte, lt or lte with `value`; what is not a number on either side never matches."""
    bound = number_of(value)
    if bound is None:
        return never("the filter's value is not a number")
    return PropertyCheck(NumberComparison(operator_name, _COMPARISONS[operator_name], bound))


@dataclass(frozen=True, slots=True)
class NumberComparison:
    """A bound, and on which side of it a number must be."""

    operator: str
    """ "gt", "gte", "lt" or "lte"."""
    holds: Callable[[float, float], bool]
    bound: float

    def __call__(self, seen: Json) -> bool:
        """Whether a value is a number on that side."""
        number = number_of(seen)
        return number is not None and self.holds(number, self.bound)


def between(operator_name: str, value: Json) -> PropertyCheck:
    """between or not_between `[low, high]`, both ends included; bad bounds never match."""
    bounds = _bounds(value)
    if bounds is None:
        # Asymmetric on purpose: with bad bounds and the property missing, not_between is unknown.
        refusal = never("the filter's value is not a pair of numbers, lower first")
        return refusal if operator_name == "between" else refusal._replace(absent=Reason.MISSING_CONTEXT)
    low, high = bounds
    inside = operator_name == "between"

    def judge(seen: Json) -> bool:
        number = number_of(seen)
        if number is None or number != number:
            return False
        return (low <= number <= high) is inside

    return PropertyCheck(judge)


def _bounds(value: Json) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:
        return None
    low, high = number_of(value[0]), number_of(value[1])
    return (low, high) if low is not None and high is not None and low <= high else None
