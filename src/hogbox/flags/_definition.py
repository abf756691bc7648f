"""The definitions document: its outer shape is read at once (section 1), the parts of a flag when it is asked for.

What makes the document none raises a DefinitionsError. A flag that cannot be understood is that flag's own affair: what
the service refuses to load raises MalformedError (section 14).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, NamedTuple, NoReturn

from hogbox.errors import DefinitionsInvalid, DefinitionsUnparsable
from hogbox.flags._bucket import Holdout, Rollout, Variants
from hogbox.flags._cohort import CohortFilter, Cohorts
from hogbox.flags._condition import Audience, Bucketing, Filter, FlagCondition
from hogbox.flags._filter import FlagFilter, GroupFilter, OpaqueFilter, PropertyFilter
from hogbox.flags._operators.equality import EXPLICIT
from hogbox.flags._operators.table import Matching
from hogbox.flags._operators.version import Versions
from hogbox.flags._reason import MalformedError
from hogbox.flags._rules.source import filters_texts
from hogbox.flags._value import is_number


class DefinitionsDocument(NamedTuple):
    """A definitions document, taken apart."""

    flags: dict[str, Mapping[str, Any]]
    repeated: frozenset[str]
    """Keys that more than one flag has: which of them the service means is unknown."""
    problems: tuple[str, ...]
    group_types: dict[str, str]
    """The names of the group types by index, as text."""
    cohorts: Cohorts
    matching: Matching
    texts: Mapping[str, str]
    """The text of the `filters` of each flag with rules, by key, where the document was text."""

    @classmethod
    def read(cls, document: object, zone: tzinfo, text: str | None = None) -> DefinitionsDocument:
        """Takes the document apart; raises DefinitionsUnparsable or DefinitionsInvalid.

        `text` is what the document was decoded from, where the caller did that.
        """
        source = document if isinstance(document, bytes | bytearray | str) else text
        body = _decode(document) if isinstance(document, bytes | bytearray | str) else document
        if not isinstance(body, Mapping):
            raise DefinitionsInvalid(f"flag definitions are an object with a list of flags, not {_name(body)}")
        raw = body.get("flags")
        if not isinstance(raw, list):
            raise DefinitionsInvalid(f"`flags` in the flag definitions is a list, not {_name(raw)}")
        flags, repeated, problems = _index(raw)
        version = body.get("property_matching_version")
        explicit = type(version) is int and version == EXPLICIT
        matching = Matching(EXPLICIT if explicit else 1, zone, Versions())
        names = _mapping(body, "group_type_mapping")
        group_types = {index: name for index, name in names.items() if isinstance(name, str) and name}
        cohorts = Cohorts(_mapping(body, "cohorts"), matching)
        texts = {} if source is None else filters_texts(source, raw)
        return cls(flags, repeated, problems, group_types, cohorts, matching, texts)


def _decode(document: bytes | bytearray | str) -> object:
    try:
        return json.loads(document, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DefinitionsUnparsable(f"the flag definitions are not JSON: {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _mapping(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise DefinitionsInvalid(f"`{name}` in the flag definitions is an object, not {_name(value)}")
    return value


def _index(raw: list[Any]) -> tuple[dict[str, Mapping[str, Any]], frozenset[str], tuple[str, ...]]:
    flags: dict[str, Mapping[str, Any]] = {}
    repeated, problems = [], []
    for place, flag in enumerate(raw):
        key = flag.get("key") if isinstance(flag, Mapping) else None
        if not isinstance(key, str):
            problems.append(f"flags[{place}] has no key and is ignored")
            continue
        if key in flags:
            repeated.append(key)
            problems.append(f"flags[{place}] repeats the key {key!r}")
        flags[key] = flag
    return flags, frozenset(repeated), tuple(problems)


def _name(value: object) -> str:
    """A JSON value's kind, for people."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "a boolean",
        type(None): "null or absent",
    }
    return names.get(type(value), f"of the type {type(value).__name__}")


