"""Flags with rules, by the law (rules v2): documents, order, errors, hashes, values, and what never shows."""

from __future__ import annotations

import json
import pickle
import random
from datetime import UTC, datetime
from typing import Any

import pytest

from hogbox.flags import FlagResult, FlagSet
from hogbox.flags._evaluator import PlainEvaluator
from hogbox.flags._flag_set import flag_set_of
from hogbox.flags._person import EvaluatedPerson, Person
from hogbox.flags._words.change import Difference, difference
from hogbox.flags._words.description import describe_flags
from tests.flags import rules_samples as rules
from tests.flags import world
from tests.flags.rules_samples import experiment, predicate, release, rollout, rules_flag
from tests.flags.samples import document, flag

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
PRO = predicate()
EVERYBODY_OUT = {"id": None, "seed": "h", "exclusion_percentage": 100}


def ask(definition: dict[str, Any] | str, distinct_id: str = "u1", **call: Any) -> FlagResult:
    """What the flag `f` is, as the compiled and the plain evaluator both say."""
    text = definition if isinstance(definition, str) else json.dumps(document(definition))
    call = {"person_properties": {}, "properties_complete": True, **call}
    flag_set = FlagSet.parse(text)
    fast = flag_set.evaluate("f", distinct_id=distinct_id, **call)
    assert fast == flag_set.evaluate_all(distinct_id=distinct_id, **call)["f"]
    plain = PlainEvaluator(flag_set._definitions).evaluate("f", EvaluatedPerson(Person(distinct_id, **call), NOW))
    assert fast == plain
    assert fast == flag_set.explain("f", distinct_id=distinct_id, **call).result
    return fast


def facts(result: FlagResult) -> tuple[object, ...]:
    return result.value, result.reason, result.condition_index


MALFORMED: dict[str, dict[str, Any]] = {
    "no default": {"default_value": ...},
    "unknown return type": {"return_type": "list"},
    "unknown field": {"more": 1},
    "rules are null": {"rules": None},
    "too many rules": {"rules": [release(number=number) for number in range(101)]},
    "a group flag": {"aggregation_group_type_index": 0},
    "a group index of null": {"aggregation_group_type_index": None},
    "payloads": {"payloads": {}},
    "a default of another type": {"default_value": 1},
}

BAD_RULES: dict[str, dict[str, Any]] = {
    "no seed": rollout(seed=...),
    "an empty seed": rollout(seed=""),
    "a long seed": rollout(seed="x" * 401),
    "an unknown field": release() | {"seed": "x"},
    "an id without hyphens": release() | {"id": "1" * 32},
    "a null value": release(value=None),
    "a value of another type": release(value=1),
    "an unknown type": release() | {"rule_type": "later"},
    "an unknown miss": rollout(on_rollout_miss="stop"),
    "another algorithm": rollout(assignment_algorithm="md5"),
    "assigned by device": rollout(assign_by="device"),
    "assigned by null": rollout(assign_by=None),
    "three decimals": rollout(rollout_percentage=33.333),
    "above 100": rollout(rollout_percentage=100.5),
    "below 0": rollout(rollout_percentage=-1),
    "a percentage of true": rollout(rollout_percentage=True),
    "a linked experiment": experiment(experiment_id=7),
    "a linked experiment with unknown fields": experiment(experiment_id=7, exposure="x"),
    "no experiment id": experiment(experiment_id=...),
    "an experiment id of text": experiment(experiment_id="7"),
    "no pause": experiment(paused=...),
    "one variant": experiment(variants=[{"key": "a", "weight": 100, "value": True}]),
    "variants of 99": experiment(variants=[{"key": key, "weight": 49.5, "value": True} for key in "ab"]),
    "two equal variants": experiment(variants=[{"key": "a", "weight": 50, "value": True}] * 2),
    "a variant's key": experiment(variants=[{"key": key, "weight": 50, "value": True} for key in ("a.b", "c")]),
    "no holdout": experiment(holdout=None),
    "a holdout with an id": experiment(holdout={"id": 3, "seed": "h", "exclusion_percentage": 1}),
    "a holdout without a seed": experiment(holdout={"id": None, "exclusion_percentage": 1}),
    "targeting with more": release() | {"targeting": {"properties": [], "groups": []}},
    "too many predicates": release(*[PRO] * 101),
    "a description that is no text": release() | {"description": None},
    "metadata that is no object": release() | {"metadata": []},
}

