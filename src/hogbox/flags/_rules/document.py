"""The `filters` of a flag with rules, read strictly: what is unknown here could change the answer (rules v2, 2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from hogbox.flags._bucket import bound_of
from hogbox.flags._operators.table import Matching
from hogbox.flags._reason import MalformedError
from hogbox.flags._result import FlagValue
from hogbox.flags._rules.literal import Literal, Numeral, hundredths
from hogbox.flags._rules.predicate import Predicate, UnsupportedError, predicate_of
from hogbox.flags._rules.rule import EVERYONE, Experiment, Rule, Share, Variant
from hogbox.flags._rules.value import RETURN_TYPES, value_of

_MOST_RULES: Final = 100
_MOST_PREDICATES: Final = 100
_VARIANTS: Final = range(2, 21)
_LONGEST_SEED: Final = 400

_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_VARIANT_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_INTEGER: Final = re.compile(r"-?[0-9]+")


class Fields(NamedTuple):
    """The fields that an object must and may have; it may have no others."""

    required: frozenset[str]
    optional: frozenset[str] = frozenset()

    def check(self, raw: Literal, name: str) -> Mapping[str, Any]:
        """The object. Raises MalformedError."""
        if not isinstance(raw, dict):
            raise MalformedError(f"{name} is not an object")
        if missing := self.required - raw.keys():
            raise MalformedError(f"{name} has no {min(missing)}")
        if raw.keys() - self.required - self.optional:
            raise MalformedError(f"{name} has an unknown field")
        return raw


def _fields(required: str, optional: str = "") -> Fields:
    return Fields(frozenset(required.split()), frozenset(optional.split()))


_FILTERS: Final = _fields("version return_type default_value rules")
_ASSIGNMENT: Final = "rollout_percentage on_rollout_miss assignment_algorithm seed"
_EVERY_RULE: Final = "id rule_type targeting"
_RULE_TYPES: Final[Mapping[str, Fields]] = {
    "targeted_release": _fields(f"{_EVERY_RULE} value", "description metadata"),
    "percentage_rollout": _fields(f"{_EVERY_RULE} value {_ASSIGNMENT}", "description metadata assign_by"),
    "experiment": _fields(
        f"{_EVERY_RULE} {_ASSIGNMENT} experiment_id paused variants", "description metadata assign_by holdout"
    ),
}
_TARGETING: Final = _fields("properties")
_VARIANT: Final = _fields("key weight value")
_HOLDOUT: Final = _fields("id seed exclusion_percentage")


class RulesDocument(NamedTuple):
    """The `filters` of a flag with rules."""

    return_type: str
    default: FlagValue
    rules: tuple[Rule, ...]


def document_of(raw: Literal, matching: Matching) -> RulesDocument:
    """Raises MalformedError; UnsupportedError, which is one, for what the service does not evaluate."""
    if isinstance(raw, dict) and "aggregation_group_type_index" in raw:
        if _is_integer(raw["aggregation_group_type_index"]):
            raise UnsupportedError("the service does not evaluate rules for groups")
        raise MalformedError("`aggregation_group_type_index` is not an integer")
    filters = _FILTERS.check(raw, "`filters`")
    return_type = filters["return_type"]
    if not isinstance(return_type, str) or return_type not in RETURN_TYPES:
        raise MalformedError("`return_type` is unknown")
    default = filters["default_value"]
    rules = _list(filters["rules"], "`rules`", _MOST_RULES)
    read = tuple([_RuleReader(return_type, matching).rule(rule) for rule in rules])
    if len({rule.id.lower() for rule in read}) != len(read):
        raise MalformedError("two rules have the same id")
    return RulesDocument(return_type, None if default is None else value_of(default, return_type), read)


class _RuleReader:
    """Reads a rule of a flag."""

    def __init__(self, return_type: str, matching: Matching) -> None:
        self._return_type = return_type
        self._matching = matching

    def rule(self, raw: Literal) -> Rule:
        kind = raw.get("rule_type") if isinstance(raw, dict) else None
        fields = _RULE_TYPES.get(kind) if isinstance(kind, str) else None
        if fields is None:
            raise MalformedError("the type of a rule is unknown")
        if kind == "experiment" and _is_integer(raw.get("experiment_id")):
            raise UnsupportedError("the service does not evaluate rules that are linked to an experiment")
        fields.check(raw, f"a rule of the type {kind}")
        if not _is_text(raw["id"], _UUID):
            raise MalformedError("the id of a rule is not a UUID")
        if not isinstance(raw.get("description", ""), str) or not isinstance(raw.get("metadata", {}), dict):
            raise MalformedError("a rule's `description` is not text, or its `metadata` is not an object")
        predicates = self._predicates(raw["targeting"])
        if kind == "targeted_release":
            return Rule(raw["id"], kind, predicates, value_of(raw["value"], self._return_type), EVERYONE, False)
        rollout, ends = _rollout(raw)
        if kind == "percentage_rollout":
            return Rule(raw["id"], kind, predicates, value_of(raw["value"], self._return_type), rollout, ends)
        return Rule(raw["id"], str(kind), predicates, None, rollout, ends, self._experiment(raw))

    def _predicates(self, raw: Literal) -> tuple[Predicate, ...]:
        properties = _list(_TARGETING.check(raw, "`targeting`")["properties"], "`properties`", _MOST_PREDICATES)
        return tuple([predicate_of(one, self._matching) for one in properties])

    def _experiment(self, raw: Mapping[str, Any]) -> Experiment:
        if raw["experiment_id"] is not None or not isinstance(raw["paused"], bool):
            raise MalformedError("`experiment_id` is neither an integer nor null, or `paused` is not a boolean")
        variants = _list(raw["variants"], "`variants`", _VARIANTS.stop - 1)
        if len(variants) not in _VARIANTS:
            raise MalformedError("an experiment has fewer than two variants")
        return Experiment(
            raw["paused"], self._variants(variants), _holdout(raw["holdout"]) if "holdout" in raw else None
        )

    def _variants(self, raw: list[Any]) -> tuple[Variant, ...]:
        variants: list[Variant] = []
        running, total = 0.0, 0
        for one in raw:
            fields = _VARIANT.check(one, "a variant")
            if not _is_text(fields["key"], _VARIANT_KEY):
                raise MalformedError("the key of a variant is not made of letters, digits, _ and -")
            total += hundredths(fields["weight"])
            weight = float(fields["weight"].number)
            running += weight / 100
            value = value_of(fields["value"], self._return_type)
            variants.append(Variant(fields["key"], weight, value, bound_of(running, inclusive=False)))
        if len({variant.key for variant in variants}) != len(variants) or total != 10_000:
            raise MalformedError("two variants have the same key, or the weights do not add up to 100")
        return tuple(variants)


def _rollout(raw: Mapping[str, Any]) -> tuple[Share, bool]:
    """The rollout, and whether someone outside of it gets the default."""
    if raw["on_rollout_miss"] not in ("continue", "return_default"):
        raise MalformedError("`on_rollout_miss` is unknown")
    if raw["assignment_algorithm"] != "sha1_60_v1" or raw.get("assign_by", "person") != "person":
        raise MalformedError("`assignment_algorithm` or `assign_by` is unknown")
    return _share(raw["rollout_percentage"], _seed(raw["seed"]) + b"."), raw["on_rollout_miss"] == "return_default"


def _holdout(raw: Literal) -> Share:
    fields = _HOLDOUT.check(raw, "`holdout`")
    if fields["id"] is not None:
        raise MalformedError("a holdout has an id, but its experiment is not linked")
    return _share(fields["exclusion_percentage"], _seed(fields["seed"]))


def _share(percentage: Literal, prefix: bytes) -> Share:
    return Share.of(hundredths(percentage), float(percentage.number), prefix)


def _seed(raw: Literal) -> bytes:
    if not isinstance(raw, str) or not 1 <= len(raw) <= _LONGEST_SEED:
        raise MalformedError("a seed is not text of 1 to 400 characters")
    try:
        return raw.encode()
    except UnicodeEncodeError as error:
        raise MalformedError("a seed is not text of 1 to 400 characters") from error


def _list(raw: Literal, name: str, most: int) -> list[Any]:
    if not isinstance(raw, list) or len(raw) > most:
        raise MalformedError(f"{name} is not a list of at most {most}")
    return raw


def _is_text(raw: Literal, pattern: re.Pattern[str]) -> bool:
    return isinstance(raw, str) and pattern.fullmatch(raw) is not None


def _is_integer(raw: Literal) -> bool:
    return isinstance(raw, Numeral) and _INTEGER.fullmatch(raw.text) is not None
