"""Typed records and rules flags in `/flags` over real HTTP (wire protocol 6.7 and 6.8)."""

from __future__ import annotations

from itertools import cycle
from typing import Any
from uuid import UUID

import httpx2
import msgspec
import pytest

from hogbox.emulator import Emulator, Settings
from hogbox.emulator.answer import Request
from hogbox.emulator.evaluation import check_rate
from hogbox.emulator.flag_answer import FlagRefusal
from hogbox.emulator.rate import RateLimiter
from tests.emulator.flag_case import definitions, flag, where

ASKED = {"token": "phc_t", "distinct_id": "u1", "person_properties": {"plan": "team"}}
VARIANTS = {"multivariate": {"variants": [{"key": "blue", "rollout_percentage": 100}]}}
RULE = "1c6d2b30-3b6f-4f0e-8a53-b5f3c3a0d2aa"
ALGORITHM = {"assignment_algorithm": "sha1_60_v1", "seed": "s"}


def rules_flag(key: str, kind: str, default: Any, *rules: dict[str, Any], **fields: Any) -> dict[str, Any]:
    filters = {"version": 2, "return_type": kind, "default_value": default, "rules": list(rules)}
    return {"id": 72, "key": key, "active": True, "version": 1, "filters": filters, **fields}


def release(value: Any, plan: str = "team", **fields: Any) -> dict[str, Any]:
    properties = [{"key": "plan", "type": "person", "operator": "exact", "value": plan}]
    return {
        "id": RULE,
        "rule_type": "targeted_release",
        "targeting": {"properties": properties},
        "value": value,
        **fields,
    }


def rollout(value: Any, percentage: int, miss: str = "return_default") -> dict[str, Any]:
    fields = {"rule_type": "percentage_rollout", "rollout_percentage": percentage, "on_rollout_miss": miss}
    return {**release(value), **fields, **ALGORITHM}


def experiment(**fields: Any) -> dict[str, Any]:
    variants = [{"key": "a", "weight": 100, "value": True}, {"key": "b", "weight": 0, "value": False}]
    whole = {**rollout(None, 100), "rule_type": "experiment", "experiment_id": None, "paused": False} | fields
    del whole["value"]
    return {**whole, "variants": variants}