BAD_PREDICATES: dict[str, dict[str, Any]] = {
    "a cohort": PRO | {"type": "cohort"},
    "a flag": PRO | {"type": "flag"},
    "no type": {"key": "plan", "operator": "exact", "value": "pro"},
    "an empty key": predicate(key=""),
    "an unknown operator": predicate("contains"),
    "an empty operator": predicate(""),
    "between": predicate("between", [1, 2]),
    "in": predicate("in", ["a"]),
    "a number that is contained": predicate("icontains", 5),
    "a list of no list": predicate("icontains_multi", "a"),
    "a comparison with true": predicate("gt", True),
    "a bad version": predicate("semver_gt", "1.x"),
    "a version with a letter": predicate("semver_gt", "v1.2"),
    "a bad wildcard": predicate("semver_wildcard", "*"),
    "a date that is none": predicate("is_date_after", "soon"),
    "a date too relative": predicate("is_date_after", "-10000d"),
    "a date of a number": predicate("is_date_after", 1717243200),
    "a negation that is no boolean": predicate(negation="true"),
    "a group index": predicate(group_type_index=0),
    "an unknown field": predicate(more=1),
    "a label of a number": predicate(label=1),
}


def with_filters(fields: dict[str, Any]) -> dict[str, Any]:
    made = rules_flag(release())
    made["filters"] = {name: value for name, value in {**made["filters"], **fields}.items() if value is not ...}
    return made


@pytest.mark.parametrize("name", MALFORMED)
def test_filters_that_are_not_of_the_format_reject_the_flag(name: str) -> None:
    assert facts(ask(with_filters(MALFORMED[name]))) == (None, "unsupported_definition", None)


@pytest.mark.parametrize("name", BAD_RULES)
def test_a_rule_that_is_not_of_the_format_rejects_the_flag_though_it_is_never_reached(name: str) -> None:
    bad = BAD_RULES[name]
    result = ask(rules_flag(release(number=9), bad))
    assert (result.conclusive, result.reason, result.config_version) == (False, "unsupported_definition", 2)


@pytest.mark.parametrize("name", BAD_PREDICATES)
def test_a_predicate_that_is_not_of_the_format_rejects_the_flag(name: str) -> None:
    result = ask(rules_flag(release(number=9), release(BAD_PREDICATES[name])))
    assert (result.conclusive, result.reason) == (False, "unsupported_definition")


def test_two_rules_with_one_id_reject_the_flag_in_any_case() -> None:
    one, other = release(), release()
    one["id"], other["id"] = "abcdef00-0000-4000-8000-000000000000", "ABCDEF00-0000-4000-8000-000000000000"
    assert ask(rules_flag(one, other)).reason == "unsupported_definition"


NUMBERS = [
    ("33.330", True),
    ("5e-2", True),
    ("1.5e1", True),
    ("0.10", True),
    ("100.00", True),
    ("-0", True),
    ("0e-9", True),
    ("5.555", False),
    ("33.333", False),
    ("1e-3", False),
    ("1e-400", False),
    ("1e2", True),
    ("1e3", False),
]


@pytest.mark.parametrize(("text", "usable"), NUMBERS)
def test_decimals_are_judged_by_the_text_of_a_number(text: str, usable: bool) -> None:
    source = json.dumps(document(rules_flag(rollout(rollout_percentage=777777)))).replace("777777", text)
    for given in (source, source.encode(), source.encode("utf-16")):
        result = FlagSet.parse(given).evaluate("f", distinct_id="u1", person_properties={})
        assert result.conclusive is usable


def test_decimals_in_values_and_metadata_are_free() -> None:
    rule = rollout(value={"weight": 1.23456, "rollout_percentage": 5.5555}) | {"metadata": {"weight": 0.0001}}
    assert ask(rules_flag(rule, returns="object", default=None)).conclusive


