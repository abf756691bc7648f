"""Filters on properties: where each looks, and what it answers (sections 4 and 9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import tzinfo
from types import MappingProxyType
from typing import Any, NamedTuple

from hogbox.flags import number, phrase, semver
from hogbox.flags.check import Check, negated, never, unsupported
from hogbox.flags.dating import dated
from hogbox.flags.equality import exact
from hogbox.flags.outcome import Outcome
from hogbox.flags.person import Person
from hogbox.flags.reason import Reason
from hogbox.flags.regex import regex
from hogbox.flags.value import MISSING, MOST_COMPARED, UNUSABLE, Json, json_value, text_of
from hogbox.flags.version import Versions

_STEPS_A_FILTER = 100
_STEPS_A_PATTERN = 25_000
_STEPS_A_CHARACTER = 1_500


class Matching(NamedTuple):
    """How a project compares: the version of `exact`, the zone in which its dates are meant, the versions
    met.
    """

    version: int
    zone: tzinfo
    versions: Versions


class PropertyFilter:
    """One property, one operator, one value; on the person's properties."""

    __slots__ = ("_check", "_matching", "_price", "key", "operator", "type", "value")

    def __init__(self, key: str, kind: str | None, operator: str | None, value: object, matching: Matching) -> None:
        self.key = key
        self.type = kind or "person"
        self.operator = operator or "exact"
        self.value = value
        self._matching = matching
        self._check: Check | None = None
        self._price = _price(self.operator, value)

    @property
    def check(self) -> Check:
        """The operator with its value, compiled on first use: of 20,000 filters few may ever be asked."""
        if self._check is None:
            self._check = _check_of(self.operator, self.value, self._matching)
        return self._check

    @property
    def unset(self) -> Outcome:
        """The answer when the property is known to be unset."""
        return _unset(self.operator, self.value, self.check)

    def seen(self, person: Person) -> object:
        """The property's value as it was passed; MISSING where it was not."""
        return person.properties.get(self.key, MISSING)

    def outcome(self, person: Person) -> Outcome:
        """Whether the person's property satisfies the filter."""
        # The price of the compilation counts each time, so that an answer does not depend on earlier calls.
        if not person.spend(self._price):
            return Reason.EVALUATION_LIMIT
        seen = self.seen(person)
        check = self.check
        if check.cost is not None and seen is not MISSING and not person.spend(check.cost(_length(seen))):
            return Reason.EVALUATION_LIMIT
        if check.judge_at is None:
            return check.judge(seen) if type(seen) is str else self.judge(seen, person.complete)
        if seen is MISSING:
            return self.judge(seen, person.complete)
        value = json_value(seen)
        return Reason.MISSING_CONTEXT if value is UNUSABLE else check.judge_at(value, person.now)

    def judge(self, seen: object, complete: bool) -> Outcome:
        """What the filter answers for a value or for MISSING, where the time does not matter."""
        if seen is MISSING:
            return self.unset if complete else self.check.absent
        value = json_value(seen)
        return Reason.MISSING_CONTEXT if value is UNUSABLE else self.check.judge(value)


class GroupFilter(PropertyFilter):
    """The same on the properties of a group."""

    __slots__ = ("group_type",)

    def __init__(
        self,
        key: str,
        kind: str | None,
        operator: str | None,
        value: object,
        matching: Matching,
        group_type: str | None,
    ) -> None:
        super().__init__(key, kind or "group", operator, value, matching)
        self.group_type = group_type
        """None where the group's index is not in the definitions."""

    def seen(self, person: Person) -> object:
        """The property of the group; MISSING where the group was not given either."""
        group = None if self.group_type is None else person.group(self.group_type)
        return MISSING if group is None else group.properties.get(self.key, MISSING)

    def outcome(self, person: Person) -> Outcome:
        """Unknown, whatever is vouched for, where the group was not given or cannot be named."""
        if self.group_type is None:
            return Reason.UNSUPPORTED_DEFINITION
        if person.group(self.group_type) is None:
            return Reason.MISSING_CONTEXT
        return super().outcome(person)


def _price(operator: str, value: object) -> int:
    """The steps that a filter costs whatever it sees; a pattern is compiled."""
    if operator not in ("regex", "not_regex"):
        return _STEPS_A_FILTER
    length = len(value) if isinstance(value, str) else 100
    return _STEPS_A_PATTERN + _STEPS_A_CHARACTER * length


