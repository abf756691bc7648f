"""Definitions that are malformed beyond the golden cases: the flag alone is inconclusive, and says why."""

from __future__ import annotations

from typing import Any

import pytest

from hogbox.flags import MISSING, FlagSet
from tests.flags.samples import condition, document, flag, person_filter

PRO = person_filter("plan", "exact", "pro")


@pytest.mark.parametrize(
    ("filters", "problem"),
    [
        ({"early_exit": "yes"}, "`early_exit` is neither true nor false"),
        ({"feature_enrollment": 1}, "`feature_enrollment` is neither true nor false"),
        ({"holdout": 5}, "`holdout` is not an object"),
        (
            {"holdout": {"id": True, "exclusion_percentage": 5}},
            "`holdout` has no integer id, or no percentage",
        ),
        ({"super_groups": "x"}, "`super_groups` is not a list of objects"),
        ({"version": True}, "it is in a newer format"),
        ({"version": None}, "it is in a newer format"),
        ({"rules": []}, "it is in a newer format"),
    ],
)
def test_p7_a_malformed_flag_says_what_is_wrong_and_harms_no_other(filters: dict[str, Any], problem: str) -> None:
    flag_set = FlagSet.parse(document(flag("bad", **filters), flag("good")))
    explanation = flag_set.explain("bad", distinct_id="u1")
    assert explanation.result.reason == "unsupported_definition"
    assert explanation.sentence == f"Flag 'bad' is inconclusive: {problem}."
    assert flag_set.evaluate("good", distinct_id="u1").value is True


def test_a_continuity_that_is_neither_true_nor_false_is_malformed() -> None:
    odd = {**flag("f"), "ensure_experience_continuity": "yes"}
    assert FlagSet.parse(document(odd)).evaluate("f", distinct_id="u1").reason == "unsupported_definition"


def test_a_version_of_one_is_the_format_that_is_read() -> None:
    flag_set = FlagSet.parse(document(flag("f", version=1.0, rules=None)))
    assert flag_set.evaluate("f", distinct_id="u1").value is True


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({**PRO, "negation": "yes"}, "a negation in it is neither true nor false"),
        ({**PRO, "key": None}, "a filter in it has no key, or an operator that is not text"),
        ({**PRO, "operator": 5}, "a filter in it has no key, or an operator that is not text"),
        ({**PRO, "type": "behavioral"}, "a filter in it is of the type 'behavioral'"),
        (5, "an entry of it is not an object"),
        ({"type": "AND", "values": 5}, "a group in it has no list of values"),
    ],
)
def test_p7_a_malformed_cohort_is_unknown_as_a_whole(entry: object, problem: str) -> None:
    member = {"type": "cohort", "key": "id", "operator": "in", "value": 1}
    cohorts = {"1": {"type": "OR", "values": [PRO, entry]}}
    flag_set = FlagSet.parse({**document(flag("f", condition(member))), "cohorts": cohorts})
    explanation = flag_set.explain("f", distinct_id="u1", person_properties={"plan": "pro"})
    assert explanation.result.reason == "unsupported_definition"
    assert explanation.conditions[0].filters[0].note == problem


def test_the_marker_of_what_was_not_passed_has_a_name() -> None:
    assert repr(MISSING) == "MISSING"
