"""Small definitions of flags with rules for tests, and random ones."""

from __future__ import annotations

import random
from typing import Any
from uuid import UUID

from tests.flags import world

_VALUES: dict[str, tuple[Any, ...]] = {
    "boolean": (True, False),
    "string": ("red", "green", "blue"),
    "number": (0, 1.5, -7),
    "object": ({}, {"limit": 3}, {"list": [1, {"a": None}]}),
}


def rules_flag(*rules: dict[str, Any], returns: str = "boolean", default: Any = False, **more: Any) -> dict[str, Any]:
    """The flag `f` with these rules."""
    filters = {"version": 2, "return_type": returns, "default_value": default, "rules": list(rules)}
    return {"id": 1, "key": "f", "active": True, "filters": filters, **more}


def release(*predicates: dict[str, Any], number: int = 1, value: Any = True) -> dict[str, Any]:
    """A targeted release."""
    return _rule(number, "targeted_release", predicates, value=value)


def rollout(*predicates: dict[str, Any], number: int = 1, value: Any = True, **more: Any) -> dict[str, Any]:
    """A percentage rollout of half of the people."""
    return _rule(number, "percentage_rollout", predicates, **{"value": value, **_ASSIGNMENT, **more})


def experiment(*predicates: dict[str, Any], number: int = 1, **more: Any) -> dict[str, Any]:
    """An experiment that is not linked, with two variants."""
    variants = [{"key": "a", "weight": 50, "value": True}, {"key": "b", "weight": 50, "value": False}]
    own = {"experiment_id": None, "paused": False, "variants": variants, **_ASSIGNMENT, **more}
    return _rule(number, "experiment", predicates, **own)


_ASSIGNMENT = {
    "rollout_percentage": 50,
    "on_rollout_miss": "continue",
    "assignment_algorithm": "sha1_60_v1",
    "seed": "secret-seed",
}


def predicate(operator: str | None = "exact", value: Any = "pro", key: str = "plan", **more: Any) -> dict[str, Any]:
    """A predicate on a property of the person."""
    return {"key": key, "type": "person", "operator": operator, "value": value, **more}


def _rule(number: int, kind: str, predicates: tuple[dict[str, Any], ...], **fields: Any) -> dict[str, Any]:
    own = {"id": str(UUID(int=number)), "rule_type": kind, "targeting": {"properties": list(predicates)}}
    # A field that is given as ... is left out.
    return {name: value for name, value in {**own, **fields}.items() if value is not ...}


def random_definitions(dice: random.Random, count: int) -> dict[str, Any]:
    """A document with flags of both formats, some of which depend on one another."""
    document = world.definitions(dice, count // 2)
    flags = [_random_flag(dice, f"rules-{number}") for number in range(count - count // 2)]
    dependency = {"type": "flag", "key": "rules-0", "operator": "flag_evaluates_to", "value": True}
    groups = [{"properties": [{**dependency, "dependency_chain": ["rules-0"]}]}]
    document["flags"] += [*flags, {"key": "depends", "active": True, "filters": {"groups": groups}}]
    return document


def _random_flag(dice: random.Random, key: str) -> dict[str, Any]:
    returns = dice.choice(list(_VALUES))
    default = dice.choice((None, *_VALUES[returns]))
    rules = [_random_rule(dice, number, _VALUES[returns]) for number in range(dice.choice((0, 1, 1, 2, 3, 25)))]
    flag = rules_flag(*rules, returns=returns, default=default, active=dice.random() < 0.95)
    return {**flag, "key": key}


def _random_rule(dice: random.Random, number: int, values: tuple[Any, ...]) -> dict[str, Any]:
    predicates = [_random_predicate(dice) for _ in range(dice.choice((0, 1, 1, 2, 3)))]
    kind = dice.choice((release, rollout, experiment))
    if kind is release:
        return release(*predicates, number=number, value=dice.choice(values))
    more: dict[str, Any] = {
        "rollout_percentage": dice.choice((0, 100, 50, 12.5, 99.99)),
        "on_rollout_miss": dice.choice(("continue", "return_default")),
        "seed": dice.choice(("one", "two", "ü")),
    }
    if kind is rollout:
        return rollout(*predicates, number=number, value=dice.choice(values), **more)
    weights = dice.choice(((50, 50), (33.33, 33.33, 33.34), (0, 100), (100, 0)))
    variants = [
        {"key": "abc"[place], "weight": weight, "value": dice.choice(values)} for place, weight in enumerate(weights)
    ]
    if dice.random() < 0.4:
        percentage = dice.choice((0, 10, 50, 100))
        more["holdout"] = {"id": None, "seed": "holdout-", "exclusion_percentage": percentage}
    return experiment(*predicates, number=number, variants=variants, paused=dice.random() < 0.2, **more)


def _random_predicate(dice: random.Random) -> dict[str, Any]:
    chosen = world.person_filter(dice)
    chosen["negation"] = dice.choice((True, False, None))
    if chosen["operator"] in ("gt", "gte") and dice.random() < 0.2:
        chosen["value"] = "many"
    if not isinstance(chosen["value"], str) and chosen["operator"] in world.SUBSTRINGS:
        chosen["value"] = "5"
    if dice.random() < 0.05:
        chosen["key"] = "distinct_id"
    return chosen
