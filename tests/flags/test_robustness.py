"""No definitions and no properties make parse, evaluate or explain raise or take long."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hogbox.errors import DefinitionsError
from hogbox.flags import FlagResult, FlagSet
from tests.flags.strategies import CALLS, DOCUMENTS, JSON, THINGS

LIMIT = 0.05 if sys.gettrace() is None else 0.5
"""Seconds for one flag, compiled and evaluated; more where coverage is measured, which slows all down."""

SLOWER = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


def _flag(*filters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"key": "f", "active": True, "filters": {"groups": [{"properties": list(filters)}], **more}}


def _filter(operator: str, value: object, kind: str = "person") -> dict[str, Any]:
    return {"key": "p", "type": kind, "operator": operator, "value": value}


def _fastest(document: dict[str, Any], key: str, **call: Any) -> tuple[float, FlagResult]:
    """A first evaluation, or the better of two. Other work on the machine does not count."""
    best = float("inf")
    while True:
        flag_set = FlagSet.parse(document)
        start = time.thread_time()
        result = flag_set.evaluate(key, **call)
        seconds = time.thread_time() - start
        if seconds < LIMIT or best < float("inf"):
            return min(best, seconds), result
        best = seconds


@SLOWER
@given(st.one_of(JSON, THINGS, st.binary(), st.text()))
def test_parse_takes_a_document_or_raises_the_documented_error(document: Any) -> None:
    with suppress(DefinitionsError):
        assert FlagSet.parse(document).keys == ()


@SLOWER
@given(
    st.fixed_dictionaries({"flags": st.lists(JSON, max_size=4)}, optional={"cohorts": JSON, "group_type_mapping": JSON})
)
def test_junk_inside_of_a_document_raises_the_documented_error_or_nothing(document: dict[str, Any]) -> None:
    try:
        flag_set = FlagSet.parse(document)
    except DefinitionsError:
        return
    for key, result in flag_set.evaluate_all(distinct_id="u1").items():
        assert result.value in (None, False)
        assert str(flag_set.explain(key, distinct_id="u1"))


@SLOWER
@given(DOCUMENTS, CALLS)
def test_p7_whatever_is_defined_and_passed_gives_an_answer_soon(document: dict[str, Any], call: dict[str, Any]) -> None:
    for key in ("f0", "f1", "f2"):
        seconds, result = _fastest(document, key, **call)
        assert seconds < LIMIT
        explanation = FlagSet.parse(document).explain(key, **call)
        assert explanation.result == result
        assert str(explanation)
        assert (explanation.possible is not None and len(explanation.possible) == 1) == result.conclusive
        _ = result.payload
    flag_set = FlagSet.parse(document)
    first = flag_set.evaluate_all(**call)
    for _ in range(20):
        assert flag_set.evaluate_all(**call) == first


@SLOWER
@given(DOCUMENTS, CALLS)
def test_p7_a_flag_is_what_it_is_whichever_is_asked_for_first(document: dict[str, Any], call: dict[str, Any]) -> None:
    together = FlagSet.parse(document).evaluate_all(**call)
    backwards = FlagSet.parse(document).evaluate_all(**call, keys=["f2", "f1", "f0"])
    for key, result in together.items():
        assert backwards[key] == result
        assert FlagSet.parse(document).evaluate(key, **call) == result


@SLOWER
@given(DOCUMENTS, CALLS, st.data())
def test_p7_what_is_conclusive_stays_so_whatever_else_is_known(
    document: dict[str, Any], call: dict[str, Any], data: Any
) -> None:
    # Passing more cannot contradict an answer that was called certain.
    flag_set = FlagSet.parse(document)
    more = data.draw(st.dictionaries(st.sampled_from(["a", "b", "ü", ""]), JSON, max_size=4))
    known = {**call, "person_properties": {**more, **call.get("person_properties", {})}}
    for key in ("f0", "f1", "f2"):
        before, after = flag_set.evaluate(key, **call), flag_set.evaluate(key, **known)
        if before.conclusive and after.conclusive:
            assert before.value == after.value


CATASTROPHES = {
    "nested quantifiers": ("(a+)+$", "a" * 5_000 + "b"),
    "nested stars": ("(a*)*b", "a" * 5_000),
    "overlapping branches": ("(a|aa)+$", "a" * 5_000 + "b"),
    "many optional": ("a?" * 60 + "a" * 60, "a" * 59),
    "stars in a row": ("a*" * 100 + "b", "a" * 5_000),
    "quadratic": ("a+b", "a" * 1_000_000),
    "counted": ("(((a{1,250}){1,250}){1,250})b", "a" * 5_000),
    "many states": ("(a|b)*a" + "(a|b)" * 60, "ab" * 2_000),
    "many characters": ("(.|x)*y", "".join(map(chr, range(0x4E00, 0x8E00)))),
    "a long pattern": ("(a|b)?" * 300, "c" * 5_000),
    "a pattern too long": ("a" * 1_000_000, "a"),
    "deep groups": ("(" * 1_000_000 + ")" * 1_000_000, "a"),
    "a long class": ("[" + "a-z" * 600 + "]+$", "a" * 5_000 + "1"),
    "words": (r"\w+@\w+\.\w+$", "é" * 100_000),
}


@pytest.mark.parametrize("name", CATASTROPHES)
@pytest.mark.parametrize("operator", ["regex", "not_regex"])
def test_no_pattern_hangs(name: str, operator: str) -> None:
    pattern, text = CATASTROPHES[name]
    document = {"flags": [_flag(_filter(operator, pattern))]}
    seconds, _ = _fastest(document, "f", distinct_id="u1", person_properties={"p": text})
    assert seconds < LIMIT


@pytest.mark.parametrize("text", ["a" * 1_000_000, "é" * 1_000_000, "1" * 1_000_000, "1." * 500_000, " " * 1_000_000])
@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("exact", "a"),
        ("exact", ["a", "b"]),
        ("icontains", "B"),
        ("icontains_multi", ["b", "É"]),
        ("ends_with", "b"),
        ("regex", "b$"),
        ("regex", "[bc]$"),
        ("not_regex", r"\s"),
        ("gt", 5),
        ("between", [1, 2]),
        ("is_date_after", "2024-01-01"),
        ("is_date_before", "-3d"),
        ("semver_gt", "1.2.3"),
        ("semver_wildcard", "1.*"),
    ],
)
def test_a_property_of_a_million_characters_is_no_matter(operator: str, value: object, text: str) -> None:
    document = {"flags": [_flag(_filter(operator, value))]}
    seconds, _ = _fastest(document, "f", distinct_id=text, person_properties={"p": text})
    assert seconds < LIMIT
    explanation = FlagSet.parse(document).explain("f", distinct_id="u1", person_properties={"p": text})
    assert len(str(explanation)) < 1_000


def _shared_lists() -> list[Any]:
    value: list[Any] = []
    for _ in range(60):
        value = [value, value]
    return value


def _circle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def _deep() -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(100_000):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "value",
    [_shared_lists(), _circle(), _deep(), list(range(1_000_000))],
    ids=["shared", "circle", "deep", "long"],
)
@pytest.mark.parametrize("operator", ["exact", "icontains", "regex", "gt", "is_date_after", "semver_eq"])
def test_a_property_without_bounds_is_unknown(operator: str, value: object) -> None:
    document = {"flags": [_flag(_filter(operator, "2024-01-01" if "date" in operator else "1"))]}
    seconds, result = _fastest(document, "f", distinct_id="u1", person_properties={"p": value})
    assert seconds < LIMIT
    assert result.reason == "missing_context"


@pytest.mark.parametrize("value", [_shared_lists(), _circle(), _deep()], ids=["shared", "circle", "deep"])
@pytest.mark.parametrize("operator", ["exact", "icontains", "regex", "gt", "is_date_after", "semver_eq"])
def test_a_filter_without_bounds_is_unknown(operator: str, value: object) -> None:
    seconds, result = _fastest(
        {"flags": [_flag(_filter(operator, value))]}, "f", distinct_id="u1", person_properties={"p": 1}
    )
    assert seconds < LIMIT
    assert result.reason == "unsupported_definition"


def test_cohorts_that_lead_to_one_another_are_unknown() -> None:
    def refer(*numbers: int) -> dict[str, Any]:
        return {"type": "OR", "values": [{"type": "cohort", "value": number} for number in numbers]}

    cohorts: dict[str, Any] = {"1": refer(2), "2": refer(1), "3": refer(3), "4": refer(1)}
    # A tower in which each floor stands on the next one twice, and a chain that is too long.
    cohorts |= {str(number): refer(number + 1, number + 1) for number in range(100, 140)}
    cohorts["140"] = {"type": "AND", "values": []}
    cohorts |= {str(number): refer(number + 1) for number in range(1_000, 3_000)}
    for number, value in (
        (1, None),
        (2, None),
        (3, None),
        (4, None),
        (100, True),
        (1_000, None),
        (2_990, None),
    ):
        document = {"flags": [_flag(_filter("in", number, "cohort"))], "cohorts": cohorts}
        seconds, result = _fastest(document, "f", distinct_id="u1")
        assert (seconds < LIMIT, result.value) == (True, value), number


def test_cohorts_without_bounds_are_unknown() -> None:
    entry: dict[str, Any] = {"type": "AND", "values": []}
    for _ in range(45):
        entry = {"type": "OR", "values": [entry, entry]}
    deep: dict[str, Any] = {"type": "AND", "values": []}
    for _ in range(100_000):
        deep = {"type": "AND", "values": [deep]}
    for cohort in (entry, deep):
        document = {"flags": [_flag(_filter("in", 1, "cohort"))], "cohorts": {"1": cohort}}
        seconds, result = _fastest(document, "f", distinct_id="u1")
        assert seconds < LIMIT
        assert result.reason == "unsupported_definition"


def _depending(key: str, *targets: str) -> dict[str, Any]:
    filters = [
        {
            "key": target,
            "type": "flag",
            "operator": "flag_evaluates_to",
            "value": True,
            "dependency_chain": [target],
        }
        for target in targets
    ]
    return {"key": key, "active": True, "filters": {"groups": [{"properties": filters}]}}


def test_dependencies_that_lead_to_one_another_are_unknown() -> None:
    flags = [
        _depending("a", "b"),
        _depending("b", "c"),
        _depending("c", "a"),
        _depending("outside", "a"),
        _depending("self", "self"),
    ]
    for key in ("a", "b", "c", "outside", "self"):
        seconds, result = _fastest({"flags": flags}, key, distinct_id="u1")
        assert seconds < LIMIT
        assert result.reason == "unresolved_dependency"


def test_a_chain_of_dependencies_is_followed_up_to_a_length() -> None:
    flags = [_depending(f"f{number}", f"f{number + 1}") for number in range(5_000)]
    flags.append({"key": "f5000", "active": True, "filters": {"groups": [{}]}})
    assert _fastest({"flags": flags}, "f4900", distinct_id="u1")[1].value is True
    seconds, result = _fastest({"flags": flags}, "f0", distinct_id="u1")
    assert seconds < LIMIT
    assert result.reason == "unresolved_dependency"


def test_a_web_of_dependencies_is_walked_once() -> None:
    flags = [_depending(f"f{number}", f"f{number + 1}", f"f{number + 1}") for number in range(100)]
    flags.append({"key": "f100", "active": True, "filters": {"groups": [{}]}})
    seconds, result = _fastest({"flags": flags}, "f0", distinct_id="u1")
    assert (seconds < LIMIT, result.value) == (True, True)


def test_documents_nested_too_deep_to_read_are_refused() -> None:
    with pytest.raises(DefinitionsError):
        FlagSet.parse("[" * 200_000)
    with pytest.raises(DefinitionsError):
        FlagSet.parse('{"flags": [' + "[" * 200_000 + "]" * 200_000 + "]}")


def test_a_payload_that_cannot_be_copied_is_given_as_it_is() -> None:
    payload = {"unlike": {1, 2}}
    flag_set = FlagSet.parse({"flags": [_flag(payloads={"true": payload})]})
    assert flag_set.evaluate("f", distinct_id="u1").payload is payload


def test_a_payload_belongs_to_the_caller() -> None:
    flag_set = FlagSet.parse(json.dumps({"flags": [_flag(payloads={"true": {"a": [1]}})]}))
    flag_set.evaluate("f", distinct_id="u1").payload["a"].append(2)
    assert flag_set.evaluate("f", distinct_id="u1").payload == {"a": [1]}


def test_a_list_of_any_length_is_compared() -> None:
    people = [f"person-{number}@example.com" for number in range(200_000)]
    flags = [_flag(_filter("exact", people)), {**_flag(_filter("is_not", people)), "key": "others"}]
    flag_set = FlagSet.parse({"flags": flags})
    for email, member in ((people[-1].upper(), True), ("nobody@example.com", False)):
        for _ in range(2):
            answers = flag_set.evaluate_all(distinct_id="u1", person_properties={"p": email})
            assert (answers["f"].value, answers["others"].value) == (member, not member)
    assert _fastest_again(flag_set, people[-1]) < LIMIT


def _fastest_again(flag_set: FlagSet, value: object) -> float:
    seconds = []
    for _ in range(3):
        start = time.thread_time()
        flag_set.evaluate("f", distinct_id="u1", person_properties={"p": value})
        seconds.append(time.thread_time() - start)
    return min(seconds)


def test_a_cohort_of_many_entries_is_answered() -> None:
    entries = [{"key": "p", "type": "person", "operator": "exact", "value": f"v{number}"} for number in range(20_000)]
    document = {
        "flags": [_flag(_filter("in", 1, "cohort"))],
        "cohorts": {"1": {"type": "OR", "values": entries}},
    }
    flag_set = FlagSet.parse(document)
    for value, member in (("v19999", True), ("w", False)):
        assert flag_set.evaluate("f", distinct_id="u1", person_properties={"p": value}).value is member


def _costly(count: int, key: str = "f", pattern: str = "[ab]*a[ab]*b[ab]*c{}") -> dict[str, Any]:
    filters = [{**_filter("not_regex", pattern.format(number)), "key": f"p{number}"} for number in range(count)]
    return {**_flag(*filters), "key": key}


_COSTLY_TEXT = "ab" * 30
_COSTLY_PROPERTIES = {f"p{number}": _COSTLY_TEXT for number in range(20_000)}


@pytest.mark.parametrize("pattern", ["[ab]*a[ab]*b[ab]*c{}", "(a|b)*a(a|b){{12}}c{}", "x{}y?"])
def test_the_filters_of_one_flag_have_a_budget(pattern: str) -> None:
    flag_set = FlagSet.parse({"flags": [_costly(20_000, pattern=pattern)]})
    for _ in range(2):
        start = time.thread_time()
        result = flag_set.evaluate("f", distinct_id="u1", person_properties=_COSTLY_PROPERTIES)
        assert time.thread_time() - start < 2.5
        assert (result.value, result.reason) == (None, "evaluation_limit")
    explanation = flag_set.explain("f", distinct_id="u1", person_properties=_COSTLY_PROPERTIES)
    assert "take too long" in explanation.sentence


def test_a_flag_of_a_usual_size_whose_patterns_are_too_long_has_the_budget_too() -> None:
    long = "x" * 1_950
    flag_set = FlagSet.parse({"flags": [_costly(18, "few", long + "{}"), _costly(3, "fewer", long + "{}")]})
    for _ in range(2):
        results = [
            flag_set.evaluate(key, distinct_id="u1", person_properties=_COSTLY_PROPERTIES) for key in flag_set.keys
        ]
        assert [result.reason for result in results] == ["evaluation_limit", "condition_match"]


def test_flags_that_use_up_the_budget_leave_the_others_theirs() -> None:
    plain = [
        {**_flag({**_filter("regex", r"^[a-z.]+@example\.(com|org)$"), "key": "email"}), "key": "regex"},
        {**_flag({**_filter("exact", "x"), "key": "email"}), "key": "exact"},
        {**_flag(_filter("in", 1, "cohort")), "key": "cohort"},
    ]
    costly = [_costly(2_000, f"costly{number}") for number in range(5)]
    entry = {"key": "email", "type": "person", "operator": "regex", "value": "^[a-z]+@"}
    flag_set = FlagSet.parse({"flags": [*costly, *plain], "cohorts": {"1": {"type": "AND", "values": [entry]}}})
    properties = {**_COSTLY_PROPERTIES, "email": "ann@example.com"}
    for _ in range(20):
        answers = flag_set.evaluate_all(distinct_id="u1", person_properties=properties)
        assert [answers[flag["key"]].reason for flag in costly] == ["evaluation_limit"] * 5
        assert [answers[key].value for key in ("regex", "exact", "cohort")] == [True, False, True]


@pytest.mark.parametrize("value", ["Zé" * 500_000, ["x"] * 9_000, {"a": ["x"] * 9_000}])
def test_large_values_count_for_each_filter_that_looks_at_them(value: object) -> None:
    filters = [_filter("is_not", f"x{number}") for number in range(600)]
    flag_set = FlagSet.parse({"flags": [_flag(*filters)]})
    for _ in range(2):
        start = time.thread_time()
        result = flag_set.evaluate("f", distinct_id="u1", person_properties={"p": value})
        assert time.thread_time() - start < 1
        assert (result.value, result.reason) == (None, "evaluation_limit")
