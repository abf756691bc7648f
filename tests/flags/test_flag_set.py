"""The public face: parsing, arguments, results."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from typing import Any, get_type_hints

import pytest

import hogbox.flags
from hogbox.errors import ConfigurationError, DefinitionsInvalid, DefinitionsUnparsable, InvalidPerson
from hogbox.flags import FlagResult, FlagSet, FlagValue, Reason
from tests.flags import vectors
from tests.flags.samples import condition, document, flag, person_filter

ON = flag("on")


def test_the_public_names_are_these() -> None:
    assert hogbox.flags.__all__ == [
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


@pytest.mark.parametrize("name", [name for name in hogbox.flags.__all__ if name not in ("MISSING", "FlagValue")])
def test_public_classes_show_the_module_that_users_import_them_from(name: str) -> None:
    public = getattr(hogbox.flags, name)
    assert public.__module__ == "hogbox.flags"
    assert repr(public).endswith(f" 'hogbox.flags.{name}'>" if name != "Reason" else "<enum 'Reason'>")
    get_type_hints(public)


def test_results_and_explanations_can_be_pickled_and_copied() -> None:
    flag_set = FlagSet.parse(document(flag("f", condition(person_filter("plan", "exact", "pro")))))
    result = flag_set.evaluate("f", distinct_id="u1", person_properties={"plan": "pro"})
    explanation = flag_set.explain("f", distinct_id="u1", person_properties={"plan": "pro"})
    for value in (result, result.reason, explanation):
        assert pickle.loads(pickle.dumps(value)) == value
        assert copy.deepcopy(value) == value
    assert b"hogbox.flags._" not in pickle.dumps(result)


def test_the_package_alone_loads_neither_a_database_nor_a_network_library() -> None:
    code = (
        "import sys; from hogbox.flags import FlagSet; "
        "FlagSet.parse('{\"flags\": []}').evaluate_all(distinct_id='u1'); "
        "heavy = {'sqlalchemy', 'httpx2', 'msgspec', 'sqlite3', 'asyncio'}; "
        "print(sorted(heavy.intersection(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "encode",
    [
        dict,
        json.dumps,
        lambda body: json.dumps(body).encode(),
        lambda body: bytearray(json.dumps(body).encode()),
    ],
)
def test_a_document_may_be_text_bytes_or_decoded(encode: Any) -> None:
    assert FlagSet.parse(encode(document(ON))).evaluate("on", distinct_id="u1").value is True


@pytest.mark.parametrize("body", ["", "{", b"\xff\xfe\xff", '{"flags": [], "x": NaN}', "flags"])
def test_what_is_not_json_is_refused(body: str | bytes) -> None:
    with pytest.raises(DefinitionsUnparsable, match="not JSON"):
        FlagSet.parse(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "not a list"),
        (None, "not null or absent"),
        ("[]", "not a list"),
        (5, "not of the type int"),
        ({}, "`flags` .* not null or absent"),
        ({"flags": {}}, "`flags` .* not an object"),
        ({"flags": [], "cohorts": []}, "`cohorts` .* not a list"),
        ({"flags": [], "group_type_mapping": "x"}, "`group_type_mapping` .* not a text"),
        ({"flags": True}, "`flags` .* not a boolean"),
    ],
)
def test_what_is_no_definitions_document_is_refused_with_the_reason(body: Any, message: str) -> None:
    with pytest.raises(DefinitionsInvalid, match=message):
        FlagSet.parse(body)


def test_entries_without_a_key_are_told_and_harm_no_flag() -> None:
    flag_set = FlagSet.parse(document(5, {"key": 7}, ON))  # type: ignore[arg-type]
    assert flag_set.keys == ("on",)
    assert flag_set.problems == ("flags[0] has no key and is ignored", "flags[1] has no key and is ignored")
    assert flag_set.evaluate("on", distinct_id="u1").value is True


def test_p7_a_key_that_two_flags_have_is_inconclusive() -> None:
    flag_set = FlagSet.parse(document(ON, ON, flag("other")))
    assert flag_set.evaluate("on", distinct_id="u1").reason == "unsupported_definition"
    assert flag_set.evaluate("other", distinct_id="u1").value is True
    assert flag_set.problems == ("flags[1] repeats the key 'on'",)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "Europe"])
def test_an_unknown_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="time zone"):
        FlagSet.parse(document(ON), timezone=name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"distinct_id": 5}, "distinct_id is a text, not int"),
        ({"distinct_id": None}, "distinct_id is a text, not NoneType"),
        ({"groups": ["company"]}, "groups is a mapping"),
        ({"person_properties": "plan"}, "person_properties is a mapping"),
        ({"group_properties": 5}, "group_properties is a mapping"),
        ({"group_properties": {"company": "acme"}}, r"group_properties\['company'\] is a mapping"),
        ({"device_id": 5}, "device_id is a text"),
        ({"now": datetime(2024, 1, 1)}, "time zone"),  # noqa: DTZ001 - that is what is refused
        ({"now": 5}, "time zone"),
    ],
)
def test_arguments_of_the_wrong_type_are_refused(arguments: dict[str, Any], message: str) -> None:
    flag_set = FlagSet.parse(document(ON))
    call: dict[str, Any] = {"distinct_id": "u1", **arguments}
    for method in (flag_set.evaluate, flag_set.explain):
        with pytest.raises(InvalidPerson, match=message):
            method("on", **call)
    with pytest.raises(InvalidPerson, match=message):
        flag_set.evaluate_all(**call)


def test_other_mappings_than_dicts_are_taken() -> None:
    from types import MappingProxyType

    flag_set = FlagSet.parse(document(flag("f", condition(person_filter("plan", "exact", "pro")))))
    properties = MappingProxyType({"plan": "pro"})
    assert flag_set.evaluate("f", distinct_id="u1", person_properties=properties).value is True


def test_a_result_says_its_value_in_all_the_ways() -> None:
    variants = {"variants": [{"key": "a", "rollout_percentage": 100}]}
    flag_set = FlagSet.parse(
        document(
            flag("on", payloads={"true": "[1]"}),
            flag("off", active=False),
            flag("a", multivariate=variants, payloads={"a": "not JSON"}),
            flag("unknown", condition(person_filter("plan", "exact", "pro"))),
        )
    )
    on, off, variant, unknown = flag_set.evaluate_all(distinct_id="u1").values()
    assert (on.value, on.conclusive, on.enabled, on.variant, on.payload) == (True, True, True, None, [1])
    assert (off.value, off.conclusive, off.enabled, off.variant, off.payload) == (
        False,
        True,
        False,
        None,
        None,
    )
    assert (variant.value, variant.enabled, variant.variant, variant.payload) == ("a", True, "a", "not JSON")
    assert (unknown.value, unknown.conclusive, unknown.enabled, unknown.variant) == (None, False, None, None)
    assert (on.description, on.id, on.version, on.has_experiment) == (None, None, None, None)
    assert type(on.reason) is Reason
    assert repr(on) == "FlagResult('on', True, condition_match, condition_index=0)"
    assert repr(off) == "FlagResult('off', False, flag_disabled)"
    assert on != off
    assert on != "on"
    assert len({on, off, flag_set.evaluate("on", distinct_id="u2")}) == 2


def test_a_key_that_no_flag_has_is_inconclusive() -> None:
    flag_set = FlagSet.parse(document(ON))
    calls: list[dict[str, Any]] = [
        {"distinct_id": "u1"},
        {"distinct_id": ""},
        {"distinct_id": "u1", "person_properties": {}},
    ]
    for call in calls:
        result = flag_set.evaluate("off", **call)
        assert (result.value, result.reason, result.payload) == (None, "unknown_flag", None)
    assert flag_set.evaluate_all(distinct_id="", keys=["on", "off"])["off"].reason == "unknown_flag"
    assert str(flag_set.explain("off", distinct_id="u1")) == "There is no flag 'off' in the definitions."


def test_encrypted_payloads_are_not_given() -> None:
    encrypted = {**flag("f", payloads={"true": "gAAAA"}), "has_encrypted_payloads": True}
    assert FlagSet.parse(document(encrypted)).evaluate("f", distinct_id="u1").payload is None


def test_p7_an_identifier_that_cannot_be_hashed_is_unknown_only_where_it_matters() -> None:
    flag_set = FlagSet.parse(document(ON, flag("half", condition(rollout_percentage=50))))
    for distinct_id in ("", "\ud800"):
        results = flag_set.evaluate_all(distinct_id=distinct_id)
        assert (results["on"].value, results["half"].reason) == (True, "missing_context")
        assert flag_set.evaluate("half", distinct_id=distinct_id).value is None


def test_p7_group_and_device_identifiers_that_cannot_be_hashed_are_unknown() -> None:
    half = condition(rollout_percentage=50)
    flag_set = FlagSet.parse(
        {
            **document(
                flag("group", half, aggregation_group_type_index=0),
                {**flag("device", half), "bucketing_identifier": "device_id"},
            ),
            "group_type_mapping": {"0": "company"},
        }
    )
    for key in ("\ud800", float("nan"), 10**400):
        assert flag_set.evaluate("group", distinct_id="u1", groups={"company": key}).reason == "missing_context"
    assert flag_set.evaluate("device", distinct_id="u1", device_id="\ud800").reason == "missing_context"


def test_threads_may_share_a_set() -> None:
    content = vectors.files()["random-wild-1"]
    expected = FlagSet.parse(content["definitions"])
    calls = [vectors.call_of(case) for case in content["cases"][:120]]
    answers = [expected.evaluate_all(**call) for call in calls]
    shared = FlagSet.parse(content["definitions"])
    differences: list[object] = []

    def evaluate() -> None:
        for call, answer in zip(calls, answers, strict=True):
            results = shared.evaluate_all(**call)
            differences.extend(key for key in answer if results[key] != answer[key])
            differences.extend(key for key in answer if shared.evaluate(key, **call) != answer[key])

    threads = [threading.Thread(target=evaluate) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not differences


def test_the_time_of_the_call_is_the_callers_or_the_clocks() -> None:
    flag_set = FlagSet.parse(document(flag("new", condition(person_filter("joined", "is_date_after", "-7d")))))
    now = datetime(2024, 6, 10, tzinfo=timezone(timedelta(hours=2)))
    properties = {"joined": "2024-06-05"}
    assert flag_set.evaluate("new", distinct_id="u1", person_properties=properties, now=now).value is True
    assert flag_set.evaluate("new", distinct_id="u1", person_properties=properties).value is False
    assert flag_set.evaluate_all(distinct_id="u1", person_properties=properties, now=now)["new"].value is True


@pytest.mark.parametrize(
    ("value", "conclusive", "enabled", "variant", "legacy", "payload"),
    [
        (None, True, False, None, False, None),
        (None, False, None, None, None, None),
        (True, True, True, None, True, None),
        (False, True, False, None, False, None),
        ("blue", True, True, "blue", "blue", None),
        (0, True, True, None, True, 0),
        (2.5, True, True, None, True, 2.5),
        ({}, True, True, None, True, {}),
    ],
)
def test_the_older_view_of_a_typed_value(
    value: FlagValue, conclusive: bool, enabled: bool | None, variant: str | None, legacy: object, payload: object
) -> None:
    result = FlagResult("f", value, "no_rule_match", conclusive=conclusive, config_version=2)
    assert (result.enabled, result.variant, result.legacy_value, result.payload) == (enabled, variant, legacy, payload)
    assert result.conclusive is conclusive


def test_values_of_other_types_are_other_results() -> None:
    values: list[FlagValue] = [True, 1, "1", {"a": 1}, {"a": True}, None, False, 0]
    assert len({FlagResult("f", value, None) for value in values}) == len(values)
    assert FlagResult("f", {"a": 1, "b": 2}, None) == FlagResult("f", {"b": 2, "a": 1}, None)
