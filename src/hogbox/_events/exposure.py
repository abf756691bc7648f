"""Exposures: a person was given a flag's value, `$feature_flag_called` (wire protocol 2.10), and with it the variant of
an experiment, `$experiment_exposure` (2.12).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from hogbox._events.attribution import (
    ATTRIBUTES,
    CONFIG_VERSION,
    RULE_ID,
    RULES,
    VARIANT_KEY,
    Attribution,
    attribution_in,
)
from hogbox._events.event import UNREADABLE

EXPOSURE: Final = "$feature_flag_called"
EXPERIMENT: Final = "$experiment_exposure"

LOCAL_INCONCLUSIVE: Final = "local_evaluation_inconclusive"
"""The `$feature_flag_error` of a flag that only local evaluation was asked for, which could not decide it."""

_RESERVED: Final = frozenset({"locally_evaluated", "$experiment_exposure_source"})

_MINIMAL: Final = frozenset(
    {
        "$feature_flag",
        "$feature_flag_response",
        "$feature_flag_has_experiment",
        "$feature_flag_id",
        "$feature_flag_version",
        "$feature_flag_reason",
        "$feature_flag_request_id",
        "$feature_flag_evaluated_at",
        "$feature_flag_error",
        "locally_evaluated",
        "$groups",
        "$process_person_profile",
        "$geoip_disable",
        "$session_id",
        "$lib",
        "$lib_version",
        "$is_server",
        "$os",
        "$os_version",
        "$os_distro",
        "$python_runtime",
        "$python_version",
    }
)
"""The properties of the short form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagFacts:
    """The metadata of a flag's evaluation; None where unknown."""

    locally_evaluated: bool
    id: int | None = None
    version: int | None = None
    has_experiment: bool | None = None
    reason: str | None = None
    request_id: str | None = None
    evaluated_at: int | None = None
    error: str | None = None
    minimal: bool = False
    """Whether the project asks for the short form."""
    attribution: Attribution | None = None
    """What decided, if PostHog evaluated a flag with rules."""


def exposure_properties(key: str, value: Any, payload: Any, facts: FlagFacts) -> dict[str, Any]:
    """The own properties of `$feature_flag_called`."""
    known = {
        "$feature_flag_reason": facts.reason,
        "$feature_flag_has_experiment": facts.has_experiment,
        "$feature_flag_error": facts.error,
        "$feature_flag_payload": payload,
    }
    return {
        **_evaluation_properties(key, value, facts),
        f"$feature/{key}": value,
        **{name: fact for name, fact in known.items() if fact is not None},
        **(facts.attribution.properties() if facts.attribution else {}),
    }


def experiment_properties(key: str, value: Any, facts: FlagFacts, split: Attribution) -> dict[str, Any]:
    """The own properties of `$experiment_exposure`."""
    return {
        **_evaluation_properties(key, value, facts),
        VARIANT_KEY: split.variant_key,
        RULE_ID: split.rule_id,
    }


def _evaluation_properties(key: str, value: Any, facts: FlagFacts) -> dict[str, Any]:
    """What both events have: the flag, its value, and which evaluation gave it."""
    known = {
        "$feature_flag_id": facts.id,
        "$feature_flag_version": facts.version,
        "$feature_flag_request_id": facts.request_id,
        "$feature_flag_evaluated_at": facts.evaluated_at,
    }
    return {
        "$feature_flag": key,
        "$feature_flag_response": value,
        "locally_evaluated": facts.locally_evaluated,
        **{name: fact for name, fact in known.items() if fact is not None},
    }


def is_reserved(name: str) -> bool:
    """Whether only hogbox sets this property of an exposure: a context can neither add nor change it."""
    return name.startswith("$feature_flag") or name in _RESERVED


def is_minimal(facts: FlagFacts) -> bool:
    """Whether the event has the short form: the project asks for it, and the flag certainly has no experiment."""
    return facts.minimal and facts.has_experiment is False


def minimal(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The short form of an exposure's properties."""
    kept = _MINIMAL | ATTRIBUTES if CONFIG_VERSION in properties else _MINIMAL
    return {name: value for name, value in properties.items() if name in kept}


def exposure_id(
    project: str,
    distinct_id: str,
    key: str,
    value: Any,
    groups: Mapping[str, Any] | None,
    attribution: Attribution | None = None,
) -> str:
    """The identity of an exposure: equal for the same person, flag, value and groups, in any order.

    What decided a flag with rules is part of it: two variants may have equal values.
    """
    decided = [] if attribution is None else [[RULES, *attribution]]
    return _digest([project, distinct_id, key, value, _pairs(groups), *decided])


def experiment_id(
    project: str, distinct_id: str, key: str, groups: Mapping[str, Any] | None, rule_id: str, variant_key: str
) -> str:
    """The identity of an experiment's exposure: one for each assignment, whatever the value."""
    return _digest([project, EXPERIMENT, distinct_id, key, _pairs(groups), RULES, rule_id, variant_key])


def _pairs(groups: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    return sorted((str(kind), str(group)) for kind, group in (groups or {}).items())


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True, sort_keys=True).encode()).hexdigest()


class _Event(msgspec.Struct):
    event: str
    distinct_id: str
    properties: dict[str, Any]


_EVENT: Final = msgspec.json.Decoder(_Event)


def exposure_id_of(project: str, payload: str) -> str | None:
    """The id of the exposure in an event's payload, which hooks may have changed; None if it names no flag."""
    try:
        return _exposure_in(_EVENT.decode(payload), project)
    except UNREADABLE:
        return None


def _exposure_in(event: _Event, project: str) -> str | None:
    properties = event.properties
    if not isinstance(key := properties.get("$feature_flag"), str):
        return None
    groups = properties.get("$groups")
    groups = groups if isinstance(groups, dict) else None
    if event.event == EXPOSURE:
        value = properties.get("$feature_flag_response")
        return exposure_id(project, event.distinct_id, key, value, groups, attribution_in(properties))
    if event.event == EXPERIMENT:
        rule, variant = str(properties.get(RULE_ID)), str(properties.get(VARIANT_KEY))
        return experiment_id(project, event.distinct_id, key, groups, rule, variant)
    return None


def flag_properties(values: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of an event for the values of its person's flags (wire protocol 2.4)."""
    active = sorted(key for key, value in values.items() if value is not False)
    properties: dict[str, Any] = {f"$feature/{key}": value for key, value in values.items()}
    return {**properties, "$active_feature_flags": active} if active else properties
