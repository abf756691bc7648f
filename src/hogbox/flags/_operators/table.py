"""Every operator by its name: what it answers for values, for none, and for a property that is known to be unset."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from types import MappingProxyType
from typing import NamedTuple

from hogbox.flags._operators import number, semver, substring
from hogbox.flags._operators.check import PropertyCheck, negated, never, unsupported
from hogbox.flags._operators.date import dated
from hogbox.flags._operators.equality import exact
from hogbox.flags._operators.regex import regex
from hogbox.flags._operators.version import Versions
from hogbox.flags._reason import Outcome, Reason
from hogbox.flags._value import MOST_COMPARED, UNUSABLE, Json, json_value


class Matching(NamedTuple):
    """How a project compares: the version of `exact`, the zone in which its dates are meant, the versions
    met.
    """

    version: int
    zone: tzinfo
    versions: Versions


def _presence(operator: str, _value: Json, _matching: Matching) -> PropertyCheck:
    present = operator == "is_set"
    return PropertyCheck(lambda _: present)


def _plainly(check_of: Callable[[Json], PropertyCheck]) -> Callable[[str, Json, Matching], PropertyCheck]:
    """An operator and its opposite, which is the same name with `not_` before it."""

    def build(operator: str, value: Json, _matching: Matching) -> PropertyCheck:
        check = check_of(value)
        return negated(check) if operator.startswith("not_") else check

    return build


def _named(check_of: Callable[[str, Json], PropertyCheck]) -> Callable[[str, Json, Matching], PropertyCheck]:
    return lambda operator, value, _: check_of(operator, value)


def _ranged(check_of: Callable[[Json, Versions], PropertyCheck]) -> Callable[[str, Json, Matching], PropertyCheck]:
    return lambda _operator, value, matching: check_of(value, matching.versions)


def _compared(operator: str, value: Json, matching: Matching) -> PropertyCheck:
    return semver.compare(operator, value, matching.versions)


def _equality(operator: str, value: Json, matching: Matching) -> PropertyCheck:
    check = exact(value, matching.version)
    return negated(check) if operator == "is_not" else check


def _date(operator: str, value: Json, matching: Matching) -> PropertyCheck:
    return dated(operator, value, matching.zone)


def _impossible(operator: str, _value: Json, _matching: Matching) -> PropertyCheck:
    return never(f"no property can satisfy {operator}")


_FAMILIES: tuple[tuple[str, Callable[[str, Json, Matching], PropertyCheck]], ...] = (
    ("exact is_not", _equality),
    ("is_set is_not_set", _presence),
    ("icontains not_icontains", _plainly(substring.contains)),
    ("icontains_multi not_icontains_multi", _plainly(substring.contains_any)),
    ("starts_with not_starts_with", _plainly(substring.starts_with)),
    ("ends_with not_ends_with", _plainly(substring.ends_with)),
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


def check_of(operator: str, value: object, matching: Matching) -> PropertyCheck:
    """The operator with its value: the steps of section 9 that need no property, 1 to 5."""
    build = _OPERATORS.get(operator)
    if build is None:
        return unsupported(f"the operator {operator} is unknown")._replace(absent=Reason.UNSUPPORTED_DEFINITION)
    if build is not _presence and value is None:
        return never("the filter has no value")
    plain = json_value(value, MOST_COMPARED)
    if plain is UNUSABLE and build is not _presence:
        return unsupported("the filter's value is too large, or nothing that JSON can hold")
    return build(operator, plain, matching)


def unset(operator: str, value: object, check: PropertyCheck) -> Outcome:
    """The answer when the property is known to be unset (section 19)."""
    if operator not in _OPERATORS:
        return check.absent
    return operator in _MATCHES_UNSET and (value is not None or operator == "is_not_set")
