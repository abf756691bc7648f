"""Explanations: every condition and property with its outcome, and sentences for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hogbox.flags import MISSING, FlagSet
from tests.flags import vectors
from tests.flags.samples import condition, document, flag, person_filter

PRO = person_filter("plan", "exact", ["pro"])


@pytest.mark.parametrize("name", vectors.files())
def test_an_explanation_has_the_result_that_it_explains(name: str) -> None:
    content = vectors.files()[name]
    flag_set = FlagSet.parse(content["definitions"])
    for case in content["cases"][::7]:
        call = vectors.call_of(case)
        result, explanation = flag_set.evaluate(case["key"], **call), flag_set.explain(case["key"], **call)
        assert explanation.result == result
        assert sum(item.decisive for item in explanation.conditions) <= 1
        assert explanation.sentence in str(explanation)
        assert not (result.conclusive and explanation.missing)


def test_each_condition_and_property_is_told() -> None:
    flag_set = FlagSet.parse(
        document(
            flag(
                "f",
                condition(PRO, rollout_percentage=100),
                condition(person_filter("age", "gt", 17), rollout_percentage=1),
                condition(rollout_percentage=100, variant="a"),
                condition(PRO),
                multivariate={"variants": [{"key": "a", "rollout_percentage": 50}]},
            )
        )
    )
    explanation = flag_set.explain("f", distinct_id="u1", person_properties={"plan": "free", "age": 20})
    first, second, third, fourth = explanation.conditions
    assert [item.outcome for item in explanation.conditions] == [
        "no match",
        "out of rollout",
        "match",
        "no match",
    ]
    assert [item.decisive for item in explanation.conditions] == [False, False, True, False]
    assert [item.reached for item in explanation.conditions] == [True, True, True, False]
    seen = first.filters[0]
    assert (seen.type, seen.key, seen.operator, seen.value, seen.seen, seen.outcome, seen.reason) == (
        ("person", "plan", "exact", ["pro"], "free", "no match", None)
    )
    assert second.rollout.hash is not None
    assert second.rollout.hash > second.rollout.bound == 0.01
    assert (second.rollout.percentage, second.rollout.outcome) == (1.0, "no match")
    assert third.values == ("a",)
    assert explanation.possible == ("a",)
    assert str(explanation).splitlines() == [
        "Flag 'f' is 'a': condition 3 matches.",
        f"  Condition 1 does not match (rollout: 100 %, hash {first.rollout.hash:.6f}, included up to 1).",
        "    person 'plan' exact ['pro'], seen 'free': no match",
        "  Condition 2 has matching filters, but the identifier is outside its rollout "
        f"(rollout: 1 %, hash {second.rollout.hash:.6f}, included up to 0.01).",
        "    person 'age' gt 17, seen 20: match",
        f"  Condition 3 matches (rollout: 100 %, hash {third.rollout.hash:.6f}, included up to 1).",
        "  Condition 4 does not match "
        f"(rollout: everybody, hash {fourth.rollout.hash:.6f}, included up to 1); not reached.",
        "    person 'plan' exact ['pro'], seen 'free': no match",
    ]


def test_what_was_missing_is_named() -> None:
    group = {**person_filter("tier", "exact", "gold"), "type": "group", "group_type_index": 0}
    elsewhere = {**group, "group_type_index": 1}
    flags = document(flag("f", condition(PRO, group, elsewhere), condition(PRO)))
    flag_set = FlagSet.parse({**flags, "group_type_mapping": {"0": "company", "1": "project"}})
    explanation = flag_set.explain("f", distinct_id="u1", groups={"company": "acme"})
    assert explanation.missing == ("person property 'plan'", "company property 'tier'", "group 'project'")
    assert explanation.conditions[0].filters[0].seen is MISSING
    assert explanation.possible == (False, True)
    assert explanation.sentence == ("Flag 'f' is inconclusive: required data was not passed (possible: False, True).")
    assert "missing: person property 'plan', " in str(explanation)


def test_a_missing_identifier_is_named() -> None:
    half = condition(rollout_percentage=50)
    flags = document({**flag("f", half), "bucketing_identifier": "device_id"}, flag("g", half))
    flag_set = FlagSet.parse(flags)
    explanation = flag_set.explain("f", distinct_id="u1")
    assert explanation.missing == ("device id",)
    assert explanation.conditions[0].rollout.hash is None
    assert flag_set.explain("g", distinct_id="").missing == ("an identifier to hash",)


def test_group_conditions_are_told() -> None:
    group = {**person_filter("tier", "exact", "gold"), "type": "group"}
    flags = document(
        flag("f", condition(group), aggregation_group_type_index=0),
        flag("g", condition(group), aggregation_group_type_index=7),
    )
    flag_set = FlagSet.parse({**flags, "group_type_mapping": {"0": "company"}})
    explanation = flag_set.explain("f", distinct_id="u1")
    assert (explanation.conditions[0].audience, explanation.conditions[0].outcome) == ("company", "skipped")
    assert explanation.sentence == "Flag 'f' is False: none of the groups in its conditions was passed."
    unknown = flag_set.explain("g", distinct_id="u1")
    assert unknown.conditions[0].audience == "unknown group"
    assert "group 'of an unknown type'" in unknown.missing


def test_cohorts_are_taken_apart_once() -> None:
    entry = {**person_filter("age", "gt", 17), "negation": True}
    cohorts: dict[str, Any] = {
        "1": {"type": "OR", "values": [{"type": "AND", "values": [PRO, entry]}]},
        "2": {
            "type": "AND",
            "values": [{"type": "cohort", "value": 1, "negation": True}, {"type": "cohort", "value": 1}],
        },
        "3": {"type": "XOR", "values": []},
    }
    filters = [{"type": "cohort", "key": "id", "operator": "in", "value": value} for value in (2, 3, 4, "x")]
    flag_set = FlagSet.parse({**document(flag("f", condition(*filters))), "cohorts": cohorts})
    explanation = flag_set.explain("f", distinct_id="u1", person_properties={"plan": "pro", "age": 12})
    member, malformed, absent, nameless = explanation.conditions[0].filters
    assert [line.strip() for line in member.lines()] == [
        "cohort in '2': no match",
        "AND: no match",
        "NOT: no match",
        "cohort in '1': match",
        "OR: match",
        "AND: match",
        "person 'plan' exact ['pro'], seen 'pro': match",
        "NOT: match",
        "person 'age' gt 17, seen 12: no match",
        "cohort in '1': match",
    ]
    assert malformed.note == "a group in it is of the type 'XOR'"
    assert absent.note == "it is not among the definitions (a static cohort, perhaps)"
    assert nameless.note == "the cohort's id is not a number"


def test_other_flags_are_told_with_what_they_can_be() -> None:
    def depend(key: str, target: str, value: object) -> dict[str, Any]:
        item = {
            "key": target,
            "type": "flag",
            "operator": "flag_evaluates_to",
            "value": value,
            "dependency_chain": [target],
        }
        return flag(key, condition(item))

    flag_set = FlagSet.parse(
        document(
            flag("on"),
            flag("maybe", condition(PRO)),
            depend("a", "on", True),
            depend("b", "maybe", True),
            depend("c", "c", True),
        )
    )
    on = flag_set.explain("a", distinct_id="u1").conditions[0].filters[0]
    assert (on.type, on.key, on.value, on.seen, on.outcome) == ("flag", "on", True, [True], "match")
    maybe = flag_set.explain("b", distinct_id="u1")
    assert maybe.conditions[0].filters[0].seen == [False, True]
    assert maybe.sentence.startswith("Flag 'b' is inconclusive: a flag that it depends on is inconclusive itself")
    loop = flag_set.explain("c", distinct_id="u1").conditions[0].filters[0]
    assert (loop.seen, loop.note) == (MISSING, "its flag dependencies are circular or too deep")


def test_holdouts_are_told() -> None:
    flag_set = FlagSet.parse(document(flag("f", holdout={"id": 7, "exclusion_percentage": 100})))
    explanation = flag_set.explain("f", distinct_id="u1")
    assert explanation.holdout is not None
    assert (explanation.holdout.percentage, explanation.holdout.outcome) == (100.0, "match")
    assert explanation.holdout.hash is not None
    assert explanation.sentence == "Flag 'f' is 'holdout-7': the person is in the holdout."
    assert not explanation.conditions[0].reached


def test_a_flag_that_is_malformed_or_off_says_so() -> None:
    flags = document(flag("off", active=False), flag("bad", groups="x"), flag("new", version=3))
    flags["flags"].append(flag("odd", condition({**PRO, "type": "event"}), condition({**PRO, "type": "group"})))
    flag_set = FlagSet.parse(flags)
    sentences = {key: flag_set.explain(key, distinct_id="u1").sentence for key in flag_set.keys}
    assert sentences["off"] == "Flag 'off' is False: it is not active."
    assert sentences["bad"] == "Flag 'bad' is inconclusive: `groups` is not a list of objects."
    assert sentences["new"] == "Flag 'new' is inconclusive: it is in a newer format."
    event, group = (item.filters[0] for item in flag_set.explain("odd", distinct_id="u1").conditions)
    assert (event.type, event.note) == ("event", "only the service evaluates filters of the type 'event'")
    assert group.note == "the filter on a group does not say which"


def test_what_is_wrong_with_a_filter_is_told() -> None:
    filters = [
        person_filter("p", "regex", "(?i)a"),
        person_filter("p", "regex", "("),
        person_filter("p", "nonesuch", 1),
        person_filter("p", "gt", "many"),
        person_filter("p", "exact", None),
        person_filter("p", "exact", object()),
        person_filter("p", "is_date_exact", "-3d"),
    ]
    flag_set = FlagSet.parse(document(flag("f", condition(*filters))))
    explanation = flag_set.explain(
        "f", distinct_id="u1", person_properties={"p": "a"}, now=datetime(2024, 1, 1, tzinfo=UTC)
    )
    assert [item.note for item in explanation.conditions[0].filters] == [
        "only the service's engine reads the pattern: a group with a meaning of its own, (?...",
        "the pattern is invalid: an unclosed (",
        "the operator nonesuch is unknown",
        "the filter's value is not a number",
        "the filter has no value",
        "the filter's value is too large, or nothing that JSON can hold",
        "a relative date is exact at no time",
    ]


def test_values_are_told_in_few_words_whatever_they_are() -> None:
    class Rude:
        def __repr__(self) -> str:
            raise RuntimeError

    flag_set = FlagSet.parse(document(flag("f", condition(PRO))))
    values: list[object] = [
        "x" * 1_000_000,
        list(range(100_000)),
        Rude(),
        10**10_000,
        {"a": {"b": {"c": {"d": {"e": {}}}}}},
    ]
    for value in values:
        assert len(str(flag_set.explain("f", distinct_id="u1", person_properties={"plan": value}))) < 500
