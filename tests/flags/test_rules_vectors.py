"""The cases of the contract for flags with rules, which lie beside the repository where it is built."""

from __future__ import annotations

import json
import math
import struct
from datetime import datetime
from typing import Any

import pytest

from hogbox.flags import FlagResult, FlagSet
from hogbox.flags._bucket import digest
from hogbox.flags._definition import DefinitionsDocument
from hogbox.flags._evaluator import PlainEvaluator
from hogbox.flags._flag_set import zone_of
from hogbox.flags._person import EvaluatedPerson, Person
from hogbox.flags._rules.flag import RulesFlag
from tests.flags import vectors

FOLDER = vectors.SHARED / "rules-v2"
CORPORA = ("v2_boolean_evaluation", "v2_value_evaluation", "v2_experiment_evaluation")

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the shared corpora are not beside this checkout")

ERRORS = {"missing_context": {"missing_context"}, "invalid_regex": {"unsupported_definition"}}
ERRORS["invalid_property"] = {"missing_context", "unsupported_definition"}


def corpus(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_bytes())
    return content


def cases() -> list[Any]:
    names = CORPORA if FOLDER.exists() else ()
    return [pytest.param(case, id=case["id"]) for name in names for case in corpus(name)["cases"]]


def document_of(case: dict[str, Any]) -> bytes:
    flag = {"id": 1, **case["flag"], "filters": case["config"]}
    version = 2 if case["context"]["explicit_exact_matching"] else 1
    return json.dumps({"flags": [flag], "cohorts": {}, "property_matching_version": version}).encode()


def person_of(case: dict[str, Any]) -> Person:
    context = case["context"]
    return Person(
        context["identifier"],
        person_properties=context["properties"],
        properties_complete=context["properties_complete"],
    )


def check(case: dict[str, Any], result: FlagResult) -> None:
    expected = case["expected"]
    if expected["status"] == "parse_error":
        assert (result.conclusive, result.reason) == (False, "unsupported_definition")
        return
    if expected["status"] == "error":
        assert not result.conclusive
        assert result.reason in ERRORS[expected["error"]]
        return
    if expected["status"] == "omitted":
        assert (result.conclusive, result.reason, result.value) == (True, "flag_disabled", None)
        return
    rule = expected.get("rule", {})
    assert json.dumps(result.value, sort_keys=True) == json.dumps(expected["value"], sort_keys=True)
    assert (result.conclusive, result.reason, result.config_version) == (True, expected["reason"], 2)
    assert (result.rule_id, result.rule_type) == (rule.get("id"), rule.get("rule_type"))
    assert (result.condition_index, result.variant_key) == (rule.get("index"), None)
    if "legacy" in case:
        seen = {name: getattr(result, name) for name in ("enabled", "variant", "payload")}
        payload = None if seen["payload"] is None else json.dumps(seen["payload"], sort_keys=True)
        legacy = case["legacy"]
        wanted = None if legacy["payload"] is None else json.dumps(_decoded(legacy["payload"]), sort_keys=True)
        assert (seen["enabled"], seen["variant"], result.legacy_value, payload) == (
            legacy["enabled"],
            legacy["variant"],
            legacy["value"],
            wanted,
        )


def _decoded(payload: Any) -> Any:
    return json.loads(payload) if isinstance(payload, str) else payload


def read(case: dict[str, Any]) -> DefinitionsDocument:
    return DefinitionsDocument.read(document_of(case), zone_of(case["context"]["timezone"]))


@pytest.mark.parametrize("case", cases())
def test_cases_of_the_contract(case: dict[str, Any]) -> None:
    if "white_box" in case:
        pytest.skip("it replaces hashes, as a test below does")
    flag_set = FlagSet.parse(document_of(case), timezone=case["context"]["timezone"])
    key, context, now = case["flag"]["key"], case["context"], datetime.fromisoformat(case["context"]["now"])
    asked = {
        "distinct_id": context["identifier"],
        "person_properties": context["properties"],
        "properties_complete": context["properties_complete"],
    }
    if not case["flag"]["requested"]:
        return
    check(case, flag_set.evaluate(key, **asked, now=now))
    check(case, flag_set.explain(key, **asked, now=now).result)
    check(case, flag_set.evaluate_all(**asked, now=now)[key])
    plain = PlainEvaluator(read(case))
    check(case, plain.evaluate(key, EvaluatedPerson(person_of(case), now)))


@pytest.mark.parametrize("case", cases())
def test_the_hashes_of_the_contract_are_drawn_and_no_others(case: dict[str, Any]) -> None:
    drawn: list[bytes] = []
    given = case.get("white_box", {}).get("hash01_binary64_hex")

    def hashed(text: bytes) -> bytes:
        drawn.append(text)
        return digest(text) if given is None else _digest(given)

    definitions = read(case)
    flag = PlainEvaluator(definitions).flag(case["flag"]["key"])
    assert isinstance(flag, RulesFlag)
    person = EvaluatedPerson(person_of(case), datetime.fromisoformat(case["context"]["now"]))
    decision = flag.decide(person, hashed)
    if given is not None:
        check(case, flag.result(decision))
        return
    if "hash_evidence" not in case and not case["id"].startswith("v2_experiment."):
        return
    evidence = case.get("hash_evidence", [])
    listed = evidence if isinstance(evidence, list) else [evidence]
    assert drawn == [bytes.fromhex(one["input_utf8_hex"]) for one in listed if one["identifier"]]


def _digest(hexadecimal: str) -> bytes:
    """A hash that falls at this fraction."""
    share = struct.unpack(">d", bytes.fromhex(hexadecimal))[0]
    # The smallest fractions above 0 are no hash: the next one is as good.
    bucket: int = min(math.ceil(share * 2**60), 2**60 - 1)
    return (bucket << 4).to_bytes(8, "big") + bytes(12)
