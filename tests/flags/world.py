"""Random definitions and people, on which hogbox and the `posthog` package must agree (section 16)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

VALUES = ("pro", "free", "Ünïcode", "TRUE", "true", "", 5, 5.5, 0, True, False, None, ["pro"], {"a": 1})
TEXTS = ("joe@example.com", "Ann@Corp.io", "x", "PRO", "free", "42", "5")
VERSIONS = ("1.2.3", "1.2.4", "1.3.0", "2.0.0", "0.2.3", "0.3.0", "10.0.1")
DAYS = ("2024-06-01", "2024-02-29", "2023-12-31T23:59:59Z", "2025-01-01T00:00:00+02:00", "1999-01-01")
PATTERNS = ("^joe", r"@\w+\.com$", "a|b", "[A-Z]", r"\d+", "", "x{1,2}", "(", "jo?e@", "^[a-z.]+@")
COMPARISONS = ("semver_eq", "semver_neq", "semver_gt", "semver_gte", "semver_lt", "semver_lte")
SUBSTRINGS = ("icontains", "not_icontains", "starts_with", "not_starts_with", "ends_with", "not_ends_with")


def definitions(dice: random.Random, count: int = 10) -> dict[str, Any]:
    """A document with flags that need no more than what `person` passes."""
    flags: list[dict[str, Any]] = []
    for number in range(count):
        flags.append(_flag(dice, f"flag-{number}", [flag["key"] for flag in flags]))
    return {
        "flags": flags,
        "group_type_mapping": {"0": "company", "1": "project"},
        "cohorts": {str(number): _cohort(dice, number) for number in range(1, 4)},
        "property_matching_version": dice.choice((1, 2)),
    }


def person(dice: random.Random) -> dict[str, Any]:
    """Arguments for `evaluate` that decide every filter of `definitions`."""
    return {
        "distinct_id": f"user-{dice.randrange(10**6)}",
        "device_id": f"device-{dice.randrange(10**6)}",
        "groups": {"company": f"c{dice.randrange(100)}", "project": f"p{dice.randrange(100)}"},
        "person_properties": _properties(dice),
        "group_properties": {"company": _properties(dice), "project": _properties(dice)},
    }


def forgetful(dice: random.Random, call: dict[str, Any]) -> dict[str, Any]:
    """The same person, of whom the caller knows less."""
    kept = {name: value for name, value in call["person_properties"].items() if dice.random() < 0.6}
    return {**call, "person_properties": kept}


def people(dice: random.Random, count: int) -> Iterator[dict[str, Any]]:
    """Arguments for `evaluate` of so many people; half of them leave things out, a third vouch for all properties."""
    for number in range(count):
        call = person(dice)
        if number % 2:
            call = forgetful(dice, call)
        yield {**call, "properties_complete": number % 3 == 0}


def _properties(dice: random.Random) -> dict[str, Any]:
    return {
        "any": dice.choice(VALUES),
        "text": dice.choice(TEXTS),
        "number": dice.choice((5, 5.5, -1, 100, "5", "1e2", "abc", True)),
        "version": dice.choice(VERSIONS),
        "day": dice.choice(DAYS),
    }


def _flag(dice: random.Random, key: str, others: list[str]) -> dict[str, Any]:
    # The first one is what others depend on: a person's, because the peer forgets the groups there (rule F3).
    grouped = bool(others) and dice.random() < 0.2
    filters: dict[str, Any] = {
        "groups": [_condition(dice, others, grouped=grouped) for _ in range(dice.choice((1, 1, 2, 3)))],
        "aggregation_group_type_index": dice.choice((0, 1)) if grouped else None,
        "early_exit": dice.random() < 0.2,
    }
    if dice.random() < 0.4:
        weights = dice.choice(((50, 50), (33.3, 33.3, 33.4), (10, 20), (100,)))
        filters["multivariate"] = {
            "variants": [{"key": "abc"[place], "rollout_percentage": weight} for place, weight in enumerate(weights)]
        }
        filters["payloads"] = {"a": '{"n": 1}', "b": "[]"}
    if dice.random() < 0.15:
        filters["holdout"] = {"id": dice.randrange(9), "exclusion_percentage": dice.choice((0, 10, 50, 100))}
    return {
        "key": key,
        "active": dice.random() < 0.95,
        "bucketing_identifier": "device_id" if dice.random() < 0.15 and not grouped else "distinct_id",
        "ensure_experience_continuity": False,
        "filters": filters,
    }


def _condition(dice: random.Random, others: list[str], *, grouped: bool) -> dict[str, Any]:
    filters = [person_filter(dice) for _ in range(dice.choice((0, 1, 1, 2, 3)))]
    if grouped:
        filters = [{name: value for name, value in item.items() if name != "type"} for item in filters]
    elif dice.random() < 0.2:
        filters.append({"key": "id", "type": "cohort", "operator": "in", "value": dice.randrange(1, 4)})
    elif others and dice.random() < 0.2:
        filters.append(_dependency(dice, others))
    return {
        "properties": filters,
        "rollout_percentage": dice.choice((None, 100, 0, 50, 12.5, 99.9)),
        "variant": dice.choice((None, None, "a", "nonesuch")),
    }


def _dependency(dice: random.Random, others: list[str]) -> dict[str, Any]:
    # Only the first flag: it depends on nothing, so its own key is the whole chain.
    return {
        "key": others[0],
        "type": "flag",
        "operator": "flag_evaluates_to",
        "value": dice.choice((True, False, "a")),
        "dependency_chain": [others[0]],
    }


def _cohort(dice: random.Random, number: int) -> dict[str, Any]:
    entries = [person_filter(dice) for _ in range(dice.choice((1, 2, 3)))]
    for entry in entries:
        entry["negation"] = dice.random() < 0.3
    if number == 3:
        reference = {"key": "id", "type": "cohort", "value": 1, "operator": dice.choice(("in", "not_in"))}
        return {"type": dice.choice(("AND", "OR")), "values": [reference]}
    inner = {"type": dice.choice(("AND", "OR")), "values": entries}
    return {"type": dice.choice(("AND", "OR")), "values": [inner]}


def person_filter(dice: random.Random) -> dict[str, Any]:
    """A filter that a person of `person` decides."""
    key, operator, value = dice.choice((_equal, _set, _substring, _number, _version, _wild, _day, _regex))(dice)
    return {"key": key, "type": "person", "operator": operator, "value": value}


def _equal(dice: random.Random) -> tuple[str, str, object]:
    values = [value for value in VALUES if value is not None]
    value: object = dice.choice(values) if dice.random() < 0.5 else dice.sample(values, dice.randrange(4))
    return "any", dice.choice(("exact", "is_not")), value


def _set(dice: random.Random) -> tuple[str, str, object]:
    return "any", dice.choice(("is_set", "is_not_set")), "is_set"


def _substring(dice: random.Random) -> tuple[str, str, object]:
    return dice.choice(("any", "text")), dice.choice(SUBSTRINGS), dice.choice(("@", "JOE", "com", "", "5", "ü"))


def _number(dice: random.Random) -> tuple[str, str, object]:
    return "number", dice.choice(("gt", "gte", "lt", "lte")), dice.choice((5, 5.5, "5", "-3.5e1", 0))


def _version(dice: random.Random) -> tuple[str, str, object]:
    return "version", dice.choice((*COMPARISONS, "semver_tilde", "semver_caret")), dice.choice(VERSIONS)


def _wild(dice: random.Random) -> tuple[str, str, object]:
    return "version", "semver_wildcard", dice.choice(("1.*", "1.2.*", "0.2.*", "10.*"))


def _day(dice: random.Random) -> tuple[str, str, object]:
    return "day", dice.choice(("is_date_before", "is_date_after")), dice.choice((*DAYS, "-7d", "1y", "3m"))


def _regex(dice: random.Random) -> tuple[str, str, object]:
    return "text", dice.choice(("regex", "not_regex")), dice.choice(PATTERNS)