def filters_of(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """A flag's `filters`, if they are of the format with conditions (rules M1 and M2)."""
    filters = raw.get("filters")
    if not isinstance(filters, Mapping):
        raise MalformedError("`filters` is not an object")
    version = filters.get("version", 1)
    if isinstance(version, bool) or version != 1 or filters.get("rules") is not None:
        raise MalformedError("it is in a newer format")
    for name in ("early_exit", "feature_enrollment"):
        if not isinstance(filters.get(name), bool | None):
            raise MalformedError(f"`{name}` is neither true nor false")
    return filters


def objects_of(raw: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A list of objects; absent is empty."""
    values = raw.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
        raise MalformedError(f"`{name}` is not a list of objects")
    return values


def audience_of(raw: Mapping[str, Any], definitions: DefinitionsDocument) -> Audience:
    """The aggregation of a flag's filters or of a condition."""
    index = raw.get("aggregation_group_type_index")
    if index is None:
        return Audience(None, None)
    if type(index) is not int:
        raise MalformedError("`aggregation_group_type_index` is not an integer")
    return Audience(index, _group_type(index, definitions))


def variants_of(filters: Mapping[str, Any]) -> Variants:
    """The variants, in order."""
    multivariate = filters.get("multivariate")
    if multivariate is None:
        return Variants()
    if not isinstance(multivariate, Mapping) or "variants" not in multivariate:
        raise MalformedError("`multivariate` has no list of variants")
    weights = []
    for variant in objects_of(multivariate, "variants"):
        key, weight = variant.get("key"), variant.get("rollout_percentage")
        if not isinstance(key, str) or not key or not is_number(weight):
            raise MalformedError("a variant has no key, or no percentage")
        weights.append((key, float(weight)))
    return Variants.of(weights)


def holdout_of(filters: Mapping[str, Any]) -> Holdout | None:
    """The holdout, if there is one."""
    holdout = filters.get("holdout")
    if holdout is None:
        return None
    if not isinstance(holdout, Mapping):
        raise MalformedError("`holdout` is not an object")
    number, percentage = holdout.get("id"), holdout.get("exclusion_percentage")
    if type(number) is not int or abs(number) >= 2**63 or not is_number(percentage):
        raise MalformedError("`holdout` has no integer id, or no percentage")
    return Holdout.of(number, float(percentage))


def condition_of(
    raw: Mapping[str, Any], audience: Audience, bucketing: Bucketing, definitions: DefinitionsDocument
) -> FlagCondition:
    """One condition; its own aggregation goes before the flag's where it is present, null included (G5)."""
    if "aggregation_group_type_index" in raw:
        audience = audience_of(raw, definitions)
    percentage, variant = raw.get("rollout_percentage"), raw.get("variant")
    if percentage is not None and not is_number(percentage):
        raise MalformedError("a `rollout_percentage` is not a number")
    if not isinstance(variant, str | None):
        raise MalformedError("a condition's `variant` is not a text")
    filters = [] if raw.get("properties") is None else objects_of(raw, "properties")
    return FlagCondition(
        filters=tuple([filter_of(item, audience, definitions) for item in filters]),
        rollout=Rollout.of(None if percentage is None else float(percentage)),
        override=variant if variant in bucketing.variants.keys else None,
        audience=audience,
        bucketing=bucketing,
    )


def filter_of(raw: Mapping[str, Any], audience: Audience, definitions: DefinitionsDocument) -> Filter:
    """One filter of a condition: where it looks goes by its own type, not by the condition's (G1)."""
    kind, key, operator = raw.get("type"), raw.get("key"), raw.get("operator")
    if not isinstance(operator, str | None):
        raise MalformedError("a filter's `operator` is not a text")
    if kind == "cohort":
        return CohortFilter(raw, definitions.cohorts)
    if kind == "flag":
        return FlagFilter(raw, definitions.flags)
    if not isinstance(key, str):
        raise MalformedError("a filter has no key")
    if kind == "person" or (kind is None and audience.index is None):
        return PropertyFilter(key, kind, operator, raw.get("value"), definitions.matching)
    if kind not in (None, "group"):
        return OpaqueFilter(raw, f"only the service evaluates filters of the type {kind!r}")
    index = raw.get("group_type_index") if kind == "group" else None
    if index is None:
        index = audience.index
    if type(index) is not int:
        return OpaqueFilter(raw, "the filter on a group does not say which")
    name = _group_type(index, definitions)
    return GroupFilter(key, kind, operator, raw.get("value"), definitions.matching, name)


def _group_type(index: int, definitions: DefinitionsDocument) -> str | None:
    return definitions.group_types.get(str(index)) if abs(index) < 2**64 else None
