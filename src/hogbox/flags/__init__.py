"""PostHog's feature flags, evaluated here: definitions in, answers with reasons out.

Pure and usable alone: no database, no network, no client.

    flag_set = FlagSet.parse(definitions)
    flag_set.evaluate("new-checkout", distinct_id="u1", person_properties={"plan": "pro"}).value
"""

from __future__ import annotations

from hogbox.flags.examination import FilterExplanation
from hogbox.flags.explanation import ConditionExplanation, Explanation, RolloutExplanation
from hogbox.flags.flag_set import FlagSet
from hogbox.flags.reason import Reason
from hogbox.flags.result import FlagResult
from hogbox.flags.value import MISSING

__all__ = [
    "MISSING",
    "ConditionExplanation",
    "Explanation",
    "FilterExplanation",
    "FlagResult",
    "FlagSet",
    "Reason",
    "RolloutExplanation",
]
