"""Filters, conditions and flags in words."""

from __future__ import annotations

from typing import Any

import pytest

from hogbox.flags._words.description import FlagDescription, describe_flags
from tests.flags import vectors
from tests.flags.samples import condition, document, flag, one_filter, person_filter

SENTENCES: list[tuple[str | None, Any, str]] = [
    (None, "pro", "p is exactly 'pro'"),
    ("exact", ["pro"], "p is exactly 'pro'"),
    ("exact", ["pro", "team", 3], "p is exactly one of 'pro', 'team', 3"),
    ("exact", True, "p is exactly true"),
    ("exact", [], "p counts as true"),
    ("is_not", [], "p does not count as true"),
    ("is_not", "de", "p is not 'de'"),
    ("is_not", ["de", "at"], "p is not one of 'de', 'at'"),
    ("is_set", "is_set", "p is set"),
    ("is_not_set", None, "p is not set"),
    ("icontains", "@x.com", "p contains '@x.com'"),
    ("not_icontains", "x", "p does not contain 'x'"),
    ("icontains_multi", ["a", "b"], "p contains one of 'a', 'b'"),
    ("not_icontains_multi", ["a", "b"], "p contains none of 'a', 'b'"),
    ("not_icontains_multi", "a", "p does not contain 'a'"),
    ("starts_with", "a", "p starts with 'a'"),
    ("not_starts_with", "a", "p does not start with 'a'"),
    ("ends_with", "a", "p ends with 'a'"),
    ("not_ends_with", "a", "p does not end with 'a'"),
    ("regex", "^a+$", "p matches the pattern '^a+$'"),
    ("not_regex", "^a+$", "p does not match the pattern '^a+$'"),
    ("gt", 17, "p is greater than 17"),
    ("gte", "17", "p is at least '17'"),
    ("lt", 1.5, "p is less than 1.5"),
    ("lte", 2, "p is at most 2"),
    ("gt", "many", "p is greater than 'many' (the filter's value is not a number)"),
    ("between", [1, 5], "p is between 1 and 5"),
    ("not_between", [1, 5], "p is not between 1 and 5"),
    ("between", 5, "p is between 5 (the filter's value is not a pair of numbers, lower first)"),
    ("is_date_before", "2026-01-02", "p is before '2026-01-02'"),
    ("is_date_after", "-7d", "p is after 7 days ago"),
    ("is_date_after", "1m", "p is after 1 month ago"),
    ("is_date_exact", "2026-01-02", "p is exactly '2026-01-02'"),
    ("semver_eq", "1.2.3", "p is version '1.2.3'"),
    ("semver_neq", "1.2.3", "p is not version '1.2.3'"),
    ("semver_gt", "1.2.3", "p is a later version than '1.2.3'"),
    ("semver_gte", "1.2.3", "p is version '1.2.3' or later"),
    ("semver_lt", "1.2.3", "p is an earlier version than '1.2.3'"),
    ("semver_lte", "1.2.3", "p is version '1.2.3' or earlier"),
    ("semver_tilde", "1.2.3", "p is version '1.2.3' or a later patch of it"),
    ("semver_caret", "1.2.3", "p is version '1.2.3' or a later one compatible with it"),
    ("semver_wildcard", "1.2.*", "p is a version that fits '1.2.*'"),
    ("in", ["a"], "p in ['a'] (no property can satisfy in)"),
    ("is_odd", 3, "p is odd 3 (the operator is_odd is unknown)"),
    ("gt", None, "p is greater than None (the filter has no value)"),
    ("exact", [*range(12)], "p is exactly one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"),
]


def described(*flags: dict[str, Any], **more: Any) -> FlagDescription:
    """The first of the flags."""
    return next(iter(describe_flags({**document(*flags), **more}).values()))


@pytest.mark.parametrize(("operator", "value", "sentence"), SENTENCES, ids=str)
def test_an_operator_in_words(operator: str | None, value: Any, sentence: str) -> None:
    (flag,) = describe_flags(one_filter(operator, value)).values()
    assert flag.conditions == (f"{sentence}, all people",)


def test_a_condition_is_a_sentence() -> None:
    one = described(
        flag(
            "f",
            condition(
                person_filter("plan", "exact", "pro"), person_filter("country", "is_not", "de"), rollout_percentage=30
            ),
            condition(rollout_percentage=0),
            condition(rollout_percentage=12.5, variant="b"),
            multivariate={"variants": [{"key": "a", "rollout_percentage": 40}, {"key": "b", "rollout_percentage": 60}]},
            payloads={"a": "1"},
        )
    )
    assert one.conditions == (
        "plan is exactly 'pro' and country is not 'de', 30 % of people",
        "no people",
        "12.5 % of people, who get 'b'",
    )
    assert (one.kind, one.variants) == ("variants", (("a", 40.0), ("b", 60.0)))
    assert one.rollout == "12.5 % of people and 30 % of those who match"
    assert (one.needs, one.only_posthog) == (("person property 'plan'", "person property 'country'"), ())
    assert one.payloads == {"a": "1"}


