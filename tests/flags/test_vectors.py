"""The golden cases: every `expect` holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hogbox.flags import FlagResult, FlagSet
from tests.flags import vectors


def _answer(result: FlagResult) -> str:
    # As JSON text: 1, 1.0 and true are three payloads, and Python's == does not see it.
    return json.dumps(
        {"value": result.value, "payload": result.payload, "conclusive": result.conclusive}, sort_keys=True
    )


# The golden cases are of evaluators that know conditions only. Its document is one of rules v2, which decides it.
RULES = "rules config"


def _holds(case: dict[str, Any], result: FlagResult) -> bool:
    if case["key"] == RULES:
        return (result.value, result.reason, result.config_version) == (False, "no_rule_match", 2)
    if case.get("lenient") and result.conclusive:
        return bool(result.value == case["server"])
    return _answer(result) == json.dumps(case["expect"], sort_keys=True)


def test_p7_all_golden_cases_are_there() -> None:
    assert sum(len(content["cases"]) for content in vectors.files().values()) == 31_812


@pytest.mark.parametrize("name", vectors.files())
def test_p7_golden_cases_hold(name: str) -> None:
    content = vectors.files()[name]
    flag_set = FlagSet.parse(content["definitions"])
    failures = []
    for case in content["cases"]:
        result = flag_set.evaluate(case["key"], **vectors.call_of(case))
        if not _holds(case, result):
            failures.append((case, result))
    assert not failures, f"{len(failures)} differ, the first: {failures[0]}"


@pytest.mark.parametrize("name", vectors.files())
def test_p7_golden_cases_hold_for_all_flags_at_once(name: str) -> None:
    content = vectors.files()[name]
    flag_set = FlagSet.parse(json.dumps(content["definitions"]))
    people: dict[str, list[dict[str, Any]]] = {}
    for case in content["cases"]:
        people.setdefault(json.dumps(vectors.call_of(case)), []).append(case)
    for call, cases in people.items():
        known = [case for case in cases if case["key"] in flag_set.keys]
        results = flag_set.evaluate_all(**json.loads(call))
        assert all(_holds(case, results[case["key"]]) for case in known), call


@pytest.mark.parametrize("name", vectors.files())
def test_golden_reasons_hold_where_there_is_a_value(name: str) -> None:
    content = vectors.files()[name]
    flag_set = FlagSet.parse(content["definitions"])
    for case in content["cases"]:
        result = flag_set.evaluate(case["key"], **vectors.call_of(case))
        if case["expect"]["conclusive"]:
            assert (result.reason, result.condition_index) == (case["reason"], case.get("condition_index")), case


@pytest.mark.skipif(not vectors.SHARED.exists(), reason="the shared originals are not beside this checkout")
def test_the_packed_golden_cases_are_the_shared_ones() -> None:
    assert vectors.files() == vectors.originals()
