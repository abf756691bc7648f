"""Texts for filters and rollouts: "plan is exactly 'pro'", "30 % of people"."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from hogbox.flags._cohort import Cohort, CohortFilter, Entry, NegatedEntry
from hogbox.flags._condition import Audience, Bucketing, Filter, FlagCondition
from hogbox.flags._filter import FlagFilter, GroupFilter, OpaqueFilter, PropertyFilter
from hogbox.flags._rules.predicate import Predicate
from hogbox.flags._words.filter_explanation import short

_SHOWN: Final = 10
"""The number of list items that are shown."""

_LONGEST: Final = 200
"""The number of characters of an object that are shown."""

_RELATIVE: Final = re.compile(r"-?([0-9]{1,4})([hdwmy])")
_UNITS: Final = MappingProxyType({"h": "hour", "d": "day", "w": "week", "m": "month", "y": "year"})

_PLAIN: Final = MappingProxyType(
    {
        "icontains": "contains {}",
        "not_icontains": "does not contain {}",
        "starts_with": "starts with {}",
        "not_starts_with": "does not start with {}",
        "ends_with": "ends with {}",
        "not_ends_with": "does not end with {}",
        "regex": "matches the pattern {}",
        "not_regex": "does not match the pattern {}",
        "gt": "is greater than {}",
        "gte": "is at least {}",
        "lt": "is less than {}",
        "lte": "is at most {}",
        "semver_eq": "is version {}",
        "semver_neq": "is not version {}",
        "semver_gt": "is a later version than {}",
        "semver_gte": "is version {} or later",
        "semver_lt": "is an earlier version than {}",
        "semver_lte": "is version {} or earlier",
        "semver_tilde": "is version {} or a later patch of it",
        "semver_caret": "is version {} or a later one compatible with it",
        "semver_wildcard": "is a version that fits {}",
    }
)
_LISTED: Final = MappingProxyType(
    {
        "exact": ("is exactly {}", "is exactly one of {}"),
        "is_not": ("is not {}", "is not one of {}"),
        "icontains_multi": ("contains {}", "contains one of {}"),
        "not_icontains_multi": ("does not contain {}", "contains none of {}"),
    }
)
_ALONE: Final = MappingProxyType({"is_set": "is set", "is_not_set": "is not set"})
_DATED: Final = MappingProxyType(
    {"is_date_before": "is before {}", "is_date_after": "is after {}", "is_date_exact": "is exactly {}"}
)


def filter_words(item: Filter) -> str:
    """One filter of a condition."""
    if isinstance(item, PropertyFilter):
        return _property_words(item)
    if isinstance(item, CohortFilter):
        words = (
            f"is {'not ' if item.inverted else ''}in cohort {item.value if item.problem is None else short(item.value)}"
        )
        return _with_problem(words, item.problem)
    if isinstance(item, FlagFilter):
        return _with_problem(_flag_words(item), item.problem)
    return _opaque_words(item)


def cohort_words(cohort: Cohort) -> str:
    """The members of a cohort."""
    if cohort.root is None:
        return f"only known to PostHog: {cohort.problem}"
    return _entry_words(cohort.root, outermost=True)


def value_words(value: Any) -> str:
    """A value of a filter; long values are truncated."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{list_words(value)}]"
    if isinstance(value, Mapping):
        return _cut(json.dumps(value, ensure_ascii=False, default=short))
    return short(value)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def list_words(values: Iterable[Any]) -> str:
    """Several values, the first ones in full."""
    everything = list(values)
    shown = ", ".join(value_words(value) for value in everything[:_SHOWN])
    more = len(everything) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def condition_words(condition: FlagCondition) -> str:
    """A condition as a sentence without a full stop: who matches, how many of them, and what they get."""
    extent = extent_words(condition.rollout.percentage, condition.audience, condition.bucketing)
    filters = " and ".join(filter_words(item) for item in condition.filters)
    gets = "" if condition.override is None else f", who get {value_words(condition.override)}"
    return f"{filters}, {extent}{gets}" if filters else f"{extent}{gets}"


