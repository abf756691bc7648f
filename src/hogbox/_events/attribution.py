"""Attribution: which rule of a flag gave a person its value, as far as events may include it (wire protocol 2.10)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

RULES: Final = 2
"""The `config_version` of a flag with rules."""

_RULE_TYPES: Final[Mapping[str, frozenset[str]]] = {
    "targeting_match": frozenset({"targeted_release", "percentage_rollout"}),
    "experiment_split": frozenset({"experiment"}),
    "rollout_miss": frozenset({"percentage_rollout", "experiment"}),
    "experiment_paused": frozenset({"experiment"}),
    "holdout": frozenset({"experiment"}),
}
"""The types of rules that events name, by reason."""

_SPLIT: Final = "experiment_split"

_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

CONFIG_VERSION: Final = "$feature_flag_config_version"
REASON_CODE: Final = "$feature_flag_reason_code"
RULE_ID: Final = "$feature_flag_rule_id"
RULE_TYPE: Final = "$feature_flag_rule_type"
VARIANT_KEY: Final = "$feature_flag_variant_key"

ATTRIBUTES: Final = frozenset({CONFIG_VERSION, REASON_CODE, RULE_ID, RULE_TYPE, VARIANT_KEY})
"""The properties that only the event of a flag with rules has."""


class Attribution(NamedTuple):
    """What decided. The rule is known as a whole or not at all; the variant is that of an experiment's split."""

    reason_code: str | None
    rule_id: str | None = None
    rule_type: str | None = None
    variant_key: str | None = None

    @property
    def is_split(self) -> bool:
        """Whether an experiment gave the person a variant, and it is known which."""
        return self.variant_key is not None

    def properties(self) -> dict[str, Any]:
        """The properties of `$feature_flag_called`."""
        known = {
            REASON_CODE: self.reason_code,
            RULE_ID: self.rule_id,
            RULE_TYPE: self.rule_type,
            VARIANT_KEY: self.variant_key,
        }
        return {CONFIG_VERSION: RULES, **{name: value for name, value in known.items() if value is not None}}


def attribute(
    reason_code: str | None, rule_type: str | None, rule_id: str | None, variant_key: str | None, *, failed: bool
) -> Attribution:
    """What events include of a record's rule: nothing is guessed, and an incomplete rule counts as absent."""
    split = reason_code == _SPLIT
    told = not failed and reason_code is not None and rule_type in _RULE_TYPES.get(reason_code, ())
    if not told or rule_id is None or not _UUID.fullmatch(rule_id) or (split and variant_key is None):
        return Attribution(reason_code)
    return Attribution(reason_code, rule_id, rule_type, variant_key if split else None)


def attribution_in(properties: Mapping[str, Any]) -> Attribution | None:
    """The attribution of an event, by its properties; None where it has none."""
    if properties.get(CONFIG_VERSION) != RULES:
        return None
    return Attribution(*(properties.get(name) for name in (REASON_CODE, RULE_ID, RULE_TYPE, VARIANT_KEY)))
