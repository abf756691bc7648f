"""What is asked of `/flags`, and what each answer means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox._client.remote import result_of
from hogbox._wire.flag_record import FlagRecord
from hogbox._wire.flags import FlagsAnswer, FlagsFailure, flags_request, read_answer, worth_retrying

TOKEN = "phc_a_token"


def request(**changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "groups": None,
        "person_properties": None,
        "group_properties": None,
        "device_id": None,
        "disable_geoip": True,
        "keys": None,
        "sent_at": "2026-03-04T10:15:31Z",
        "user_agent": "hogbox/1",
        **changes,
    }
    made = flags_request(TOKEN, "u1", **arguments)
    assert made.path == "/flags/?v=4"
    assert made.headers == {"Content-Type": "application/json", "User-Agent": "hogbox/1"}
    body: dict[str, Any] = json.loads(made.body)
    return body


def read(document: object, status: int = 200) -> FlagsAnswer:
    found = read_answer(status, json.dumps(document).encode())
    assert isinstance(found, FlagsAnswer)
    return found


def failure(status: int, body: bytes) -> FlagsFailure:
    found = read_answer(status, body, hide=(TOKEN,))
    assert isinstance(found, FlagsFailure)
    return found


def test_a_request_of_nothing_but_a_person() -> None:
    assert request() == {
        "token": TOKEN,
        "distinct_id": "u1",
        "groups": {},
        "person_properties": {},
        "group_properties": {},
        "device_id": None,
        "geoip_disable": True,
        "evaluation_runtime": "server",
        "sent_at": "2026-03-04T10:15:31Z",
    }


def test_a_request_with_everything() -> None:
    body = request(
        groups={"company": "c-19", "team": 7},
        person_properties={"plan": "ü"},
        group_properties={"company": {"seats": 3}, "other": {"x": 1}},
        device_id="d1",
        disable_geoip=False,
        keys=["checkout"],
    )
    assert body["groups"] == {"company": "c-19", "team": 7}
    assert body["group_properties"] == {
        "company": {"$group_key": "c-19", "seats": 3},
        "team": {"$group_key": 7},
        "other": {"x": 1},
    }
    assert body["person_properties"] == {"plan": "ü"}
    assert (body["device_id"], body["geoip_disable"], body["flag_keys_to_evaluate"]) == ("d1", False, ["checkout"])


def test_the_newest_known_answer() -> None:
    answer = read(
        {
            "flags": {
                "checkout": {
                    "key": "checkout",
                    "enabled": True,
                    "variant": "blue",
                    "reason": {
                        "code": "condition_match",
                        "condition_index": 0,
                        "description": "Matched condition set 1",
                    },
                    "metadata": {"id": 71, "version": 4, "payload": '{"limit": 5}', "has_experiment": False},
                },
                "old": {"enabled": False, "variant": None, "reason": None, "metadata": None},
                "broken": {"enabled": False, "failed": True},
                "nonsense": 7,
            },
            "errorsWhileComputingFlags": True,
            "requestId": "r1",
            "evaluatedAt": 1772619331004,
            "minimalFlagCalledEvents": True,
        }
    )
    assert (answer.errors, answer.request_id, answer.evaluated_at, answer.minimal_events) == (
        True,
        "r1",
        1772619331004,
        True,
    )
    assert set(answer.flags) == {"checkout", "old", "broken", "nonsense"}
    assert (answer.flags["broken"].failed, answer.flags["nonsense"].malformed) == (True, True)
    checkout = result_of(answer.flags["checkout"])
    assert (checkout.value, checkout.enabled, checkout.variant, checkout.payload) == (
        "blue",
        True,
        "blue",
        {"limit": 5},
    )
    assert (checkout.id, checkout.version, checkout.has_experiment) == (71, 4, False)
    assert (checkout.reason, checkout.condition_index, checkout.description) == (
        "condition_match",
        0,
        "Matched condition set 1",
    )
    old, broken = result_of(answer.flags["old"]), result_of(answer.flags["broken"])
    assert (old.value, old.enabled, old.variant, old.payload, old.conclusive) == (False, False, None, None, True)
    assert (broken.value, broken.enabled, broken.conclusive) == (None, None, False)


@pytest.mark.parametrize(
    ("record", "value", "payload"),
    [
        ({"value": "blue"}, "blue", None),
        ({"value": True, "metadata": {"payload": "[1]"}}, True, [1]),
        ({"value": False}, False, None),
        ({"value": 7}, 7, 7),
        ({"value": {"a": 1}}, {"a": 1}, {"a": 1}),
        ({"value": [1]}, None, None),
        ({"value": None, "failed": True}, None, None),
        ({"value": ""}, None, None),
        ({"value": "blue", "failed": True}, None, None),
        ({"enabled": "yes"}, None, None),
        ({"variant": 7, "enabled": True}, None, None),
        ({}, None, None),
    ],
)
def test_newer_and_odd_records(record: dict[str, Any], value: object, payload: object) -> None:
    flag = result_of(read({"flags": {"a": record}}).flags["a"])
    assert (flag.value, flag.payload) == (value, payload)


@pytest.mark.parametrize(
    ("document", "values"),
    [
        ({"featureFlags": {"a": "blue", "b": False, "c": True}}, {"a": "blue", "b": False, "c": True}),
        ({"featureFlags": ["a", "b", 7]}, {"a": True, "b": True}),
        ({"featureFlags": {}}, {}),
        ({"featureFlags": {"a": None}}, {"a": None}),
        ({"flags": {}}, {}),
    ],
)
def test_older_shapes(document: dict[str, Any], values: dict[str, object]) -> None:
    assert {key: flag.value for key, flag in read(document).flags.items()} == values


def test_the_payloads_of_an_older_shape() -> None:
    for flags in ({"a": True}, ["a"]):
        answer = read({"featureFlags": flags, "featureFlagPayloads": {"a": '{"limit":5}'}})
        assert result_of(answer.flags["a"]).payload == {"limit": 5}
    assert read({"featureFlags": {"a": True}, "featureFlagPayloads": 7}).flags["a"].payload is None


@pytest.mark.parametrize(
    ("status", "body", "reason", "shown"),
    [
        (401, b"The key is wrong", "api_error_401", "HTTP 401: The key is wrong"),
        (429, b"", "api_error_429", "HTTP 429"),
        (503, TOKEN.encode() + b" is down", "api_error_503", "[hidden] is down"),
        (302, b"x" * 1000, "api_error_302", "x" * 300),
        (200, b"<html>", "unknown_error", "not JSON"),
        (200, b"[]", "unknown_error", "not a JSON object"),
        (200, b"{}", "unknown_error", "no flags"),
        (200, b'{"flags": []}', "unknown_error", "no flags"),
        (200, b'{"flags": {}, "quotaLimited": ["feature_flags"]}', "quota_limited", "quota"),
        (200, b"\xff", "unknown_error", "not JSON"),
    ],
)
def test_answers_without_flags(status: int, body: bytes, reason: str, shown: str) -> None:
    found = failure(status, body)
    assert found.reason == reason
    assert shown in found.detail


def test_another_quota_is_none_of_flags() -> None:
    assert read({"flags": {}, "quotaLimited": ["recordings"]}).flags == {}


@pytest.mark.parametrize(
    ("status", "again"), [(502, True), (504, True), (408, False), (429, False), (500, False), (503, False)]
)
def test_what_is_worth_retrying(status: int, again: bool) -> None:
    assert worth_retrying(status) is again


@pytest.mark.parametrize(
    ("payload", "decoded"),
    [("", None), (None, None), ("text", "text"), ("[1]", [1]), ("NaN", "NaN"), ({"a": 1}, {"a": 1})],
)
def test_payloads(payload: object, decoded: object) -> None:
    assert result_of(FlagRecord("on", True, payload=payload)).payload == decoded


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
FIELDS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("enabled", "variant", "value", "failed", "reason", "metadata"), JSON)
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "flags": JSON | st.dictionaries(st.text(max_size=3), FIELDS, max_size=3),
        **dict.fromkeys(("featureFlags", "featureFlagPayloads", "quotaLimited", "requestId"), JSON),
    },
)


@given(DOCUMENTS)
def test_no_answer_whatever_makes_reading_it_raise(document: dict[str, Any]) -> None:
    found = read_answer(200, json.dumps(document).encode())
    for flag in found.flags.values() if isinstance(found, FlagsAnswer) else ():
        assert isinstance(flag, FlagRecord)
        assert not isinstance(flag.value, list)
        assert not (flag.malformed and flag.decided)
        repr(result_of(flag).payload)