@pytest.mark.parametrize("place", ['"version"', '"seed"', '"key"', '"deep"'])
def test_repeated_keys_reject_the_flag_at_every_depth(place: str) -> None:
    rule = rollout(predicate()) | {"metadata": {"list": [{"deep": 1}]}}
    source = json.dumps(document(rules_flag(rule) | {"key": "f"}, flag("other")))
    start = source.index('"filters"')
    inside = source[start:].replace(place, f"{place}: 1, {place}", 1)
    flag_set = FlagSet.parse(source[:start] + inside)
    assert flag_set.evaluate("f", distinct_id="u1", person_properties={}).reason == "unsupported_definition"
    assert flag_set.evaluate("other", distinct_id="u1").value is True


def test_whitespace_does_not_count_to_the_size() -> None:
    small = rules_flag(release() | {"metadata": {"text": "x" * 500_000}})
    large = rules_flag(release() | {"metadata": {"text": "x" * 530_000}})
    spaced = json.dumps(document(small)).replace(": ", ":" + " " * 5_000)
    assert ask(spaced).value is True
    assert ask(json.dumps(document(large))).reason == "unsupported_definition"


@pytest.mark.parametrize("version", [3, 0, "2", True, None, 2.5])
def test_other_formats_are_inconclusive(version: object) -> None:
    made = rules_flag(release())
    made["filters"]["version"] = version
    assert facts(ask(made)) == (None, "unsupported_definition", None)


@pytest.mark.parametrize("version", [2, 2.0])
def test_a_version_is_compared_as_a_number(version: float) -> None:
    made = rules_flag(release())
    made["filters"]["version"] = version
    assert facts(ask(made)) == (True, "targeting_match", 0)


def test_unknown_fields_of_an_entry_and_of_the_feed_are_accepted() -> None:
    made = rules_flag(release(), later=1, ensure_experience_continuity=True, bucketing_identifier="device_id")
    assert ask(json.dumps({**document(made), "later": {}})).value is True


VALUES = [
    ("boolean", True, True),
    ("boolean", 1, False),
    ("string", "x", True),
    ("string", "", False),
    ("number", 2**53 - 1, True),
    ("number", 2**53, False),
    ("number", -(2**53) + 1, True),
    ("number", 1.25, True),
    ("number", "1.25", False),
    ("number", True, False),
    ("object", {"a": [1, None, {"b": "c"}]}, True),
    ("object", [], False),
    ("object", {"a": 2**53}, False),
]


@pytest.mark.parametrize(("returns", "value", "usable"), VALUES)
def test_values_are_of_the_type_that_the_flag_returns(returns: str, value: Any, usable: bool) -> None:
    result = ask(rules_flag(release(value=value), returns=returns, default=None))
    assert result.conclusive is usable
    if usable:
        assert json.dumps(result.value) == json.dumps(value)
        assert (result.value, result.reason, result.rule_type) == (value, "targeting_match", "targeted_release")


@pytest.mark.parametrize(("levels", "usable"), [(20, True), (21, False)])
def test_objects_have_at_most_twenty_levels(levels: int, usable: bool) -> None:
    value: dict[str, Any] = {"leaf": 1}
    for _ in range(levels - 1):
        value = {"in": value}
    assert ask(rules_flag(release(value=value), returns="object", default=None)).conclusive is usable


def test_each_caller_gets_an_object_of_their_own() -> None:
    made = rules_flag(release(value={"list": []}), returns="object", default={})
    flag_set = FlagSet.parse(document(made))
    first = flag_set.evaluate("f", distinct_id="u1", person_properties={})
    assert isinstance(first.value, dict)
    first.value["list"] = first.payload["list"] = 1
    again = flag_set.evaluate("f", distinct_id="u1", person_properties={})
    assert again.value == again.payload == {"list": []}
    assert pickle.loads(pickle.dumps(again)) == again


def test_minus_zero_is_zero() -> None:
    source = json.dumps(document(rules_flag(release(value=777777), returns="number"))).replace("777777", "-0.0")
    assert str(ask(source.replace("false", "null")).value) == "0.0"


