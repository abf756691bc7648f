"""Resolutions: a flag's result as a value of the requested type, with OpenFeature's reason or error."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from openfeature.exception import (
    FlagNotFoundError,
    GeneralError,
    InvalidContextError,
    OpenFeatureError,
    ParseError,
    ProviderNotReadyError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import FlagMetadata, FlagResolutionDetails, FlagType, Reason

from hogbox import Flags
from hogbox._client.local_flags import FlagState
from hogbox._client.snapshot import state_of
from hogbox.flags import FlagResult
from hogbox.flags import Reason as Cause

T = TypeVar("T")


def resolve(
    kind: FlagType, key: str, default: T, result: FlagResult | None, snapshot: Flags
) -> FlagResolutionDetails[T]:
    """OpenFeature's details. The default is used for an inconclusive flag, for a flag with rules that has no value, and
    for another flag that is off if not a boolean.

    `result` is None if there are no definitions and the remote evaluation failed. Raises OpenFeatureError.
    """
    if result is None:
        raise GeneralError(f"flag {key!r} can't be evaluated locally, and the remote evaluation failed")
    if result.reason in (Cause.UNKNOWN_FLAG, Cause.NO_DEFINITIONS) or _is_unreadable(result, snapshot):
        raise trouble_with(state_of(snapshot)) or FlagNotFoundError(f"there is no flag {key!r}")
    _require_evaluated(result)
    definition = snapshot.definition(key)
    details: dict[str, Any] = {
        "reason": reason_of(result, definition),
        "flag_metadata": _metadata(result, definition),
    }
    if result.value is None:
        return FlagResolutionDetails(default, **details)
    if has_rules(result):
        value = _typed(kind, result.value)
        if value is None:
            raise TypeMismatchError(f"flag {key!r} has a value of type {type_of(result.value)}, not {kind.lower()}")
        return FlagResolutionDetails(value, variant=result.variant_key, **details)
    if kind is not FlagType.BOOLEAN and result.value is False:
        return FlagResolutionDetails(default, **details)
    value = _READERS[kind](result)
    if value is None:
        payload = type(result.payload).__name__
        raise TypeMismatchError(
            f"flag {key!r} has the value {result.value!r} and a payload of type {payload}, not {kind.lower()}"
        )
    return FlagResolutionDetails(value, variant=_variant(result), **details)


def has_rules(result: FlagResult) -> bool:
    """Whether the flag is defined by rules: then its value has a type, and is never converted to another one."""
    return result.config_version == 2


def trouble_with(state: FlagState) -> OpenFeatureError | None:
    """Why no flag can be evaluated locally, or None."""
    if state.revision is None:
        return ProviderNotReadyError("no flag definitions are stored yet, or the client is disabled")
    if state.flags is None:
        return ParseError(f"the stored flag definitions (revision {state.revision}) can't be read")
    return None


def _require_evaluated(result: FlagResult) -> None:
    """Raise OpenFeatureError for a flag that PostHog failed to evaluate, or whose rules hogbox can't read."""
    if result.failed and result.reason == _MISSING_GROUP_KEY:
        raise InvalidContextError(f"flag {result.key!r} is evaluated by group, and the group's key is missing")
    if result.failed:
        raise GeneralError(f"PostHog could not evaluate flag {result.key!r}: {result.description or result.reason}")
    if has_rules(result) and result.reason == Cause.UNSUPPORTED_DEFINITION:
        raise ParseError(f"flag {result.key!r} has rules that hogbox does not support")


_MISSING_GROUP_KEY: Final = "missing_group_key"


def reason_of(result: FlagResult, definition: Mapping[str, Any] | None) -> Reason:
    """OpenFeature's reason for a result."""
    if not result.conclusive:
        return Reason.DEFAULT
    if result.reason != Cause.CONDITION_MATCH:
        return _REASONS.get(result.reason or "", Reason.UNKNOWN)
    condition = _condition(definition, result.condition_index)
    if condition is None:
        return Reason.TARGETING_MATCH
    if result.variant is not None and condition.get("variant") != result.variant:
        return Reason.SPLIT
    rollout = condition.get("rollout_percentage")
    if isinstance(rollout, int | float) and rollout < 100:
        return Reason.SPLIT
    return Reason.STATIC if result.condition_index == 0 and not condition.get("properties") else Reason.TARGETING_MATCH


