"""One flag in a response of `/flags`, in every form that PostHog has used (wire protocol 6.2, 6.3 and 6.7).

A record that can't be read has no value, and spoils none of its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final, TypeAlias

Value: TypeAlias = bool | str | int | float | dict[str, Any] | None

ERRORS_WHILE_COMPUTING: Final = "errors_while_computing_flags"
EVALUATION_FAILED: Final = "evaluation_failed"
UNKNOWN_ERROR: Final = "unknown_error"

_RULES: Final = 2
"""The `config_version` of a flag with rules."""

_DECIDED: Final = frozenset(
    {"targeting_match", "experiment_split", "rollout_miss", "experiment_paused", "holdout", "no_rule_match"}
)
"""The reasons with which a flag with rules may be decided and have no value of its own."""

_ENCRYPTED: Final = "********* (encrypted)"
"""In place of a payload that only a personal API key opens."""

_DEEPEST: Final = 64
"""Levels of objects and arrays in a value; PostHog stores at most 20."""


@dataclass(frozen=True, slots=True)
class FlagRecord:
    """What PostHog says of a flag for one person. Never changes."""

    key: str
    value: Value
    """The typed value, or None: PostHog could not evaluate the flag, or it has no value of its own."""
    reason: str | None = None
    """PostHog's reason code, such as `"condition_match"`."""
    condition_index: int | None = None
    """The index of the condition or rule that decided, from 0."""
    description: str | None = None
    """The reason in words."""
    id: int | None = None
    version: int | None = None
    has_experiment: bool | None = None
    payload: Any = None
    """Its JSON text."""
    config_version: int | None = None
    """1 (conditions) or 2 (rules); None where the record does not say."""
    rule_type: str | None = None
    rule_id: str | None = None
    variant_key: str | None = None
    failed: bool = False
    """PostHog says that it could not evaluate the flag."""
    malformed: bool = False
    """A field has an invalid type."""

    @property
    def decided(self) -> bool:
        """Whether PostHog evaluated the flag, also to no value of its own."""
        if self.failed or self.malformed:
            return False
        return self.value is not None or (self.config_version == _RULES and self.reason in _DECIDED)

    @property
    def error(self) -> str | None:
        """Why the flag could not be evaluated, as a code of the wire protocol; None if it was."""
        if self.malformed:
            return UNKNOWN_ERROR
        return EVALUATION_FAILED if self.failed else None


class _Malformed(Exception):
    """A field of a record has an invalid type."""


def read_record(key: str, record: object) -> FlagRecord:
    """The record of a flag under this key, whatever key the record itself names."""
    try:
        if not isinstance(record, dict):
            raise _Malformed
        return _typed(key, record) if "value" in record else _untyped(key, record)
    except _Malformed:
        return FlagRecord(key, None, malformed=True)


def legacy_record(key: str, value: object, payload: object) -> FlagRecord:
    """The record of a flag of which only the value and the payload are known."""
    valid = isinstance(value, bool) or (isinstance(value, str) and value != "")
    return FlagRecord(key, value if valid else None, payload=_readable(payload), malformed=not valid)  # type: ignore[arg-type]


def _typed(key: str, record: Mapping[str, Any]) -> FlagRecord:
    """A record with a typed value."""
    failed = _boolean(record, "failed") is True
    reason, metadata = _object(record, "reason"), _object(record, "metadata")
    config_version = _integer(metadata, "config_version")
    rules = config_version == _RULES
    _integer(metadata, "experiment_id"), _integer(metadata, "holdout_id"), _boolean(metadata, "forced_variant")
    payload = None if rules or failed else _readable(metadata.get("payload"))
    value = _value(record["value"])
    if value == "" and not rules:
        raise _Malformed
    return FlagRecord(
        key,
        None if failed else value,
        _text(reason, "code"),
        _integer(reason, "condition_index"),
        _text(reason, "description"),
        _integer(metadata, "id"),
        _integer(metadata, "version"),
        _boolean(metadata, "has_experiment"),
        payload,
        config_version,
        _text(metadata, "rule_type"),
        _text(metadata, "rule_id"),
        _text(metadata, "variant_key"),
        failed,
    )


def _untyped(key: str, record: Mapping[str, Any]) -> FlagRecord:
    """A record of an older server, whose value is its variant, else whether it is enabled."""
    reason, metadata = _lenient(record.get("reason")), _lenient(record.get("metadata"))
    failed = record.get("failed") is True
    variant, enabled = record.get("variant"), record.get("enabled")
    value = enabled if variant is None else variant
    valid = isinstance(value, bool) if variant is None else isinstance(value, str) and value != ""
    if not valid and not failed:
        raise _Malformed
    return FlagRecord(
        key,
        None if failed else value,
        _known(reason.get("code"), str),
        _known(reason.get("condition_index"), int),
        _known(reason.get("description"), str),
        _known(metadata.get("id"), int),
        _known(metadata.get("version"), int),
        _known(metadata.get("has_experiment"), bool),
        None if failed else _readable(metadata.get("payload")),
        config_version=1,
        failed=failed,
    )


def _value(value: Any) -> Value:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float | dict) and all(map(_is_json, _leaves(value, _DEEPEST))):
        return value
    raise _Malformed


def _leaves(value: Any, levels: int) -> Iterator[Any]:
    """The values in a value that are neither objects nor arrays."""
    if not isinstance(value, dict | list):
        yield value
        return
    if levels == 0:
        raise _Malformed
    for inner in value.values() if isinstance(value, dict) else value:
        yield from _leaves(inner, levels - 1)


def _is_json(value: object) -> bool:
    return not isinstance(value, float) or isfinite(value)


def _readable(payload: object) -> Any:
    """The payload, unless it only says that there is one."""
    return None if isinstance(payload, str) and payload.strip('"') == _ENCRYPTED else payload


def _lenient(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _known(value: Any, kind: type) -> Any:
    """The value if it has this type; True does not count as a number."""
    return value if type(value) is kind else None


def _object(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = record.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _Malformed
    return value


def _text(record: Mapping[str, Any], name: str) -> str | None:
    value = record.get(name)
    if value is None or isinstance(value, str):
        return value
    raise _Malformed


def _boolean(record: Mapping[str, Any], name: str) -> bool | None:
    value = record.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise _Malformed


def _integer(record: Mapping[str, Any], name: str) -> int | None:
    """An integer; 2.0 is one."""
    value = record.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _Malformed