DEFAULTS: list[tuple[str, Any]] = [
    ("boolean", False),
    ("boolean", None),
    ("string", "x"),
    ("number", 0),
    ("object", {}),
    ("object", None),
]


@pytest.mark.parametrize(("returns", "default"), DEFAULTS)
def test_the_default_answers_where_no_rule_does(returns: str, default: Any) -> None:
    result = ask(rules_flag(returns=returns, default=default))
    assert facts(result) == (default, "no_rule_match", None)
    assert (result.conclusive, result.rule_id, result.rule_type) == (True, None, None)
    assert result.enabled is (default is not None and default is not False)


@pytest.mark.parametrize("more", [{"active": False}, {"deleted": True}, {"active": False, "filters": {"version": 2}}])
def test_a_flag_that_is_not_active_has_no_value(more: dict[str, Any]) -> None:
    result = ask({**rules_flag(release()), **more})
    assert (result.value, result.conclusive, result.enabled, result.reason) == (None, True, False, "flag_disabled")


def test_rules_are_tried_in_order_and_indexes_count_all() -> None:
    made = rules_flag(release(predicate(value="free")), rollout(number=2, rollout_percentage=0), release(number=3))
    result = ask(made)
    assert facts(result) == (True, "targeting_match", 2)
    assert result.rule_id == made["filters"]["rules"][2]["id"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (rollout(rollout_percentage=0, on_rollout_miss="return_default"), (False, "rollout_miss", 0)),
        (rollout(rollout_percentage=0), (False, "no_rule_match", None)),
        (rollout(rollout_percentage=100), (True, "targeting_match", 0)),
        (rollout(predicate(value="x"), rollout_percentage=100), (False, "no_rule_match", None)),
        (experiment(paused=True, rollout_percentage=0), (False, "experiment_paused", 0)),
        (experiment(predicate(value="x"), paused=True), (False, "no_rule_match", None)),
        (
            experiment(
                rollout_percentage=100,
                paused=True,
                holdout=EVERYBODY_OUT,
            ),
            (False, "experiment_paused", 0),
        ),
        (
            experiment(rollout_percentage=100, holdout=EVERYBODY_OUT),
            (False, "holdout", 0),
        ),
    ],
)
def test_what_a_rule_answers(rule: dict[str, Any], expected: tuple[object, ...]) -> None:
    result = ask(rules_flag(rule))
    assert facts(result) == expected
    assert result.variant_key is None


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (release(), (True, "targeting_match", 0)),
        (rollout(rollout_percentage=100, on_rollout_miss="return_default"), (False, "rollout_miss", 0)),
        (experiment(rollout_percentage=100), (False, "no_rule_match", None)),
        (experiment(paused=True), (False, "experiment_paused", 0)),
        (
            experiment(holdout=EVERYBODY_OUT, on_rollout_miss="return_default"),
            (False, "rollout_miss", 0),
        ),
    ],
)
def test_an_empty_distinct_id_is_in_no_share(rule: dict[str, Any], expected: tuple[object, ...]) -> None:
    assert facts(ask(rules_flag(rule), "")) == expected


def test_assignments_go_by_the_seed_and_not_by_the_key() -> None:
    made = rules_flag(rollout(seed="beta-search", rollout_percentage=0.91))
    assert ask(made, "user-17").value is False
    made["filters"]["rules"][0]["rollout_percentage"] = 0.92
    assert ask(made, "user-17").value is True
    variants = [{"key": "a", "weight": 43.98, "value": "a"}, {"key": "b", "weight": 56.02, "value": "b"}]
    split = experiment(seed="example-split", rollout_percentage=100, variants=variants)
    assert ask(rules_flag(split, returns="string", default=None), "person-1").value == "b"
    held = {"id": None, "seed": "example-holdout", "exclusion_percentage": 57.23}
    assert ask(rules_flag(experiment(holdout=held)), "person-1").reason == "holdout"


def test_an_identifier_ends_after_200_characters() -> None:
    long = "🦔" * 200
    made = rules_flag(rollout(), returns="boolean")
    assert ask(made, long) == ask(made, long + "x")