_REASONS: Final[Mapping[str, Reason]] = {
    Cause.FLAG_DISABLED: Reason.DISABLED,
    Cause.SUPER_CONDITION_VALUE: Reason.TARGETING_MATCH,
    Cause.HOLDOUT_CONDITION_VALUE: Reason.SPLIT,
    Cause.OUT_OF_ROLLOUT_BOUND: Reason.SPLIT,
    Cause.NO_CONDITION_MATCH: Reason.DEFAULT,
    Cause.NO_GROUP_TYPE: Reason.DEFAULT,
    Cause.TARGETING_MATCH: Reason.TARGETING_MATCH,
    "experiment_split": Reason.SPLIT,
    Cause.ROLLOUT_MISS: Reason.DEFAULT,
    Cause.EXPERIMENT_PAUSED: Reason.DEFAULT,
    Cause.HOLDOUT: Reason.DEFAULT,
    Cause.NO_RULE_MATCH: Reason.DEFAULT,
}


def _is_unreadable(result: FlagResult, snapshot: Flags) -> bool:
    return _is_local(result) and result.reason != Cause.NOBODY and not snapshot.readable


def _is_local(result: FlagResult) -> bool:
    """Whether it was evaluated in this process; PostHog's own reasons are plain texts."""
    return isinstance(result.reason, Cause)


def _condition(definition: Mapping[str, Any] | None, index: int | None) -> Mapping[str, Any] | None:
    filters = None if definition is None else definition.get("filters")
    conditions = filters.get("groups") if isinstance(filters, Mapping) else None
    if index is None or not isinstance(conditions, list) or index >= len(conditions):
        return None
    condition = conditions[index]
    return condition if isinstance(condition, Mapping) else None


def _metadata(result: FlagResult, definition: Mapping[str, Any] | None) -> FlagMetadata:
    local = _is_local(result)
    defined = definition or {}
    known = {
        "reason_code": result.reason and str(result.reason),
        "condition_index": result.condition_index,
        "config_version": result.config_version,
        "rule_type": result.rule_type,
        "rule_id": result.rule_id,
        "variant_key": result.variant_key,
        "id": defined.get("id") if local else result.id,
        "version": defined.get("version") if local else result.version,
        "locally_evaluated": local,
    }
    return {name: value for name, value in known.items() if isinstance(value, bool | int | str)}


def _variant(result: FlagResult) -> str:
    """The name of the value: the variant's key, else the key of PostHog's payloads, `true` or `false`."""
    return result.variant or ("true" if result.value else "false")


def type_of(value: Any) -> str:
    """OpenFeature's name of a value's type."""
    return next((name for kind, name in _TYPES if isinstance(value, kind)), type(value).__name__)


_TYPES: Final = ((bool, "boolean"), (str, "string"), (int, "integer"), (float, "float"), (dict, "object"))


def _typed(kind: FlagType, value: Any) -> Any:
    """The value of a flag with rules, if it is of this type. A whole number is an integer and a float."""
    if kind in (FlagType.INTEGER, FlagType.FLOAT):
        number = None if isinstance(value, bool) or not isinstance(value, int | float) else value
        return _whole(number) if kind is FlagType.INTEGER else _finite(number)
    return value if isinstance(value, _CLASSES[kind]) else None


_CLASSES: Final = {FlagType.BOOLEAN: bool, FlagType.STRING: str, FlagType.OBJECT: dict}


def _boolean(result: FlagResult) -> bool | None:
    return result.enabled


def _string(result: FlagResult) -> str | None:
    if result.variant is not None:
        return result.variant
    payload = result.payload
    return payload if isinstance(payload, str) else None


def _number(result: FlagResult) -> int | float | None:
    """The payload, if it is a number; without a payload, the variant's key, if it is a number."""
    payload = result.payload
    number = _parse(result.variant or "") if payload is None else payload
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    return number


def _parse(text: str) -> int | float | None:
    for read in (int, float):
        with suppress(ValueError):
            return read(text)
    return None


def _integer(result: FlagResult) -> int | None:
    return _whole(_number(result))


def _float(result: FlagResult) -> float | None:
    return _finite(_number(result))


def _whole(number: int | float | None) -> int | None:
    return int(number) if number is not None and (isinstance(number, int) or number.is_integer()) else None


def _finite(number: int | float | None) -> float | None:
    with suppress(OverflowError):
        return float(number) if number is not None and math.isfinite(number) else None
    return None


def _object(result: FlagResult) -> dict[str, Any] | list[Any] | None:
    payload = result.payload
    return payload if isinstance(payload, dict | list) else None


_READERS: Final[Mapping[FlagType, Callable[[FlagResult], Any]]] = {
    FlagType.BOOLEAN: _boolean,
    FlagType.STRING: _string,
    FlagType.INTEGER: _integer,
    FlagType.FLOAT: _float,
    FlagType.OBJECT: _object,
}