def _length(seen: object) -> int:
    """The length of a value's text."""
    if type(seen) is str:
        return len(seen)
    value = json_value(seen)
    return 0 if value is UNUSABLE else len(text_of(value))


class OpaqueFilter:
    """A filter of a type that only the service can evaluate."""

    __slots__ = ("key", "operator", "problem", "type", "value")

    def __init__(self, raw: Mapping[str, Any], problem: str) -> None:
        self.key = raw.get("key")
        self.type = raw.get("type")
        self.operator = raw.get("operator")
        self.value = raw.get("value")
        self.problem = problem

    def outcome(self, person: Person) -> Outcome:  # noqa: ARG002 - one face for all filters
        """Always unknown."""
        return Reason.UNSUPPORTED_DEFINITION


def _presence(operator: str, _value: Json, _matching: Matching) -> Check:
    present = operator == "is_set"
    return Check(lambda _: present)


def _plainly(check_of: Callable[[Json], Check]) -> Callable[[str, Json, Matching], Check]:
    """An operator and its opposite, which is the same name with `not_` before it."""

    def build(operator: str, value: Json, _matching: Matching) -> Check:
        check = check_of(value)
        return negated(check) if operator.startswith("not_") else check

    return build


def _named(check_of: Callable[[str, Json], Check]) -> Callable[[str, Json, Matching], Check]:
    return lambda operator, value, _: check_of(operator, value)


def _ranged(check_of: Callable[[Json, Versions], Check]) -> Callable[[str, Json, Matching], Check]:
    return lambda _operator, value, matching: check_of(value, matching.versions)


def _compared(operator: str, value: Json, matching: Matching) -> Check:
    return semver.compare(operator, value, matching.versions)


def _equality(operator: str, value: Json, matching: Matching) -> Check:
    check = exact(value, matching.version)
    return negated(check) if operator == "is_not" else check


def _date(operator: str, value: Json, matching: Matching) -> Check:
    return dated(operator, value, matching.zone)


def _impossible(operator: str, _value: Json, _matching: Matching) -> Check:
    return never(f"no property can satisfy {operator}")


_FAMILIES: tuple[tuple[str, Callable[[str, Json, Matching], Check]], ...] = (
    ("exact is_not", _equality),
    ("is_set is_not_set", _presence),
    ("icontains not_icontains", _plainly(phrase.contains)),
    ("icontains_multi not_icontains_multi", _plainly(phrase.contains_any)),
    ("starts_with not_starts_with", _plainly(phrase.starts_with)),
    ("ends_with not_ends_with", _plainly(phrase.ends_with)),
    ("regex not_regex", _named(regex)),
    ("gt gte lt lte", _named(number.comparison)),
    ("between not_between", _named(number.between)),
    ("is_date_before is_date_after is_date_exact", _date),
    ("semver_eq semver_neq semver_gt semver_gte semver_lt semver_lte", _compared),
    ("semver_tilde", _ranged(semver.tilde)),
    ("semver_caret", _ranged(semver.caret)),
    ("semver_wildcard", _ranged(semver.wildcard)),
    ("in not_in flag_evaluates_to", _impossible),
)
_OPERATORS = MappingProxyType({name: build for names, build in _FAMILIES for name in names.split()})

# Section 19: what matches when a property is known to be unset.
_NEGATIVE = "is_not not_icontains not_icontains_multi not_starts_with not_ends_with not_regex not_between"
_MATCHES_UNSET = frozenset({"is_not_set", *_NEGATIVE.split()})


def _check_of(operator: str, value: object, matching: Matching) -> Check:
    """The steps of section 9 that need no property: 1 to 5."""
    build = _OPERATORS.get(operator)
    if build is None:
        return unsupported(f"the operator {operator} is unknown")._replace(absent=Reason.UNSUPPORTED_DEFINITION)
    if build is not _presence and value is None:
        return never("the filter has no value")
    plain = json_value(value, MOST_COMPARED)
    if plain is UNUSABLE and build is not _presence:
        return unsupported("the filter's value is too large, or nothing that JSON can hold")
    return build(operator, plain, matching)


def _unset(operator: str, value: object, check: Check) -> Outcome:
    if operator not in _OPERATORS:
        return check.absent
    return operator in _MATCHES_UNSET and (value is not None or operator == "is_not_set")