def test_a_version_1_flag_keeps_its_assignments() -> None:
    old = flag("f", {"rollout_percentage": 37.5, "properties": []})
    new = rules_flag(rollout(seed="f", rollout_percentage=37.5))
    for number in range(200):
        person = f"u{number}"
        assert ask(old, person).value is ask(new, person).value


PREDICATES: list[tuple[dict[str, Any], dict[str, Any], object]] = [
    (predicate("is_not", "pro", negation=True), {"plan": "pro"}, True),
    (predicate("is_set"), {"plan": None}, True),
    (predicate("is_not_set", negation=True), {}, False),
    (predicate("exact", None), {"plan": None}, False),
    (predicate("exact", None, negation=True), {"plan": "x"}, True),
    (predicate("is_not", None, negation=True), {}, True),
    (predicate(None, ["pro", "team"]), {"plan": "team"}, True),
    (predicate("gt", 5), {"plan": 6}, True),
    (predicate("gt", "5"), {}, False),
    (predicate("gt", 5, negation=True), {}, True),
    (predicate("gt", 5), {"plan": "many"}, "missing_context"),
    (predicate("gt", 5, negation=True), {"plan": None}, "missing_context"),
    (predicate("gt", "many"), {"plan": 6}, "unsupported_definition"),
    (predicate("gt", "many"), {}, False),
    (predicate("regex", "["), {"plan": "x"}, "unsupported_definition"),
    (predicate("not_regex", "[", negation=True), {}, "unsupported_definition"),
    (predicate("regex", "^p", negation=True), {"plan": "pro"}, False),
    (predicate("semver_gt", "1.2.3"), {"plan": "nonsense"}, False),
    (predicate("semver_wildcard", "1.2.*"), {"plan": "1.2.9"}, True),
    (predicate("is_date_before", "2024-06-01"), {"plan": "2024-05-01"}, True),
    (predicate("is_date_before", "2024-06-01", negation=True), {"plan": "2024-05-01"}, False),
    (predicate("is_date_before", "2024-06-01"), {"plan": "nonsense"}, False),
    (predicate("not_icontains", "x", negation=True), {"plan": "X"}, True),
    (predicate("exact", "u1", "distinct_id"), {}, True),
]


@pytest.mark.parametrize(("given", "properties", "expected"), PREDICATES)
def test_predicates(given: dict[str, Any], properties: dict[str, Any], expected: object) -> None:
    result = ask(rules_flag(release(given)), person_properties=properties)
    assert (result.value if result.conclusive else result.reason) == expected


@pytest.mark.parametrize("operator", ["exact", "is_not", "is_set", "is_not_set", "icontains", "not_regex", "gt"])
def test_a_property_that_was_not_passed_is_an_error_for_every_operator(operator: str) -> None:
    made = rules_flag(release(predicate(operator, "1")), release(number=2))
    assert ask(made, properties_complete=False).reason == "missing_context"
    assert ask(made, person_properties=None).reason == "missing_context"
    assert ask(made).conclusive


def test_no_properties_at_all_are_an_error_even_for_the_distinct_id() -> None:
    made = rules_flag(release(predicate("exact", "u1", "distinct_id")))
    assert ask(made, person_properties=None).reason == "missing_context"
    assert ask(rules_flag(release()), person_properties=None).value is True


def test_the_first_predicate_that_decides_does() -> None:
    unknown, no = predicate(key="ghost"), predicate(value="free")
    partly: dict[str, Any] = {"person_properties": {"plan": "pro"}, "properties_complete": False}
    assert ask(rules_flag(release(no, unknown)), **partly).reason == "no_rule_match"
    assert ask(rules_flag(release(unknown, no)), **partly).reason == "missing_context"
    assert ask(rules_flag(release(), release(unknown, number=2)), **partly).value is True


def test_a_relative_date_is_compared_exactly() -> None:
    made = rules_flag(release(predicate("is_date_exact", "-1d")))
    asked: dict[str, Any] = {"distinct_id": "u1", "person_properties": {"plan": "2024-05-31T12:00:00Z"}, "now": NOW}
    assert FlagSet.parse(document(made)).evaluate("f", **asked).value is True