PRO = person_filter("plan", "exact", "pro")


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ([condition()], "all people"),
        ([condition(rollout_percentage=0)], "no people"),
        ([condition(PRO)], "all who match"),
        ([condition(PRO, rollout_percentage=150)], "all who match"),
        ([condition(PRO, rollout_percentage=10), condition(PRO, rollout_percentage=20)],
         "10 to 20 % of those who match"),
        ([condition(PRO), condition(rollout_percentage=5), condition(rollout_percentage=7)],
         "7 % of people and all who match"),
        ([condition(PRO), condition()], "all people"),
    ],
    ids=str,
)  # fmt: skip
def test_a_rollout_in_words(conditions: list[dict[str, Any]], words: str) -> None:
    assert described(flag("f", *conditions)).rollout == words


def test_a_flag_that_is_not_active_is_described_all_the_same() -> None:
    one = described(flag("f", condition(PRO), active=False))
    assert (one.active, one.rollout, one.conditions) == (False, "off", ("plan is exactly 'pro', all people",))
    assert one.needs == ()


def test_groups_are_named() -> None:
    one = described(
        flag(
            "f",
            condition({"key": "seats", "type": "group", "operator": "gt", "value": 9, "group_type_index": 0}),
            aggregation_group_type_index=0,
        ),
        group_type_mapping={"0": "company"},
    )
    assert one.kind == "boolean, 'company' groups"
    assert one.conditions == ("the company's seats is greater than 9, all 'company' groups",)
    assert one.needs == ("company property 'seats'", "group 'company'")


def test_cohorts_and_flags_are_told() -> None:
    one = described(
        flag(
            "f",
            condition(
                {"key": "id", "type": "cohort", "value": 5, "operator": "not_in"},
                {
                    "key": "g",
                    "type": "flag",
                    "operator": "flag_evaluates_to",
                    "value": False,
                    "dependency_chain": ["g"],
                },
            ),
        ),
        flag("g"),
        cohorts={
            "5": {
                "type": "OR",
                "values": [
                    {"type": "AND", "values": [PRO, {**person_filter("age", "gt", 17), "negation": True}]},
                    {"type": "cohort", "key": "id", "value": "6"},
                ],
            },
            "6": {"type": "AND", "values": []},
        },
    )
    assert one.conditions == ("is not in cohort 5 and flag 'g' is off, all people",)
    assert one.cohorts == {
        "5": "(plan is exactly 'pro' and not (age is greater than 17)) or is in cohort 6",
        "6": "everybody",
    }
    assert one.depends_on == ("g",)
    assert one.needs == ("person property 'plan'", "person property 'age'")


@pytest.mark.parametrize(
    ("flag", "why"),
    [
        ({**flag("f", condition(rollout_percentage=5)), "ensure_experience_continuity": True},
         "the bucket depends on an identifier that only PostHog has stored (experience continuity)"),
        ({**flag("f", condition()), "ensure_experience_continuity": True}, None),
        ({**flag("f"), "has_encrypted_payloads": True}, "its payloads are encrypted"),
        (flag("f", aggregation_group_type_index=3), "the group type 3 is not in the definitions"),
        (flag("f", condition({"type": "event", "key": "paid", "value": 1})),
         "only the service evaluates filters of the type 'event'"),
        (flag("f", condition({"type": "cohort", "key": "id", "value": 8})),
         "cohort '8': it is not among the definitions (a static cohort, perhaps)"),
        (flag("f", condition({"type": "flag", "key": "gone", "operator": "flag_evaluates_to", "value": True,
                              "dependency_chain": ["gone"]})), "the flag 'gone' is not among the definitions"),
        (flag("f", condition(person_filter("p", "is_odd", 1))), "'p': the operator is_odd is unknown"),
        (flag("f", condition(person_filter("p", "not_between", 1))), None),
        (flag("f", condition({"type": "group", "key": "p", "value": 1, "group_type_index": 7})),
         "the group type of the property 'p' is not in the definitions"),
        ({"key": "f", "active": True, "filters": 5}, "`filters` is not an object"),
    ],
    ids=str,
)  # fmt: skip
def test_what_only_posthog_can_evaluate_is_told(flag: dict[str, Any], why: str | None) -> None:
    assert described(flag).only_posthog == (() if why is None else (why,))


def test_a_holdout_a_device_and_an_enrolment_are_told() -> None:
    one = described(
        {
            **flag("f", holdout={"id": 3, "exclusion_percentage": 10}, feature_enrollment=True),
            "bucketing_identifier": "device_id",
            "has_experiment": True,
            "name": "Named",
        }
    )
    assert one.holdout == "10 % of devices are held out"
    assert one.needs == ("person property '$feature_enrollment/f'", "device id")
    assert (one.experiment, one.name) == (True, "Named")


@pytest.mark.parametrize("name", vectors.files())
def test_whatever_posthog_sends_is_described(name: str) -> None:
    definitions = vectors.files()[name]["definitions"]
    found = describe_flags(definitions)
    assert list(found) == [one["key"] for one in {one["key"]: one for one in definitions["flags"]}.values()]
    assert all(one.rollout and one.kind for one in found.values())
