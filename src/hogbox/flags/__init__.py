"""Local evaluation of PostHog's feature flags: definitions in, results with reasons out.

Pure, and usable on its own: no database, no network, no client.

    flag_set = FlagSet.parse(definitions)
    flag_set.evaluate("new-checkout", distinct_id="u1", person_properties={"plan": "pro"}).value

A flag set has an evaluator, which asks a flag for a decision: its conditions are examined, and each asks its filters,
which compare a property by one of the operators. `_compiled` does the same faster; `_words` has the texts for people.
"""

from __future__ import annotations

from typing import Any as Any  # type hints of the classes below are looked up in their module, which is this one

from hogbox.flags._flag_set import FlagSet
from hogbox.flags._reason import Reason
from hogbox.flags._result import FlagResult, FlagValue
from hogbox.flags._value import MISSING
from hogbox.flags._words.explanation import ConditionExplanation, Explanation, RolloutExplanation
from hogbox.flags._words.filter_explanation import FilterExplanation

__all__ = [
    "MISSING",
    "ConditionExplanation",
    "Explanation",
    "FilterExplanation",
    "FlagResult",
    "FlagSet",
    "FlagValue",
    "Reason",
    "RolloutExplanation",
]

# So that tracebacks, `repr` and pickles show the module that users import from.
for _public in (ConditionExplanation, Explanation, FilterExplanation, FlagResult, FlagSet, Reason, RolloutExplanation):
    _public.__module__ = __name__