def test_a_time_that_the_zone_skips_is_no_match() -> None:
    made = rules_flag(release(predicate("is_date_after", "2024-03-31 02:30:00")))
    flag_set = FlagSet.parse(document(made), timezone="Europe/Berlin")
    result = flag_set.evaluate("f", distinct_id="u1", person_properties={"plan": "2025-01-01"})
    assert (result.value, result.reason) == (False, "no_rule_match")


def test_a_flag_with_conditions_that_depends_on_one_with_rules_is_inconclusive() -> None:
    depends = {"type": "flag", "key": "f", "operator": "flag_evaluates_to", "value": True, "dependency_chain": ["f"]}
    flag_set = FlagSet.parse(document(rules_flag(release()), flag("g", {"properties": [depends]})))
    assert flag_set.evaluate("g", distinct_id="u1").reason == "unresolved_dependency"
    assert flag_set.evaluate_all(distinct_id="u1", person_properties={})["g"].reason == "unresolved_dependency"


def test_what_was_decoded_by_the_caller_is_judged_by_its_text() -> None:
    source = json.dumps(document(rules_flag(rollout(rollout_percentage=777777)))).replace("777777", "33.3330000000")
    assert flag_set_of(json.loads(source), source, "UTC").evaluate("f", distinct_id="u1").conclusive is False
    repeated = json.dumps(document(rules_flag(release()))).replace('"rules"', '"rules": [], "rules"')
    assert flag_set_of(json.loads(repeated), repeated, "UTC").evaluate("f", distinct_id="u1").conclusive is False
    assert FlagSet.parse(json.loads(repeated)).evaluate("f", distinct_id="u1").conclusive is True


@pytest.mark.parametrize("seed", range(8))
def test_the_compiler_answers_as_the_plain_evaluator(seed: int) -> None:
    dice = random.Random(seed)
    flag_set = FlagSet.parse(json.dumps(rules.random_definitions(dice, 24)))
    plain = PlainEvaluator(flag_set._definitions)
    decided = 0
    for call in world.people(dice, 40):
        evaluated = EvaluatedPerson(Person(**call), NOW)
        expected = {key: plain.evaluate(key, evaluated) for key in flag_set.keys}
        assert flag_set.evaluate_all(**call, now=NOW) == expected
        assert {key: flag_set.evaluate(key, **call, now=NOW) for key in flag_set.keys} == expected
        assert {key: flag_set.explain(key, **call, now=NOW).result for key in flag_set.keys} == expected
        decided += sum(result.conclusive for result in expected.values())
    assert decided > 200


def test_seeds_are_in_no_text() -> None:
    held = {"id": None, "seed": "secret-holdout", "exclusion_percentage": 10}
    bad = rollout(number=2, assignment_algorithm="md5")
    for made in (rules_flag(rollout(PRO), experiment(number=2, holdout=held)), rules_flag(rollout(), bad)):
        explanation = FlagSet.parse(document(made)).explain("f", distinct_id="u1", person_properties={"plan": "pro"})
        assert "secret" not in str(explanation)
        assert "secret" not in repr(explanation)


def changed(*afterwards: dict[str, Any], before: tuple[dict[str, Any], ...]) -> Difference:
    return difference(document(rules_flag(*before)), document(rules_flag(*afterwards)))


def _words_of(found: Difference) -> list[str]:
    return [warning.partition(":")[0] for warning in found.warnings.get("f", ())]