def extent_words(percentage: float | None, audience: Audience, bucketing: Bucketing) -> str:
    """The extent of a rollout: "all people", "30 % of people", "no 'company' groups"."""
    whom = unit_words(audience, bucketing)
    if percentage is None or percentage >= 100:
        return f"all {whom}"
    return f"{percentage:g} % of {whom}" if percentage > 0 else f"no {whom}"


def unit_words(audience: Audience, bucketing: Bucketing) -> str:
    """The unit of a rollout: people, devices, or groups of a type."""
    if audience.index is not None:
        return "groups of an unknown type" if audience.type_name is None else f"{short(audience.type_name)} groups"
    return "devices" if bucketing.by == "device_id" else "people"


def _property_words(item: PropertyFilter) -> str:
    name = str(item.key)
    if isinstance(item, GroupFilter):
        name = f"the {item.group_type or 'unknown group'}'s {name}"
    words = f"{name} {_comparison(item.operator, item.value)}"
    if isinstance(item, Predicate) and item.negation:
        words = f"not ({words})"
    return _with_problem(words, item.check.problem)


def _comparison(operator: str, value: Any) -> str:
    for table, write in _WRITERS:
        if operator in table:
            return write(operator, value)
    return f"{operator.replace('_', ' ')} {value_words(value)}"


def _write_listed(operator: str, value: Any) -> str:
    one, several = _LISTED[operator]
    if value == [] and operator in ("exact", "is_not"):
        return "counts as true" if operator == "exact" else "does not count as true"
    members = value if isinstance(value, list) else [value]
    return one.format(value_words(members[0])) if len(members) == 1 else several.format(list_words(members))


def _write_between(operator: str, value: Any) -> str:
    is_pair = isinstance(value, list) and len(value) == 2
    bounds = f"{value_words(value[0])} and {value_words(value[1])}" if is_pair else value_words(value)
    return f"is {'' if operator == 'between' else 'not '}between {bounds}"


def _write_dated(operator: str, value: Any) -> str:
    relative = _RELATIVE.fullmatch(value) if isinstance(value, str) else None
    when = value_words(value)
    if relative:
        count, unit = int(relative[1]), _UNITS[relative[2]]
        when = f"{count} {unit}{'' if count == 1 else 's'} ago"
    return _DATED[operator].format(when)


_WRITERS: Final[tuple[tuple[Iterable[str], Callable[[str, Any], str]], ...]] = (
    (_ALONE, lambda operator, _: _ALONE[operator]),
    (_PLAIN, lambda operator, value: _PLAIN[operator].format(value_words(value))),
    (_LISTED, _write_listed),
    (_DATED, _write_dated),
    (("between", "not_between"), _write_between),
)


def _flag_words(item: FlagFilter) -> str:
    key = value_words(item.key)
    if isinstance(item.value, bool):
        return f"flag {key} is {'on' if item.value else 'off'}"
    return f"flag {key} is {value_words(item.value)}"


def _opaque_words(item: OpaqueFilter) -> str:
    words = (str(word) for word in (item.type, item.key, item.operator) if word)
    return _with_problem(f"{' '.join(words)} {value_words(item.value)}", item.problem)


def _entry_words(entry: Entry, *, outermost: bool = False) -> str:
    if isinstance(entry, NegatedEntry):
        return f"not ({_entry_words(entry.entry, outermost=True)})"
    if isinstance(entry, PropertyFilter | CohortFilter):
        return filter_words(entry)
    if not entry.entries:
        return "everybody" if entry.conjunction else "nobody"
    if len(entry.entries) == 1:
        return _entry_words(entry.entries[0], outermost=outermost)
    joined = (" and " if entry.conjunction else " or ").join(_entry_words(one) for one in entry.entries)
    return joined if outermost else f"({joined})"


def _with_problem(words: str, problem: str | None) -> str:
    return f"{words} ({problem})" if problem else words