def ask(client: httpx2.Client, query: str = "v=4", /, **fields: Any) -> Any:
    answer = client.post(f"/flags/?{query}", json={**ASKED, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("version", ["3", "4", "10"])
def test_the_answer_of_version_4(emulator: Emulator, client: httpx2.Client, version: str) -> None:
    emulator.set_flags(
        definitions(
            flag("checkout", where("plan", "team"), filters={**VARIANTS, "payloads": {"blue": '{"limit": 5}'}}),
            flag("old-ui", where("plan", "free"), has_experiment=False),
            minimal_flag_called_events=True,
        )
    )
    answer = ask(client, f"v={version}")
    assert UUID(answer.pop("requestId")).version == 4
    assert isinstance(answer.pop("evaluatedAt"), int)
    metadata = {"id": 71, "version": 4, "config_version": 1, "description": None}
    match = {"code": "condition_match", "condition_index": 0, "description": "Matched condition set 1"}
    miss = {"code": "no_condition_match", "condition_index": None, "description": "No matching condition set"}
    assert answer == {
        "flags": {
            "checkout": {
                "key": "checkout",
                "value": "blue",
                "reason": match,
                "metadata": {**metadata, "payload": '{"limit": 5}', "variant_key": "blue"},
            },
            "old-ui": {
                "key": "old-ui",
                "value": False,
                "reason": miss,
                "metadata": {**metadata, "payload": None, "has_experiment": False},
            },
        },
        "errorsWhileComputingFlags": False,
        "minimalFlagCalledEvents": True,
    }


def test_a_server_may_be_without_typed_records(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.set_flags(definitions(flag("on"), rules_flag("limits", "number", 5)))
    emulator.configure(typed_records=False)
    older, newer = ask(client, "v=2"), ask(client, "v=4")
    assert newer["flags"] == older["flags"]
    assert newer["flags"]["limits"]["enabled"] is True


RELEASED = ("targeting_match", 0, "Matched rule 1", "targeted_release")

DECIDED: dict[str, tuple[dict[str, Any], Any, tuple[str, int | None, str, str | None]]] = {
    "a boolean": (rules_flag("f", "boolean", False, release(True)), True, RELEASED),
    "text": (rules_flag("f", "string", "x", release("blue")), "blue", RELEASED),
    "a number": (rules_flag("f", "number", 1, release(2.5)), 2.5, RELEASED),
    "zero": (rules_flag("f", "number", 1, release(0)), 0, RELEASED),
    "an object": (rules_flag("f", "object", {}, release({"seats": 40})), {"seats": 40}, RELEASED),
    "the second rule": (
        rules_flag("f", "boolean", False, release(True, "free", id=RULE.replace("1c", "2c")), release(True)),
        True,
        ("targeting_match", 1, "Matched rule 2", "targeted_release"),
    ),
    "no rule": (
        rules_flag("f", "boolean", False, release(True, "free")),
        False,
        ("no_rule_match", None, "No rule matched", None),
    ),
    "no default": (
        rules_flag("f", "boolean", None, release(True, "free")),
        None,
        ("no_rule_match", None, "No rule matched", None),
    ),
    "a rollout": (
        rules_flag("f", "string", "x", rollout("y", 100)),
        "y",
        ("targeting_match", 0, "Matched rule 1", "percentage_rollout"),
    ),
    "a missed rollout": (
        rules_flag("f", "string", "x", rollout("y", 0)),
        "x",
        ("rollout_miss", 0, "Rule 1 rollout miss", "percentage_rollout"),
    ),
    "an experiment": (
        rules_flag("f", "boolean", False, experiment()),
        True,
        ("targeting_match", 0, "Matched rule 1", "experiment"),
    ),
    "a paused experiment": (
        rules_flag("f", "boolean", False, experiment(paused=True)),
        False,
        ("experiment_paused", 0, "Rule 1 is paused", "experiment"),
    ),
    "a holdout": (
        rules_flag("f", "boolean", False, experiment(holdout={"id": None, "seed": "h", "exclusion_percentage": 100})),
        False,
        ("holdout", 0, "Rule 1 holdout", "experiment"),
    ),
}


@pytest.mark.parametrize("name", DECIDED)
def test_the_record_of_a_rules_flag(emulator: Emulator, client: httpx2.Client, name: str) -> None:
    given, value, (code, index, description, rule_type) = DECIDED[name]
    emulator.set_flags(definitions(given))
    record = ask(client)["flags"]["f"]
    rule = {} if rule_type is None else {"rule_type": rule_type, "rule_id": RULE}
    assert record == {
        "key": "f",
        "value": value,
        "reason": {"code": code, "condition_index": index, "description": description},
        "metadata": {"id": 72, "version": 1, "config_version": 2, "description": None, "payload": None, **rule},
    }


@pytest.mark.parametrize(
    ("given", "enabled", "variant", "payload", "older", "code"),
    [
        ("a boolean", True, None, None, True, "condition_match"),
        ("text", True, "blue", None, "blue", "condition_match"),
        ("a number", True, None, "2.5", True, "condition_match"),
        ("zero", True, None, "0", True, "condition_match"),
        ("an object", True, None, '{"seats":40}', True, "condition_match"),
        ("no rule", False, None, None, False, "no_condition_match"),
        ("no default", False, None, None, False, "no_condition_match"),
        ("a missed rollout", True, "x", None, "x", "out_of_rollout_bound"),
    ],
)
def test_what_older_versions_see_of_a_rules_flag(
    emulator: Emulator,
    client: httpx2.Client,
    given: str,
    enabled: bool,
    variant: str | None,
    payload: str | None,
    older: bool | str,
    code: str,
) -> None:
    emulator.set_flags(definitions(DECIDED[given][0]))
    record = ask(client, "v=2")["flags"]["f"]
    assert (record["enabled"], record["variant"], record["metadata"]["payload"]) == (enabled, variant, payload)
    assert record["reason"]["code"] == code
    assert "failed" not in record
    legacy = ask(client, "v=1")
    assert legacy["featureFlags"] == {"f": older}
    assert legacy["featureFlagPayloads"] == ({} if payload is None else {"f": payload})


BROKEN = {
    "a linked experiment": rules_flag("f", "boolean", False, experiment(experiment_id=5)),
    "a wrong value": rules_flag("f", "boolean", False, release("yes")),
    "another version": {**flag("f"), "filters": {"version": 3}},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_flag_that_cannot_be_evaluated_fails_alone(emulator: Emulator, client: httpx2.Client, name: str) -> None:
    emulator.set_flags(definitions(BROKEN[name], flag("on")))
    answer = ask(client)
    record = answer["flags"]["f"]
    assert (record["value"], record["failed"], record["reason"]["code"]) == (None, True, "error")
    assert not {"rule_type", "rule_id", "variant_key"} & record["metadata"].keys()
    assert answer["errorsWhileComputingFlags"] is True
    assert answer["flags"]["on"]["value"] is True
    older = ask(client, "v=2")["flags"]["f"]
    assert (older["enabled"], older["failed"]) == (False, True)


def test_a_failed_flag_has_no_value(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.set_flags(definitions(flag("plain"), rules_flag("rules", "boolean", False)))
    emulator.configure(failed_flags=["plain", "rules"])
    answer = ask(client)
    assert {key: (record["value"], record["failed"]) for key, record in answer["flags"].items()} == {
        "plain": (None, True),
        "rules": (None, True),
    }
    assert answer["errorsWhileComputingFlags"] is True


def test_over_quota_nothing_is_evaluated(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.set_flags(definitions(flag("on")))
    emulator.configure(quota=["feature_flags"])
    answer = ask(client)
    assert (answer["flags"], answer["quotaLimited"]) == ({}, ["feature_flags"])
    assert answer["errorsWhileComputingFlags"] is False


@pytest.mark.parametrize("version", ["2", "4"])
def test_an_encrypted_payload_is_not_shown(emulator: Emulator, client: httpx2.Client, version: str) -> None:
    secret = flag("f", filters={"payloads": {"true": '{"key": "s"}'}}, has_encrypted_payloads=True)
    emulator.set_flags(definitions(secret))
    assert ask(client, f"v={version}")["flags"]["f"]["metadata"]["payload"] == '"********* (encrypted)"'


@pytest.mark.parametrize(
    ("mode", "contexts", "shown"),
    [
        (None, ["web"], True),
        ("any", ["web", "other"], True),
        ("any", ["other"], False),
        ("all", ["web"], False),
        ("all", ["web", "docs", "other"], True),
        ("all", [], True),
    ],
)
@pytest.mark.parametrize("name", ["evaluation_contexts", "evaluation_environments"])
def test_the_contexts_of_a_flag(
    emulator: Emulator, client: httpx2.Client, mode: str | None, contexts: list[str], shown: bool, name: str
) -> None:
    emulator.set_flags(
        definitions(flag("f", evaluation_contexts=["web", "docs"], evaluation_contexts_match_mode=mode), flag("on"))
    )
    assert list(ask(client, **{name: contexts})["flags"]) == (["f", "on"] if shown else ["on"])


def rate_of(limit: str, *times: float, tokens: tuple[str, ...] = ("phc_t",), burst: int = 5) -> str:
    """What requests at these times get: `.` an answer, `w` one with a warning, `x` a refusal."""
    settings = msgspec.convert({"flags_rate_limit": limit, "flags_burst": burst}, Settings)
    limiter = RateLimiter()
    said = ""
    for time, token in zip(times, cycle(tokens), strict=False):
        request = Request(
            sequence=1,
            method="POST",
            path="/flags",
            query="",
            headers={},
            body=b"",
            arrived_at=time,
            now=time,
            client="127.0.0.1",
        )
        try:
            said += "w" if check_rate(request, token, settings, limiter) else "."
        except FlagRefusal as refusal:
            said += "x" if refusal.answer.status == 429 else "?"
    return said


AT_ONCE = (0.0,) * 6


def test_requests_near_the_limit_are_warned_and_those_beyond_refused() -> None:
    assert rate_of("off", *AT_ONCE) == "......"
    assert rate_of("warn", *AT_ONCE) == "...www"
    assert rate_of("enforce", *AT_ONCE) == "...wwx"
    assert rate_of("enforce", *AT_ONCE, 0.1, 0.1) == "...wwxwx"
    assert rate_of("enforce", *AT_ONCE, 0.5) == "...wwx."


def test_the_limits_are_posthogs() -> None:
    assert rate_of("enforce", *(0.0,) * 626, burst=625) == "." * 499 + "w" * 126 + "x"


def test_an_address_has_a_limit_over_all_projects() -> None:
    many = tuple(f"phc_{number}" for number in range(11))
    assert rate_of("enforce", *(0.0,) * 11, tokens=many) == "." * 7 + "www" + "x"


@pytest.mark.parametrize(("limit", "warned"), [("off", None), ("warn", "true"), ("enforce", "true")])
def test_the_warning_is_a_header(emulator: Emulator, client: httpx2.Client, limit: str, warned: str | None) -> None:
    emulator.configure(flags_rate_limit=limit, flags_burst=1)
    answer = client.post("/flags/?v=4", json=ASKED)
    assert (answer.status_code, answer.headers.get("x-posthog-rate-limit-warning")) == (200, warned)