CHANGES: list[tuple[tuple[dict[str, Any], ...], tuple[dict[str, Any], ...], list[str]]] = [
    ((release(PRO), release(PRO, number=2)), (release(PRO, number=2), release(PRO)), ["RULE_ORDER_CHANGES_TRAFFIC"]),
    ((release(PRO), release(number=2)), (release(), release(number=2)), ["UNREACHABLE_LOWER_RULE"]),
    (
        (rollout(on_rollout_miss="return_default"), release(number=2)),
        (rollout(), release(number=2)),
        ["ROLLOUT_MISS_CAN_ENTER_LOWER_RULE"],
    ),
    ((rollout(),), (rollout(seed="other"),), ["ASSIGNMENT_RESET_CHANGES_TRAFFIC"]),
    ((experiment(PRO),), (release(PRO),), ["CONCLUSION_EXPANDS_POPULATION"]),
    ((experiment(PRO),), (release(PRO, number=7),), ["CONCLUSION_EXPANDS_POPULATION"]),
    ((experiment(PRO),), (release(),), []),
    ((release(PRO),), (release(PRO, value=False),), []),
    ((rollout(number=2),), (release(PRO), rollout(number=2)), []),
]


@pytest.mark.parametrize(("before", "after", "warnings"), CHANGES)
def test_effects_of_a_change_are_named(
    before: tuple[dict[str, Any], ...], after: tuple[dict[str, Any], ...], warnings: list[str]
) -> None:
    found = changed(*after, before=before)
    assert _words_of(found) == warnings
    assert found.changed["f"]


def test_a_change_of_a_seed_is_told_without_the_seed() -> None:
    held = {"id": None, "seed": "secret-holdout", "exclusion_percentage": 10}
    found = changed(rollout(seed="secret-new"), experiment(number=2, holdout=held), before=(rollout(),))
    assert "secret" not in repr(found)
    assert "rule 1, seed: 'a seed' -> 'another seed'" in [str(change) for change in found.changed["f"]]


def test_a_value_with_a_member_named_seed_is_shown() -> None:
    before, after = [rules_flag(release(value={"seed": word}), returns="object") for word in ("one", "two")]
    change = difference(document(before), document(after)).changed["f"][0]
    assert (change.before, change.after) == ("one", "two")


def test_rules_are_described_in_words() -> None:
    held = {"id": None, "seed": "secret-holdout", "exclusion_percentage": 10}
    made = rules_flag(
        release(PRO, predicate("gt", 5, "age", negation=True)),
        rollout(number=2, on_rollout_miss="return_default"),
        experiment(number=3, holdout=held),
        experiment(number=4, paused=True),
    )
    described = describe_flags(document(made))["f"]
    assert described.conditions == (
        "plan is exactly 'pro' and not (age is greater than 5), all people, who get true",
        "50 % of people, who get true; the others get the default",
        "50 % of people, who get one of a (50 %): true, b (50 %): false"
        "; 10 % of people are held out and get the default",
        "all people, who get the default: the experiment is paused",
    )
    assert (described.kind, described.default) == ("boolean by rules", "false")
    assert described.rollout == "50 % of people and all who match"
    assert described.needs == ("person property 'plan'", "person property 'age'")
    assert "secret" not in repr(described)


@pytest.mark.parametrize("default", [None, False])
def test_a_broken_document_is_described_as_only_known_to_posthog(default: object) -> None:
    described = describe_flags(document(rules_flag(rollout(seed=""), default=default)))["f"]
    assert (described.rollout, described.default) == ("only known to PostHog", "only known to PostHog")
    assert described.only_posthog == ("a seed is not text of 1 to 400 characters",)


def test_explanations_tell_what_each_rule_did() -> None:
    made = rules_flag(release(predicate(value="x")), rollout(number=2, rollout_percentage=100), release(number=3))
    explanation = FlagSet.parse(document(made)).explain("f", distinct_id="u1", person_properties={"plan": "pro"})
    assert explanation.sentence == "Flag 'f' is True: rule 2 matches."
    assert [one.outcome for one in explanation.conditions] == ["no match", "match", "match"]
    assert [one.reached for one in explanation.conditions] == [True, True, False]
    assert [one.decisive for one in explanation.conditions] == [False, True, False]
    missing = FlagSet.parse(document(made)).explain("f", distinct_id="u1")
    assert (missing.result.reason, missing.missing) == ("missing_context", ("person property 'plan'",))
    empty = FlagSet.parse(document(rules_flag(default=None))).explain("f", distinct_id="u1")
    assert empty.sentence == "Flag 'f' has no value of its own, so your default is used: no rule matches."
