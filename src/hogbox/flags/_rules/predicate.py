"""Predicates of a rule: filters of a person, of which order matters and errors count (rules v2, 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from hogbox.flags._filter import PropertyFilter
from hogbox.flags._operators.check import Judge, Negation, PropertyCheck
from hogbox.flags._operators.date import dated
from hogbox.flags._operators.instant import NO_DATE, of_filter
from hogbox.flags._operators.number import NumberComparison, number_of
from hogbox.flags._operators.table import Matching, check_of, unset
from hogbox.flags._operators.version import SPACES, version_of
from hogbox.flags._person import EvaluatedPerson
from hogbox.flags._reason import MalformedError, Outcome, Reason, opposite
from hogbox.flags._rules.literal import Literal, Numeral, plain
from hogbox.flags._value import Json

_PATTERNS: Final = frozenset({"regex", "not_regex"})
_NUMBERS: Final = frozenset({"gt", "gte", "lt", "lte"})
_DATES: Final = frozenset({"is_date_exact", "is_date_after", "is_date_before"})
_PRESENCE: Final = frozenset({"is_set", "is_not_set"})
_ANYTHING: Final = frozenset({"exact", "is_not"}) | _PRESENCE
_LISTS: Final = frozenset({"icontains_multi", "not_icontains_multi"})
_TEXTS: Final = _PATTERNS | {
    f"{negation}{name}" for name in ("icontains", "starts_with", "ends_with") for negation in ("", "not_")
}
_VERSIONS: Final = frozenset(
    f"semver_{name}" for name in ("eq", "neq", "gt", "gte", "lt", "lte", "tilde", "caret", "wildcard")
)


@dataclass(frozen=True, slots=True)
class StrictComparison:
    """A comparison of numbers for which a value that is not a number is an error, not a miss."""

    comparison: NumberComparison

    def __call__(self, seen: Json) -> Outcome:
        """Whether a value is a number on that side; unknown if it is not a number."""
        return self.comparison(seen) if number_of(seen) is not None else Reason.MISSING_CONTEXT


class Predicate(PropertyFilter):
    """A filter of the person, whose error ends the evaluation."""

    __slots__ = ("negation",)

    def __init__(self, key: str, operator: str | None, value: Json, negation: bool, matching: Matching) -> None:
        super().__init__(key, "person", operator, value, matching)
        self.negation = negation

    @property
    def check(self) -> PropertyCheck:
        """The operator with its value and the negation."""
        if self._check is None:
            self._check = _check_of(self.operator, self.value, self.negation, self._matching)
        return self._check

    @property
    def unset(self) -> Outcome:
        """The answer when the property is known to be unset."""
        if self.operator in _PATTERNS and self.check.problem is not None:
            return Reason.UNSUPPORTED_DEFINITION
        outcome = unset(self.operator, self.value, self.check)
        return opposite(outcome) if self.negation else outcome

    def outcome(self, person: EvaluatedPerson) -> Outcome:
        """Whether the person's property satisfies the filter; unknown if no properties were passed at all."""
        return super().outcome(person) if person.has_properties else Reason.MISSING_CONTEXT


def _check_of(operator: str, value: Json, negation: bool, matching: Matching) -> PropertyCheck:
    if operator in _DATES:
        check = dated(operator, value, matching.zone, moving=True)
    else:
        check = check_of(operator, value, matching)
    if isinstance(check.judge, NumberComparison):
        check = check._replace(judge=StrictComparison(check.judge))
    elif check.problem is not None and (operator in _NUMBERS or operator in _PATTERNS):
        return PropertyCheck(lambda _: Reason.UNSUPPORTED_DEFINITION, problem=check.problem)
    # Not passed is an error for every operator: only the service knows the property.
    check = check._replace(absent=Reason.MISSING_CONTEXT)
    return _inverted(check) if negation else check


def _inverted(check: PropertyCheck) -> PropertyCheck:
    judge: Judge = check.judge.judge if isinstance(check.judge, Negation) else Negation(check.judge)
    judge_at = check.judge_at
    if judge_at is None:
        return check._replace(judge=judge)

    def inverted(seen: Json, now: datetime) -> Outcome:
        return opposite(judge_at(seen, now))

    return check._replace(judge=judge, judge_at=inverted)


_FIELDS: Final = frozenset(
    ["key", "type", "operator", "value", "negation", "group_type_index", "cohort_name", "group_key_names", "label"]
)


class UnsupportedError(MalformedError):
    """What in a flag's definition the service understands, but does not evaluate."""


def predicate_of(raw: Literal, matching: Matching) -> Predicate:
    """A predicate of the document. Raises MalformedError."""
    if not isinstance(raw, dict):
        raise MalformedError("a predicate is not an object")
    if raw.get("type") in ("cohort", "group", "flag"):
        raise UnsupportedError(f"the service does not evaluate predicates of the type {raw['type']} in rules")
    if raw.get("type") != "person" or raw.keys() - _FIELDS:
        raise MalformedError("a predicate is not of the type person, or has unknown fields")
    key, operator, negation = raw.get("key"), raw.get("operator"), raw.get("negation")
    if not isinstance(key, str) or not key or not isinstance(operator, str | None):
        raise MalformedError("a predicate has no key, or an operator that is not text")
    if not isinstance(negation, bool | None) or raw.get("group_type_index") is not None:
        raise MalformedError("a predicate's `negation` is not a boolean, or it has a `group_type_index`")
    _check_presentation(raw)
    operator = "exact" if operator is None else operator
    value = raw.get("value")
    if not _takes(operator, value):
        raise MalformedError(f"a predicate's operator is unknown, or can't have its value: {operator:.40}")
    return Predicate(key, operator, plain(value), negation is True, matching)


def _check_presentation(raw: Mapping[str, Any]) -> None:
    names = raw.get("group_key_names")
    texts = [raw.get("cohort_name"), raw.get("label"), *(names.values() if isinstance(names, dict) else ())]
    if not isinstance(names, dict | None) or not all(isinstance(text, str | None) for text in texts):
        raise MalformedError("a predicate's names or label are not text")


def _takes(operator: str, value: Literal) -> bool:
    """Whether the operator is one of rules, with a value that it can have."""
    if operator in _ANYTHING:
        return True
    if operator in _LISTS:
        return isinstance(value, list)
    if operator in _NUMBERS:
        return isinstance(value, str | Numeral)
    if not isinstance(value, str):
        return False
    if operator in _VERSIONS:
        return _is_version(value.rstrip(".*") if operator == "semver_wildcard" else value)
    # A time that the project's zone skips is a date too, so it is read in a zone that skips none.
    return operator in _TEXTS or (operator in _DATES and of_filter(value, UTC) != NO_DATE)


def _is_version(text: str) -> bool:
    parts = [part.strip(SPACES) for part in text.partition("-")[0].split(".")[:3]]
    return all(part.isascii() and part.isdigit() for part in parts) and version_of(text) is not None
