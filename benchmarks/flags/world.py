"""Fifty mixed flags and four hundred people: what hogbox and its peer evaluate in the benchmarks."""

from __future__ import annotations

import random
from typing import Any

KINDS = ("rollout", "exact", "icontains", "regex", "semver", "numeric", "cohort", "variants")
PLANS = ("free", "pro", "team", "enterprise")
COUNTRIES = ("DE", "US", "GB", "BR", "FR")
DOMAINS = ("example.com", "corp.io", "posthog.com", "mail.org")


def definitions(count: int = 50, seed: int = 7) -> dict[str, Any]:
    """A definitions document with `count` flags, the kinds in turn; every fourth flag has two conditions."""
    dice = random.Random(seed)
    return {
        "flags": [_flag(dice, number) for number in range(count)],
        "group_type_mapping": {"0": "company"},
        "cohorts": {"1": _cohort("pro"), "2": _cohort("team")},
        "property_matching_version": 1,
    }


def people(count: int = 400, seed: int = 11) -> list[tuple[str, dict[str, Any]]]:
    """Distinct ids with properties that decide every filter of `definitions`."""
    dice = random.Random(seed)
    return [(f"user-{number}-{dice.getrandbits(32):08x}", _properties(dice)) for number in range(count)]


def _properties(dice: random.Random) -> dict[str, Any]:
    return {
        "plan": dice.choice(PLANS),
        "country": dice.choice(COUNTRIES),
        "email": f"person{dice.randrange(10_000)}@{dice.choice(DOMAINS)}",
        "version": f"{dice.randrange(4)}.{dice.randrange(12)}.{dice.randrange(9)}",
        "age": dice.randrange(12, 80),
        "orders": dice.randrange(200),
    }


def _flag(dice: random.Random, number: int) -> dict[str, Any]:
    kind = KINDS[number % len(KINDS)]
    conditions = [_condition(dice, kind)]
    if number % 4 == 0:
        conditions.append(_condition(dice, dice.choice(KINDS)))
    filters: dict[str, Any] = {"groups": conditions, "aggregation_group_type_index": None}
    if kind == "variants":
        filters["multivariate"] = {
            "variants": [
                {"key": "control", "rollout_percentage": 34},
                {"key": "blue", "rollout_percentage": 33},
                {"key": "red", "rollout_percentage": 33},
            ]
        }
        filters["payloads"] = {"control": '{"limit": 1}', "blue": '{"limit": 5}', "red": '["a", "b"]'}
    return {
        "id": number,
        "key": f"{kind}-flag-{number}",
        "name": f"The {kind} flag number {number}",
        "active": True,
        "deleted": False,
        "ensure_experience_continuity": False,
        "filters": filters,
    }


def _condition(dice: random.Random, kind: str) -> dict[str, Any]:
    # Those with a filter are for everybody whom it lets in, or for half of them.
    rollout = dice.choice((30, 60) if kind in ("rollout", "variants") else (100, 100, 100, 50))
    filters = _FILTERS.get(kind)
    return {"properties": [filters(dice)] if filters else [], "rollout_percentage": rollout, "variant": None}


def _filter(key: str, operator: str, value: object) -> dict[str, Any]:
    return {"key": key, "type": "person", "operator": operator, "value": value}


def _cohort(plan: str) -> dict[str, Any]:
    members = [_filter("plan", "exact", [plan]), {**_filter("country", "exact", ["US"]), "negation": True}]
    return {"type": "OR", "values": [{"type": "AND", "values": members}]}


_FILTERS = {
    "exact": lambda dice: _filter("plan", "exact", dice.sample(PLANS, 2)),
    "icontains": lambda dice: _filter("email", "icontains", "@" + dice.choice(DOMAINS).upper()),
    "regex": lambda dice: _filter("email", "regex", dice.choice((r"^person\d+@", r"@(corp|mail)\.", r"\.com$"))),
    "semver": lambda dice: _filter("version", "semver_gte", f"{dice.randrange(4)}.{dice.randrange(12)}.0"),
    "numeric": lambda dice: _filter("age", dice.choice(("gt", "lte")), dice.randrange(20, 60)),
    "cohort": lambda dice: {"key": "id", "type": "cohort", "operator": "in", "value": dice.choice((1, 2))},
}
