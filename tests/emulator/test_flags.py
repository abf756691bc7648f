"""`/flags` over real HTTP: every row of the wire protocol's sections 6.1, 6.2, 6.3 and 6.5."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx2
import pytest

from hogbox.emulator import Emulator
from tests.emulator.flag_case import definitions, flag, on, where

VARIANTS = {
    "multivariate": {"variants": [{"key": "blue", "rollout_percentage": 100}]},
    "payloads": {"blue": '{"limit": 5}', "true": "1"},
}
FLAGS = definitions(
    flag("checkout-v2", where("plan", "team"), filters=VARIANTS, has_experiment=True),
    flag("old-ui", where("plan", "free"), version=None),
    flag("everybody", filters={"payloads": {"true": "not JSON"}}),
)
ASKED = {"token": "phc_t", "distinct_id": "u1", "person_properties": {"plan": "team"}}


@pytest.fixture(autouse=True)
def flags(emulator: Emulator) -> None:
    emulator.set_flags(FLAGS)


def ask(client: httpx2.Client, query: str = "v=2", /, **fields: Any) -> Any:
    body = {name: value for name, value in {**ASKED, **fields}.items() if value is not ...}
    answer = client.post(f"/flags/?{query}", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def values(answer: Any) -> dict[str, Any]:
    return {key: detail["variant"] or detail["enabled"] for key, detail in answer["flags"].items()}


@pytest.mark.parametrize("path", ["/flags?v=2", "/flags/?v=2", "/flags/?version=2"])
def test_the_answer_of_version_2(emulator: Emulator, client: httpx2.Client, path: str) -> None:
    answer = client.post(path, json=ASKED).json()
    assert UUID(answer.pop("requestId")).version == 4
    assert abs(answer.pop("evaluatedAt") / 1000 - emulator.requests()[0].arrived_at) < 5
    metadata = {"id": 71, "version": 4, "description": None, "payload": None, "has_experiment": False}
    assert answer == {
        "flags": {
            "checkout-v2": {
                "key": "checkout-v2",
                "enabled": True,
                "variant": "blue",
                "reason": {
                    "code": "condition_match",
                    "condition_index": 0,
                    "description": "Matched condition set 1",
                },
                "metadata": {**metadata, "payload": '{"limit": 5}', "has_experiment": True},
            },
            "old-ui": {
                "key": "old-ui",
                "enabled": False,
                "variant": None,
                "reason": {
                    "code": "no_condition_match",
                    "condition_index": None,
                    "description": "No matching condition set",
                },
                "metadata": {**metadata, "version": 0},
            },
            "everybody": {
                "key": "everybody",
                "enabled": True,
                "variant": None,
                "reason": {
                    "code": "condition_match",
                    "condition_index": 0,
                    "description": "Matched condition set 1",
                },
                "metadata": {**metadata, "payload": "not JSON"},
            },
        },
        "errorsWhileComputingFlags": False,
    }
    assert emulator.requests()[0].token == "phc_t"


def test_the_answer_of_version_1(client: httpx2.Client) -> None:
    for query in ("v=1", "v=none"):
        answer = ask(client, query)
        assert {name: answer[name] for name in list(answer)[:3]} == {
            "featureFlags": {"checkout-v2": "blue", "old-ui": False, "everybody": True},
            "featureFlagPayloads": {"checkout-v2": '{"limit": 5}', "everybody": "not JSON"},
            "errorsWhileComputingFlags": False,
        }
        assert set(answer) - {"requestId", "evaluatedAt"} == set(list(answer)[:3])


def test_without_a_version_the_answer_has_the_configuration_too(client: httpx2.Client) -> None:
    for query in ("", "v=2&config=true"):
        answer = ask(client, query)
        assert values(answer)["checkout-v2"] == "blue"
        assert (answer["hasFeatureFlags"], answer["token"]) == (True, "phc_t")
        assert answer["supportedCompression"] == ["gzip", "gzip-js"]
    assert "hasFeatureFlags" not in ask(client, "v=2")
    assert "featureFlags" in ask(client, "config=true")


REASONS = {
    "super_condition_value": (flag("f", filters={"feature_enrollment": True}), "Super condition value", 0),
    "holdout_condition_value": (
        flag("f", filters={"holdout": {"id": 7, "exclusion_percentage": 100}}),
        "Holdout condition value",
        None,
    ),
    "out_of_rollout_bound": (
        flag("f", {"properties": [], "rollout_percentage": 0}),
        "Out of rollout bound",
        0,
    ),
    "no_group_type": (flag("f", filters={"aggregation_group_type_index": 0}), "No group type", None),
    "condition_match": (flag("f", where("plan", "free"), where("plan", "team")), "Matched condition set 2", 1),
}


@pytest.mark.parametrize("code", REASONS)
def test_the_reasons(emulator: Emulator, client: httpx2.Client, code: str) -> None:
    given, description, index = REASONS[code]
    emulator.set_flags(definitions(given))
    properties = {"plan": "team", "$feature_enrollment/f": True}
    detail = ask(client, person_properties=properties)["flags"]["f"]
    assert detail["reason"] == {"code": code, "condition_index": index, "description": description}
    if code == "holdout_condition_value":
        assert (detail["enabled"], detail["variant"]) == (True, "holdout-7")


def test_inactive_and_deleted_flags_are_absent(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.set_flags(definitions(flag("off", active=False), flag("gone", deleted=True), flag("on")))
    assert list(ask(client)["flags"]) == ["on"]
    assert ask(client, flag_keys_to_evaluate=["off", "missing"])["flags"] == {}


def test_only_the_flags_asked_for_and_what_they_depend_on(emulator: Emulator, client: httpx2.Client) -> None:
    flags = (
        flag("a", on("b")),
        flag("b", on("c", "blue")),
        flag("c", filters=VARIANTS),
        flag("d", where("plan", "team")),
    )
    emulator.set_flags(definitions(*flags, flag("odd", filters={"groups": [5, {"properties": [5]}]})))
    for name in ("flag_keys_to_evaluate", "flag_keys"):
        assert values(ask(client, **{name: ["a"]})) == {"a": True, "b": True, "c": "blue"}
    assert values(ask(client, flag_keys=["d", "odd"])) == {"d": True, "odd": False}
    assert values(ask(client, flag_keys=[])) == {}
    assert list(ask(client, flag_keys=None)["flags"]) == ["a", "b", "c", "d", "odd"]


def test_a_loop_of_flags_fails_and_ends(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.set_flags(definitions(flag("a", on("b")), flag("b", on("a")), flag("c", on("nowhere"))))
    answer = ask(client, flag_keys=["a", "c"])
    assert {key: detail["failed"] for key, detail in answer["flags"].items()} == {"a": True, "b": True, "c": True}
    assert answer["errorsWhileComputingFlags"] is True


@pytest.mark.parametrize(
    ("spelled", "fields"),
    [
        ("api_key", {"token": ..., "api_key": "phc_t"}),
        ("$token", {"token": ..., "$token": "phc_t"}),
        ("$distinct_id", {"distinct_id": ..., "$distinct_id": "u1"}),
        ("$properties", {"person_properties": ..., "$properties": {"plan": "team"}}),
        ("nulls", {"groups": None, "group_properties": None, "device_id": None, "flag_keys": None}),
        ("unknown fields", {"sent_at": "2026-03-04T10:15:31Z", "ip_address": 5, "geoip_disable": True}),
    ],
)
def test_every_spelling_of_a_field(client: httpx2.Client, spelled: str, fields: dict[str, Any]) -> None:
    assert values(ask(client, **fields))["checkout-v2"] == "blue"


@pytest.mark.parametrize("names", [("groups", "group_properties"), ("$groups", "$group_properties")])
def test_groups(emulator: Emulator, client: httpx2.Client, names: tuple[str, str]) -> None:
    filters = {"aggregation_group_type_index": 0}
    emulator.set_flags(definitions(flag("big", where("seats", 10, "gt", "group", group_type_index=0), filters=filters)))
    groups, properties = names
    asked = {groups: {"company": "c-19"}, properties: {"company": {"$group_key": "c-19", "seats": 12}}}
    assert values(ask(client, **asked)) == {"big": True}
    assert values(ask(client, **{groups: {"company": "c-19"}})) == {"big": False}
    assert values(ask(client)) == {"big": False}


@pytest.mark.parametrize(
    "fields",
    [
        {"device_id": "d1"},
        {"$device_id": "d1"},
        {"person_properties": {"$device_id": "d1"}},
        {"device_id": "", "person_properties": {"$device_id": "d1"}},
    ],
)
def test_the_device_id(emulator: Emulator, client: httpx2.Client, fields: dict[str, Any]) -> None:
    emulator.set_flags(definitions(flag("device", bucketing_identifier="device_id")))
    assert values(ask(client, **fields)) == {"device": True}
    assert ask(client)["flags"]["device"]["failed"] is True


@pytest.mark.parametrize(
    ("given", "text"), [(23, "23"), (23.5, "23.5"), ("x" * 250, "x" * 200), ("", ""), (10**30, str(10**30))]
)
def test_the_distinct_id_is_text_of_at_most_200_characters(
    emulator: Emulator, client: httpx2.Client, given: Any, text: str
) -> None:
    emulator.set_flags(definitions(flag("them", where("distinct_id", text))))
    assert ask(client, distinct_id=given)["flags"]["them"]["reason"]["code"] == "condition_match"


def test_experience_continuity_is_decided_by_the_distinct_id(emulator: Emulator, client: httpx2.Client) -> None:
    half = {"properties": [], "rollout_percentage": 50}
    emulator.set_flags(definitions(flag("half", half, ensure_experience_continuity=True)))
    decided = [values(ask(client, distinct_id=f"u{number}"))["half"] for number in range(20)]
    assert set(decided) == {True, False}


BLOCKED: dict[str, tuple[dict[str, Any], int, str]] = {
    "no distinct id": ({"distinct_id": ...}, 400, "The distinct_id field is missing from the request. Please include "),
    "null distinct id": ({"distinct_id": None}, 400, "The distinct_id field is missing from the request."),
    "no token": ({"token": ...}, 401, "No API token provided. Please include a valid API token in your request."),
    "empty token": ({"token": ""}, 401, "No API token provided."),
    "unknown token": ({"token": "phc_other"}, 401, "The provided API key is invalid or has expired. Please check "),
    "secret token": ({"token": "phx_secret"}, 401, "The provided API key is invalid or has expired."),
    "the token comes first": ({"token": "phc_other", "distinct_id": ...}, 401, "The provided API key is invalid"),
    "two spellings": ({"api_key": "phc_t"}, 400, "Failed to decode request: invalid JSON. Please check your request "),
    "distinct id of another type": ({"distinct_id": True}, 400, "Failed to decode request: invalid JSON."),
    "properties of another type": ({"person_properties": []}, 400, "Failed to decode request: invalid JSON."),
    "group properties are flat": ({"group_properties": {"company": 5}}, 400, "Failed to decode request: invalid"),
    "keys of another type": ({"flag_keys": "a"}, 400, "Failed to decode request: invalid JSON."),
}


@pytest.mark.parametrize("name", BLOCKED)
def test_a_refused_request_says_why(emulator: Emulator, client: httpx2.Client, name: str) -> None:
    emulator.configure(known_tokens=["phc_t"])
    fields, status, text = BLOCKED[name]
    body = {key: value for key, value in {**ASKED, **fields}.items() if value is not ...}
    answer = client.post("/flags/?v=2", json=body)
    assert (answer.status_code, answer.text[: len(text)]) == (status, text)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert emulator.summary()["flags"] == {str(status): 1}


TEXT = json.dumps(ASKED)
ZIPPED = gzip.compress(TEXT.encode())
IN_BASE64 = base64.b64encode(TEXT.encode()).decode()
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

UNPACKED: dict[str, tuple[bytes | str, str, dict[str, str]]] = {
    "plain": (TEXT, "", {}),
    "text": (TEXT, "", {"Content-Type": "text/plain;charset=UTF-8"}),
    "gzip by header": (ZIPPED, "", {"Content-Encoding": "gzip"}),
    "gzip by query": (ZIPPED, "&compression=gzip", {}),
    "gzip-js by query": (ZIPPED, "&compression=gzip-js", {}),
    "gzip by its first bytes": (ZIPPED, "", {}),
    "base64": (IN_BASE64, "&compression=base64", {}),
    "base64 unannounced, unpadded": (IN_BASE64.rstrip("="), "", {}),
    "form": (f"data={quote(IN_BASE64, safe='')}", "", FORM),
    "form without a name": (IN_BASE64, "&compression=", FORM),
    "numbers that are none": (TEXT[:-1] + ', "$anon_distinct_id": NaN, "x": [Infinity, -Infinity, 1e999]}', "", {}),
}


@pytest.mark.parametrize("name", UNPACKED)
def test_what_bodies_are_unpacked(client: httpx2.Client, name: str) -> None:
    content, query, headers = UNPACKED[name]
    answer = client.post(f"/flags/?v=2{query}", content=content, headers=headers)
    assert answer.status_code == 200, answer.text
    assert values(answer.json())["checkout-v2"] == "blue"


PACKED: dict[str, tuple[bytes | str, str, dict[str, str], str]] = {
    "nothing": ("", "", {}, "invalid JSON"),
    "no JSON": ("{", "", {}, "invalid JSON"),
    "no object": ("[]", "", {}, "invalid JSON"),
    "base64 of nothing": ("////", "", {}, "invalid JSON"),
    "too deep": ("[" * 100_000, "", {}, "invalid JSON"),
    "half a zip": (ZIPPED[:-9], "", {}, "gzip decompression failed: invalid GZIP data"),
    "unknown compression": (TEXT, "&compression=lz64", {}, "Unsupported compression type"),
    "unknown type": (TEXT, "", {"Content-Type": "text/html"}, "unsupported content type: text/html"),
    "zipped form": (TEXT, "&compression=gzip", FORM, "Gzip compression not supported for form-urlencoded data"),
    "form not UTF-8": (b"\xff", "", FORM, "Invalid UTF-8 in form data"),
    "form not base64": ("data=!", "", FORM, "Base64 decoding error"),
}


@pytest.mark.parametrize("name", PACKED)
def test_what_bodies_are_not(client: httpx2.Client, name: str) -> None:
    content, query, headers, why = PACKED[name]
    answer = client.post(f"/flags/?v=2{query}", content=content, headers=headers)
    assert answer.status_code == 400
    assert answer.text == f"Failed to decode request: {why}. Please check your request format and try again."


def test_a_number_that_is_none_is_null(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.set_flags(definitions(flag("null", where("score", "null"))))
    body = '{"token": "phc_t", "distinct_id": "u1", "person_properties": {"score": NaN, "other": 1e999}}'
    assert values(client.post("/flags/?v=2", content=body).json()) == {"null": True}


def test_the_body_is_kept_where_asked_for(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.configure(keep_bodies=1000)
    client.post("/flags/?v=2", content=ZIPPED)
    assert emulator.requests()[0].body == TEXT


def test_other_methods(client: httpx2.Client) -> None:
    allowed = "GET, POST, OPTIONS, HEAD"
    got = client.get("/flags/?v=2").json()
    assert (got["flags"], got["errorsWhileComputingFlags"]) == ({}, False)
    assert client.get("/flags").json()["featureFlags"] == {}
    head = client.head("/flags/")
    assert (head.status_code, head.headers["content-type"]) == (200, "application/json")
    options = client.options("/flags/")
    assert (options.status_code, options.headers["allow"]) == (204, allowed)
    refused = client.put("/flags/")
    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)


def test_over_quota(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.configure(quota=["feature_flags"])
    answer = ask(client)
    assert (answer["flags"], answer["errorsWhileComputingFlags"]) == ({}, False)
    assert answer["quotaLimited"] == ["feature_flags"]
    assert ask(client, "v=1")["featureFlags"] == {}
    assert "quotaLimited" not in ask(client, disable_flags=True)


def test_flags_can_be_disabled(client: httpx2.Client) -> None:
    assert ask(client, disable_flags=True, distinct_id=...)["flags"] == {}
    assert ask(client, disable_flags=False)["flags"] != {}


def test_a_project_without_flags(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.set_flags(None)
    answer = ask(client, "")
    assert (answer["flags"], answer["hasFeatureFlags"]) == ({}, False)


def test_a_cold_cache_of_definitions_changes_nothing(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.configure(cold_cache=True)
    assert values(ask(client))["checkout-v2"] == "blue"


def test_flags_can_fail(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.configure(failed_flags=["everybody", "missing"])
    answer = ask(client)
    assert answer["errorsWhileComputingFlags"] is True
    assert "failed" not in answer["flags"]["checkout-v2"]
    failed = answer["flags"]["everybody"]
    assert (failed["enabled"], failed["variant"], failed["failed"]) == (False, None, True)
    assert failed["reason"] == {
        "code": "timeout",
        "condition_index": None,
        "description": "Database statement timed out",
    }
    assert failed["metadata"]["payload"] is None
    assert ask(client, "v=1")["featureFlags"]["everybody"] is False
    emulator.configure(failed_flags=[], flag_errors=True)
    answer = ask(client)
    assert (answer["errorsWhileComputingFlags"], values(answer)["everybody"]) == (True, True)


@pytest.mark.parametrize("sent", [True, False, None])
def test_minimal_flag_called_events(emulator: Emulator, client: httpx2.Client, sent: bool | None) -> None:
    emulator.set_flags({**FLAGS, "minimal_flag_called_events": sent})
    assert ask(client).get("minimalFlagCalledEvents") == (sent or None)
    assert "minimalFlagCalledEvents" not in ask(client, "v=1")


def test_the_request_id_is_taken_over(client: httpx2.Client) -> None:
    own = "6e0f6a1e-2c1c-4a53-9d53-8d3c9f5a1b20"
    assert client.get("/flags?v=2", headers={"X-Request-Id": own}).json()["requestId"] == own
    assert UUID(client.get("/flags?v=2", headers={"X-Request-Id": "mine"}).json()["requestId"]).version == 4


def test_relative_dates_go_by_the_servers_clock(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.set_flags(definitions(flag("old", where("born", "-10y", "is_date_before"))))
    born = {"person_properties": {"born": "2020-01-01T00:00:00Z"}}
    assert values(ask(client, **born)) == {"old": False}
    emulator.configure(clock_offset=86_400 * 365 * 12)
    assert values(ask(client, **born)) == {"old": True}


RUNTIMES = {
    "posthog-python/7.42.0": ["all", "server"],
    "python-requests/2": ["all", "server"],
    "curl/8": ["all", "server"],
    "posthog-ios/3": ["all", "client"],
    "Mozilla/5.0": ["all", "client"],
    "hogbox/0.1.0": ["all"],
}


@pytest.mark.parametrize("agent", RUNTIMES)
def test_a_flags_runtime(emulator: Emulator, client: httpx2.Client, agent: str) -> None:
    runtimes = ("all", "server", "client")
    emulator.set_flags(definitions(*[flag(name, evaluation_runtime=name) for name in runtimes]))
    client.headers["User-Agent"] = agent
    assert list(ask(client)["flags"]) == RUNTIMES[agent]
    assert list(ask(client, evaluation_runtime="Server")["flags"]) == ["all", "server"]
    assert list(ask(client, evaluation_runtime="moon")["flags"]) == list(runtimes)
    if agent.startswith("hogbox"):
        client.headers["Origin"] = "https://example.com"
        assert list(ask(client)["flags"]) == ["all", "client"]


@pytest.mark.parametrize("name", ["evaluation_contexts", "evaluation_environments"])
def test_a_flags_contexts(emulator: Emulator, client: httpx2.Client, name: str) -> None:
    own = {"evaluation_contexts": ["docs", "app"]}
    emulator.set_flags(definitions(flag("docs", **own), flag("tagged", evaluation_tags=["shop"]), flag("any")))
    assert list(ask(client, **{name: ["app", "other"]})["flags"]) == ["docs", "any"]
    assert list(ask(client, **{name: ["other"]})["flags"]) == ["any"]
    assert list(ask(client, **{name: []})["flags"]) == ["docs", "tagged", "any"]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (400, "The distinct_id field is missing"),
        (401, "The provided API key is invalid"),
        (402, '{"type":"quota_limited"'),
        (429, '{"type":"validation_error","code":"rate_limit_exceeded","detail":"Rate limit exceeded","attr":null}'),
        (500, "An internal server error occurred."),
        (502, ""),
        (503, "Our database service is currently unavailable."),
        (504, "Evaluation pool busy"),
    ],
)
def test_a_fault_meets_flags_and_not_definitions(
    emulator: Emulator, client: httpx2.Client, status: int, text: str
) -> None:
    emulator.fault(status=status, path="/flags", method="POST", times=1)
    polled = client.get("/flags/definitions?token=phc_t", headers={"Authorization": "Bearer phs_1"})
    assert polled.status_code == 200
    answer = client.post("/flags/?v=2", json=ASKED)
    assert (answer.status_code, answer.text[: len(text)]) == (status, text)
    assert client.post("/flags/?v=2", json=ASKED).status_code == 200


def test_a_dropped_connection(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.fault(drop="before", path="/flags", times=1)
    with pytest.raises(httpx2.HTTPError):
        client.post("/flags/?v=2", json=ASKED)
    assert emulator.summary()["flags"] == {}
