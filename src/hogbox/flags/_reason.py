"""Why a flag has its value, or why it has none: the codes of sections 2 and 13.

A part of a flag has one of three values, an `Outcome`: True (match), False (no match), or the `Reason` why that is
unknown; they are joined by Kleene.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TypeAlias


class Reason(StrEnum):
    """One word for what decided. Those down to `no_rule_match` decided, the others say why nothing could."""

    FLAG_DISABLED = "flag_disabled"
    SUPER_CONDITION_VALUE = "super_condition_value"
    HOLDOUT_CONDITION_VALUE = "holdout_condition_value"
    CONDITION_MATCH = "condition_match"
    OUT_OF_ROLLOUT_BOUND = "out_of_rollout_bound"
    NO_CONDITION_MATCH = "no_condition_match"
    NO_GROUP_TYPE = "no_group_type"

    TARGETING_MATCH = "targeting_match"
    ROLLOUT_MISS = "rollout_miss"
    EXPERIMENT_PAUSED = "experiment_paused"
    HOLDOUT = "holdout"
    NO_RULE_MATCH = "no_rule_match"

    EXPERIENCE_CONTINUITY = "experience_continuity"
    UNSUPPORTED_DEFINITION = "unsupported_definition"
    EVALUATION_LIMIT = "evaluation_limit"
    UNRESOLVED_DEPENDENCY = "unresolved_dependency"
    MISSING_CONTEXT = "missing_context"
    UNKNOWN_FLAG = "unknown_flag"
    NOBODY = "nobody"
    NO_DEFINITIONS = "no_definitions"


# Section 2: of several reasons for not knowing, the first in this order is told.
_ORDER = {
    Reason.UNKNOWN_FLAG: 0,
    Reason.EXPERIENCE_CONTINUITY: 1,
    Reason.UNSUPPORTED_DEFINITION: 2,
    Reason.EVALUATION_LIMIT: 3,
    Reason.UNRESOLVED_DEPENDENCY: 4,
    Reason.MISSING_CONTEXT: 5,
}


def stronger(one: Reason | None, other: Reason | None) -> Reason | None:
    """The reason for not knowing that is told when both hold; None is no reason."""
    if one is None or other is None:
        return one or other
    return one if _ORDER[one] <= _ORDER[other] else other


class MalformedError(Exception):
    """What is wrong with a flag's definition."""


Outcome: TypeAlias = bool | Reason


def all_of(outcomes: Iterable[Outcome]) -> Outcome:
    """False as soon as one is False, else unknown if one is unknown, else True."""
    unknown: Reason | None = None
    for outcome in outcomes:
        if outcome is False:
            return False
        if outcome is not True:
            unknown = stronger(unknown, outcome)
    return True if unknown is None else unknown


def opposite(outcome: Outcome) -> Outcome:
    """True for False, False for True; what is unknown stays so."""
    return (not outcome) if isinstance(outcome, bool) else outcome
