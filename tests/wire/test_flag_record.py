"""What a reader makes of typed records: the corpus where it is beside the checkout, and cases of our own."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from hogbox._client.remote import facts_of, result_of
from hogbox._events.attribution import attribute
from hogbox._wire.flags import FlagsAnswer, read_answer

CORPUS = Path(__file__).parents[3] / "shared" / "vectors" / "rules-v2"

RULE = "9b1f8a52-5a0e-4c1d-8f43-6f2f6a4f0c11"

SENT_BY_NEWER_CONTRACTS = {"readers.partial_split_missing_experiment_id"}
"""Cases of an older contract: events no longer name the experiment, so that its id is not needed."""


def corpus(name: str) -> dict[str, Any]:
    path = CORPUS / name
    if not path.exists():
        pytest.skip(f"needs {name}, which is not beside this checkout")
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def read(document: object) -> FlagsAnswer:
    answer = read_answer(200, json.dumps(document).encode())
    assert isinstance(answer, FlagsAnswer)
    return answer


def place(document: Any, pointer: str) -> tuple[Any, str]:
    *path, last = pointer.strip("/").split("/")
    for name in path:
        document = document[name]
    return document, last


def made(case: dict[str, Any], templates: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = copy.deepcopy(templates[case["template"]])
    for pointer, value in case.get("set", {}).items():
        inside, name = place(document, pointer)
        inside[name] = value
    for pointer in case.get("remove", ()):
        inside, name = place(document, pointer)
        del inside[name]
    return document


def test_the_corpus_of_readers() -> None:
    found = corpus("readers.json")
    for case in found["cases"]:
        answer, expected = read(made(case, found["templates"])), case["reader"]
        record = answer.flags.get(expected["requested_key"])
        result = None if record is None else result_of(record)
        value = None if result is None else result.value
        assert (expected["caller_default"] if value is None else value) == expected["value"], case["id"]
        facts = facts_of(record, answer)
        config = record.config_version if record else None
        assert config == expected["config_version"], case["id"]
        exposed = facts.attribution is not None and facts.attribution.is_split
        wanted = True if case["id"] in SENT_BY_NEWER_CONTRACTS else expected["experiment_exposure"]
        assert exposed is wanted, case["id"]
        error = record.error if record else None
        assert (error == "unknown_error") is (expected["error_code"] == "PARSE_ERROR"), case["id"]
        assert (error == "evaluation_failed") is (expected["error_code"] == "GENERAL"), case["id"]
        for key in case.get("sibling_expectations", {}):
            assert answer.flags[key].error == "unknown_error", case["id"]


def test_the_corpus_of_presence() -> None:
    for row in corpus("response_presence.json")["rows"]:
        told = attribute(row["reason"], row.get("rule_type"), RULE, "arm", failed=row["failed"])
        standalone = row.get("standalone") and row["reason"] == "targeting_match"
        named = "rule_id" in row["required"] and not standalone
        assert (told.rule_id is not None) is named, row
        assert (told.variant_key is not None) is ("variant_key" in row["required"]), row


def typed(value: Any, **metadata: Any) -> dict[str, Any]:
    given = {"id": 1, "version": 2, "config_version": 2, **metadata}
    return {
        "key": "other",
        "value": value,
        "reason": {"code": "targeting_match", "condition_index": 0},
        "metadata": given,
    }


@pytest.mark.parametrize("value", [True, False, "", "text", 0, 1, 2.5, -7, {}, {"a": [1, {"b": None}]}])
def test_typed_values_are_kept(value: Any) -> None:
    record = read({"flags": {"a": typed(value)}}).flags["a"]
    assert (record.key, record.value, type(record.value), record.decided) == ("a", value, type(value), True)


@pytest.mark.parametrize(
    "record",
    [
        7,
        None,
        [],
        {"value": []},
        {"value": float("nan")},
        {"value": float("inf")},
        {"value": {"a": [float("nan")]}},
        {"value": True, "failed": "yes"},
        {"value": True, "reason": "x"},
        {"value": True, "reason": {"code": 7}},
        {"value": True, "reason": {"condition_index": "0"}},
        {"value": True, "metadata": []},
        typed(value=True, id="1"),
        typed(value=True, id=1.5),
        typed(value=True, id=True),
        typed(value=True, config_version="2"),
        typed(value=True, has_experiment=1),
        typed(value=True, rule_id=7),
        {"enabled": 1},
        {"enabled": True, "variant": 7},
    ],
)
def test_a_malformed_record_spoils_no_other(record: Any) -> None:
    answer = read({"flags": {"bad": record, "good": typed(value="x")}, "requestId": "r", "evaluatedAt": 7})
    bad, facts = answer.flags["bad"], facts_of(answer.flags["bad"], answer)
    assert (bad.value, bad.malformed, bad.decided, bad.error) == (None, True, False, "unknown_error")
    assert (facts.error, facts.request_id, facts.evaluated_at) == ("unknown_error", None, None)
    assert answer.flags["good"].value == "x"


@pytest.mark.parametrize("nothing", [None, "absent"])
def test_null_and_absent_are_the_same(nothing: str | None) -> None:
    metadata = dict.fromkeys(("has_experiment", "rule_type", "rule_id", "variant_key"))
    record = typed(True, **(metadata if nothing is None else {}))
    assert read({"flags": {"a": record}}).flags["a"] == read({"flags": {"a": typed(value=True)}}).flags["a"]


def test_a_default_that_is_null_is_decided() -> None:
    for code, decided in (("no_rule_match", True), ("holdout", True), ("missing_group_key", False), ("new", False)):
        record = {**typed(None), "reason": {"code": code}}
        assert read({"flags": {"a": record}}).flags["a"].decided is decided
    assert read({"flags": {"a": {"value": None}}}).flags["a"].decided is False


def test_a_payload_that_only_a_personal_key_opens_is_none() -> None:
    for marker in ("********* (encrypted)", '"********* (encrypted)"'):
        answer = read({"flags": {"a": {"enabled": True, "metadata": {"payload": marker}}}})
        assert result_of(answer.flags["a"]).payload is None


def test_a_flag_with_rules_has_no_payload_but_its_value() -> None:
    answer = read({"flags": {"a": typed("x", payload='{"b": 1}'), "b": typed({"c": 1}, payload='{"b": 1}')}})
    assert [result_of(answer.flags[key]).payload for key in "ab"] == [None, {"c": 1}]


@pytest.mark.parametrize(
    ("reason", "rule_type", "rule_id", "variant", "told"),
    [
        ("targeting_match", "targeted_release", RULE, None, (RULE, "targeted_release", None)),
        ("targeting_match", "targeted_release", RULE.upper(), "x", (RULE.upper(), "targeted_release", None)),
        ("targeting_match", "experiment", RULE, "x", (None, None, None)),
        ("experiment_split", "experiment", RULE, "", (RULE, "experiment", "")),
        ("experiment_split", "experiment", RULE, None, (None, None, None)),
        ("experiment_split", "experiment", RULE.replace("-", ""), "x", (None, None, None)),
        ("experiment_split", "experiment", "{" + RULE + "}", "x", (None, None, None)),
        ("holdout", "experiment", RULE, "x", (RULE, "experiment", None)),
        ("new_reason", "experiment", RULE, "x", (None, None, None)),
        (None, "experiment", RULE, "x", (None, None, None)),
    ],
)
def test_what_events_tell_of_a_rule(
    reason: str | None, rule_type: str, rule_id: str, variant: str | None, told: tuple[str | None, ...]
) -> None:
    assert attribute(reason, rule_type, rule_id, variant, failed=False)[1:] == told
    assert attribute(reason, rule_type, rule_id, variant, failed=True) == (reason, None, None, None)
