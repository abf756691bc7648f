"""One flag in a response of `/flags`: its value, the reason and its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hogbox.flags import FlagResult, Reason

_DESCRIPTIONS = {
    Reason.NO_CONDITION_MATCH: "No matching condition set",
    Reason.OUT_OF_ROLLOUT_BOUND: "Out of rollout bound",
    Reason.NO_GROUP_TYPE: "No group type",
    Reason.SUPER_CONDITION_VALUE: "Super condition value",
    Reason.HOLDOUT_CONDITION_VALUE: "Holdout condition value",
    Reason.FLAG_DISABLED: "Feature flag is disabled",
}
_UNDECIDED = "The emulator cannot decide this flag: it holds less than PostHog does"


def describe(flag: Mapping[str, Any], result: FlagResult | None) -> dict[str, Any]:
    """A flag's record. Without a result, its evaluation failed; an inconclusive flag has no value either."""
    if result is None:
        return _failure(flag, "timeout", "Database statement timed out")
    if result.value is None:
        return _failure(flag, str(result.reason), _UNDECIDED)
    return {
        "key": flag["key"],
        "enabled": result.enabled,
        "variant": result.variant,
        "reason": {
            "code": str(result.reason),
            "condition_index": result.condition_index,
            "description": _description(result),
        },
        "metadata": _metadata(flag, _payload(flag, result)),
    }


def legacy(body: Mapping[str, Any]) -> dict[str, Any]:
    """The same answer in the shape of version 1: values and payloads, and no reasons."""
    flags = body["flags"]
    payloads = {key: detail["metadata"]["payload"] for key, detail in flags.items()}
    rest = {name: value for name, value in body.items() if name not in ("flags", "minimalFlagCalledEvents")}
    return {
        "featureFlags": {key: detail["variant"] or detail["enabled"] for key, detail in flags.items()},
        "featureFlagPayloads": {key: payload for key, payload in payloads.items() if payload is not None},
        **rest,
    }


def _failure(flag: Mapping[str, Any], code: str, description: str) -> dict[str, Any]:
    return {
        "key": flag["key"],
        "enabled": False,
        "variant": None,
        "failed": True,
        "reason": {"code": code, "condition_index": None, "description": description},
        "metadata": _metadata(flag, None),
    }


def _description(result: FlagResult) -> str:
    if result.reason == Reason.CONDITION_MATCH:
        return f"Matched condition set {(result.condition_index or 0) + 1}"
    return _DESCRIPTIONS[Reason(str(result.reason))]


def _metadata(flag: Mapping[str, Any], payload: Any) -> dict[str, Any]:
    return {
        "id": flag.get("id", 0),
        "version": flag.get("version") or 0,
        "description": None,
        "payload": payload,
        "has_experiment": flag.get("has_experiment") is True,
    }


def _payload(flag: Mapping[str, Any], result: FlagResult) -> Any:
    """The payload of the value as it is stored: usually JSON text."""
    filters = flag.get("filters")
    payloads = filters.get("payloads") if isinstance(filters, Mapping) else None
    if not result.enabled or not isinstance(payloads, Mapping) or flag.get("has_encrypted_payloads") is True:
        return None
    return payloads.get(result.variant or "true")
