"""The output of `hogbox flags … --json`, as JSON values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hogbox.flags import MISSING, Explanation, FilterExplanation, FlagResult
from hogbox.flags._words.change import Change, Difference


def result_document(result: FlagResult) -> dict[str, Any]:
    """A result. `value` is null if the flag is inconclusive, and if it is decided without a value of its own."""
    return {
        "key": result.key,
        "value": result.value,
        "conclusive": result.conclusive,
        "enabled": result.enabled,
        "variant": result.variant,
        "payload": result.payload,
        "reason": str(result.reason),
        "condition_index": result.condition_index,
        "config_version": result.config_version,
        "rule_type": result.rule_type,
        "rule_id": result.rule_id,
    }


def explanation_document(explanation: Explanation) -> dict[str, Any]:
    """An explanation, with every condition and filter."""
    return {
        **result_document(explanation.result),
        "sentence": explanation.sentence,
        "possible": explanation.possible,
        "missing": explanation.missing,
        "holdout": asdict(explanation.holdout) if explanation.holdout else None,
        "conditions": [
            {
                "index": one.index,
                "audience": one.audience,
                "outcome": one.outcome,
                "decisive": one.decisive,
                "reached": one.reached,
                "values": one.values,
                "sentence": one.sentence,
                "rollout": asdict(one.rollout),
                "filters": [_filter_document(item) for item in one.filters],
            }
            for one in explanation.conditions
        ],
    }


def difference_document(difference: Difference, before: int, after: int) -> dict[str, Any]:
    """The changes between two revisions. A change has no `before` if something was added, no `after` if removed."""
    return {
        "before": before,
        "after": after,
        "added": difference.added,
        "removed": difference.removed,
        "changed": {key: [_change_document(one) for one in changes] for key, changes in difference.changed.items()},
        "other": [_change_document(one) for one in difference.other],
        "warnings": difference.warnings,
    }


def _filter_document(item: FilterExplanation) -> dict[str, Any]:
    """A filter; without `seen` if the property was not passed."""
    seen = {} if item.seen is MISSING else {"seen": item.seen}
    return {
        "type": item.type,
        "key": item.key,
        "operator": item.operator,
        "value": item.value,
        **seen,
        "outcome": item.outcome,
        "reason": None if item.reason is None else str(item.reason),
        "note": item.note,
        "parts": [_filter_document(part) for part in item.parts],
    }


def _change_document(change: Change) -> dict[str, Any]:
    sides = {"before": change.before, "after": change.after}
    return {
        "path": change.path,
        **{name: value for name, value in sides.items() if value is not MISSING},
        "sentence": str(change),
    }
