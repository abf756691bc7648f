"""One flag in a response of `/flags`: its value, the reason and its metadata, in each of the three forms."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from hogbox.emulator.feed import RULES, config_version
from hogbox.flags import FlagResult, Reason

ENCRYPTED = '"********* (encrypted)"'
"""What stands in the place of an encrypted payload. The quotes are part of it."""

Describe: TypeAlias = Callable[[Mapping[str, Any], FlagResult | None], dict[str, Any]]
"""Makes the record of a flag. Without a result, its evaluation failed; an inconclusive flag has no value either."""

_DESCRIPTIONS = {
    Reason.NO_CONDITION_MATCH: "No matching condition set",
    Reason.OUT_OF_ROLLOUT_BOUND: "Out of rollout bound",
    Reason.NO_GROUP_TYPE: "No group type",
    Reason.SUPER_CONDITION_VALUE: "Super condition value",
    Reason.HOLDOUT_CONDITION_VALUE: "Holdout condition value",
    Reason.FLAG_DISABLED: "Feature flag is disabled",
}
_RULE_DESCRIPTIONS = {
    Reason.TARGETING_MATCH: "Matched rule {}",
    Reason.ROLLOUT_MISS: "Rule {} rollout miss",
    Reason.EXPERIMENT_PAUSED: "Rule {} is paused",
    Reason.HOLDOUT: "Rule {} holdout",
    Reason.NO_RULE_MATCH: "No rule matched",
}
_CONDITION_REASONS = {
    Reason.TARGETING_MATCH: Reason.CONDITION_MATCH,
    Reason.ROLLOUT_MISS: Reason.OUT_OF_ROLLOUT_BOUND,
    Reason.EXPERIMENT_PAUSED: Reason.NO_CONDITION_MATCH,
    Reason.HOLDOUT: Reason.HOLDOUT_CONDITION_VALUE,
    Reason.NO_RULE_MATCH: Reason.NO_CONDITION_MATCH,
}
"""What version 2 of the response says of a rule."""

_UNDECIDED = "The emulator cannot decide this flag: it holds less than PostHog does"


def describe(flag: Mapping[str, Any], result: FlagResult | None) -> dict[str, Any]:
    """The record of a flag in version 2 of the response."""
    if result is None or not result.conclusive:
        code, description = _failure(flag, result)
        reason = {"code": code, "condition_index": None, "description": description}
        off = {"enabled": False, "variant": None, "failed": True}
        return {"key": flag["key"], **off, "reason": reason, "metadata": _metadata(flag, None)}
    return {
        "key": flag["key"],
        "enabled": result.enabled,
        "variant": result.variant,
        "reason": _reason(result, _CONDITION_REASONS.get(Reason(str(result.reason)), Reason(str(result.reason)))),
        "metadata": _metadata(flag, _payload(flag, result)),
    }


def describe_typed(flag: Mapping[str, Any], result: FlagResult | None) -> dict[str, Any]:
    """The typed record of a flag, from version 3 of the response on."""
    rules = config_version(flag) == RULES
    if result is None or not result.conclusive:
        code, description = _failure(flag, result)
        reason = {"code": code, "condition_index": None} | ({} if rules else {"description": description})
        return {
            "key": flag["key"],
            "value": None,
            "failed": True,
            "reason": reason,
            "metadata": _typed_metadata(flag, rules),
        }
    metadata = _typed_metadata(flag, rules)
    if rules:
        rule = {"rule_type": result.rule_type, "rule_id": result.rule_id, "variant_key": result.variant_key}
    else:
        metadata["payload"] = _payload(flag, result)
        rule = {"variant_key": result.variant}
    return {
        "key": flag["key"],
        "value": result.value,
        "reason": _reason(result, Reason(str(result.reason))),
        "metadata": {**metadata, **{name: value for name, value in rule.items() if value is not None}},
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


def _failure(flag: Mapping[str, Any], result: FlagResult | None) -> tuple[str, str]:
    """The code and description of a flag without a value."""
    if config_version(flag) != 1:
        return "error", _UNDECIDED
    return ("timeout", "Database statement timed out") if result is None else (str(result.reason), _UNDECIDED)


def _reason(result: FlagResult, code: Reason) -> dict[str, Any]:
    number = (result.condition_index or 0) + 1
    if code in _RULE_DESCRIPTIONS:
        description = _RULE_DESCRIPTIONS[code].format(number)
    else:
        description = _DESCRIPTIONS.get(code, f"Matched condition set {number}")
    return {"code": str(code), "condition_index": result.condition_index, "description": description}


def _metadata(flag: Mapping[str, Any], payload: Any) -> dict[str, Any]:
    return {
        "id": flag.get("id", 0),
        "version": flag.get("version") or 0,
        "description": None,
        "payload": payload,
        "has_experiment": flag.get("has_experiment") is True,
    }


def _typed_metadata(flag: Mapping[str, Any], rules: bool) -> dict[str, Any]:
    metadata = {**_metadata(flag, None), "config_version": RULES if rules else 1}
    if not isinstance(flag.get("has_experiment"), bool):
        del metadata["has_experiment"]
    return metadata


def _payload(flag: Mapping[str, Any], result: FlagResult) -> Any:
    """The payload of the value as it is stored: usually JSON text. A number or object is its own payload."""
    if not isinstance(result.value, bool | str | None):
        return json.dumps(result.value, ensure_ascii=False, separators=(",", ":"))
    filters = flag.get("filters")
    payloads = filters.get("payloads") if isinstance(filters, Mapping) else None
    if not result.enabled or not isinstance(payloads, Mapping):
        return None
    payload = payloads.get(result.variant or "true")
    return ENCRYPTED if payload and flag.get("has_encrypted_payloads") is True else payload
