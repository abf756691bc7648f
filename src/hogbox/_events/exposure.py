"""`$feature_flag_called`: a person was given a flag's value (wire protocol 2.10)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from hogbox._events.event import UNREADABLE

EXPOSURE: Final = "$feature_flag_called"

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


def exposure_properties(key: str, value: bool | str | None, payload: Any, facts: FlagFacts) -> dict[str, Any]:
    """The exposure's own properties."""
    known = {
        "$feature_flag_id": facts.id,
        "$feature_flag_version": facts.version,
        "$feature_flag_reason": facts.reason,
        "$feature_flag_request_id": facts.request_id,
        "$feature_flag_evaluated_at": facts.evaluated_at,
        "$feature_flag_has_experiment": facts.has_experiment,
        "$feature_flag_error": facts.error,
        "$feature_flag_payload": payload,
    }
    return {
        "$feature_flag": key,
        "$feature_flag_response": value,
        f"$feature/{key}": value,
        "locally_evaluated": facts.locally_evaluated,
        **{name: fact for name, fact in known.items() if fact is not None},
    }


def is_minimal(facts: FlagFacts) -> bool:
    """Whether the event has the short form: the project asks for it, and the flag certainly has no experiment."""
    return facts.minimal and facts.has_experiment is False


def minimal(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The short form of an exposure's properties."""
    return {name: value for name, value in properties.items() if name in _MINIMAL}


def exposure_id(
    project: str, distinct_id: str, key: str, value: bool | str | None, groups: Mapping[str, Any] | None
) -> str:
    """The identity of an exposure: equal for the same person, flag, value and groups, in any order."""
    pairs = sorted((str(kind), str(group)) for kind, group in (groups or {}).items())
    text = json.dumps([project, distinct_id, key, value, pairs], ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


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
    if event.event != EXPOSURE or not isinstance(key := properties.get("$feature_flag"), str):
        return None
    groups, value = properties.get("$groups"), properties.get("$feature_flag_response")
    return exposure_id(project, event.distinct_id, key, value, groups if isinstance(groups, dict) else None)


def flag_properties(values: Mapping[str, bool | str]) -> dict[str, Any]:
    """The properties of an event for the values of its person's flags (wire protocol 2.4)."""
    active = sorted(key for key, value in values.items() if value is not False)
    properties: dict[str, Any] = {f"$feature/{key}": value for key, value in values.items()}
    return {**properties, "$active_feature_flags": active} if active else properties
