"""`GET /flags/definitions` over real HTTP: every row of the wire protocol's section 7.2, in the server's order."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import httpx2
import pytest

from hogbox.emulator import Emulator
from tests.emulator.flag_case import definitions, flag, on, where

PATHS = ["/flags/definitions", "/flags/definitions/", "/api/feature_flag/local_evaluation/"]
KEY = {"Authorization": "Bearer phs_secret"}
TOKEN = {"token": "phc_t"}
FLAGS = definitions(flag("new-ui", name="Überarbeitet"))


@pytest.fixture
def flags(emulator: Emulator) -> None:
    emulator.set_flags(FLAGS)


def ask(client: httpx2.Client, path: str = PATHS[0], *, etag: str | None = None, **options: Any) -> httpx2.Response:
    held = {} if etag is None else {"If-None-Match": etag}
    return client.get(path, **{"params": TOKEN, "headers": {**KEY, **held}, **options})


@pytest.mark.usefixtures("flags")
@pytest.mark.parametrize("path", PATHS)
def test_the_definitions_with_their_etag(client: httpx2.Client, path: str) -> None:
    answer = ask(client, path)
    assert (answer.status_code, answer.json()) == (200, FLAGS)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "private, must-revalidate"
    canonical = json.dumps(FLAGS, sort_keys=True).encode()
    assert answer.headers["etag"] == f'W/"{hashlib.sha256(canonical).hexdigest()[:16]}"'


@pytest.mark.usefixtures("flags")
@pytest.mark.parametrize("spelling", ['W/"{}"', '"{}"', "{}"])
def test_a_held_etag_is_compared_weakly(client: httpx2.Client, spelling: str) -> None:
    etag = ask(client).headers["etag"]
    answer = ask(client, etag=spelling.format(etag.removeprefix('W/"').removesuffix('"')))
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag
    assert answer.headers["cache-control"] == "private, must-revalidate"


@pytest.mark.usefixtures("flags")
@pytest.mark.parametrize("etag", ['W/"0123456789abcdef"', "", '""', "*"])
def test_another_etag_gets_the_definitions(client: httpx2.Client, etag: str) -> None:
    assert ask(client, etag=etag).status_code == 200


def test_new_flags_have_a_new_etag_and_the_same_flags_the_same(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.set_flags(FLAGS)
    first = ask(client).headers["etag"]
    emulator.set_flags(definitions(flag("other")))
    changed = ask(client, etag=first)
    assert (changed.status_code, changed.headers["etag"] == first) == (200, False)
    emulator.set_flags(json.dumps(dict(reversed(FLAGS.items()))))
    assert ask(client, etag=first).status_code == 304


def credential(answer: httpx2.Response) -> tuple[int, str, str]:
    body = answer.json()
    assert set(body) == {"type", "code", "detail", "attr"}
    return answer.status_code, body["type"], body["code"]


@pytest.mark.usefixtures("flags")
@pytest.mark.parametrize("header", [None, "", "Bearer", "Basic phs_secret", "bearer phs_secret"])
def test_no_credential(client: httpx2.Client, header: str | None) -> None:
    answer = ask(client, headers={} if header is None else {"Authorization": header})
    assert credential(answer) == (401, "authentication_error", "not_authenticated")
    assert answer.json()["detail"] == "Authentication credentials were not provided."


@pytest.mark.usefixtures("flags")
@pytest.mark.parametrize(
    ("key", "known", "status"),
    [
        ("phs_any", None, 200),
        ("phx_any", None, 200),
        ("phc_t", None, 401),
        ("nonsense", None, 401),
        ("phs_any", ["phs_secret"], 401),
        ("phs_secret", ["phs_secret", "old-style"], 200),
        ("old-style", ["phs_secret", "old-style"], 200),
        ("phx_any", [], 401),
    ],
)
def test_which_keys_are_accepted(
    emulator: Emulator, client: httpx2.Client, key: str, known: list[str] | None, status: int
) -> None:
    emulator.configure(secret_keys=known)
    answer = ask(client, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == status
    if status == 401:
        assert credential(answer) == (401, "authentication_error", "authentication_failed")
        kind = "Secret API token" if key.startswith("phs_") else "Personal API key"
        assert answer.json()["detail"] == f"{kind} is invalid."


@pytest.mark.usefixtures("flags")
@pytest.mark.parametrize(
    ("token", "status", "text"),
    [
        (None, 400, "Failed to deserialize query string: missing field `token`"),
        ("", 401, "The provided API key is invalid or has expired. Please check your API key and try again."),
        ("phx_secret", 401, "The provided API key is invalid or has expired. Please check your API key and try again."),
        ("phc_other", 401, "The provided API key is invalid or has expired. Please check your API key and try again."),
    ],
)
def test_the_projects_token(
    emulator: Emulator, client: httpx2.Client, token: str | None, status: int, text: str
) -> None:
    emulator.configure(known_tokens=["phc_t"])
    answer = ask(client, params={} if token is None else {"token": token, "send_cohorts": ""})
    assert (answer.status_code, answer.text) == (status, text)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert ask(client, params={"token": "phc_t", "send_cohorts": ""}).status_code == 200


@pytest.mark.usefixtures("flags")
def test_over_quota(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.configure(quota=["feature_flags"])
    answer = ask(client)
    assert credential(answer) == (402, "quota_limited", "payment_required")
    assert answer.json()["detail"] == "You have exceeded your feature flag request quota"
    assert "etag" not in answer.headers


@pytest.mark.usefixtures("flags")
def test_too_many_requests(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.configure(definitions_per_minute=2)
    etag = ask(client).headers["etag"]
    assert ask(client).status_code == 200
    answer = ask(client)
    assert credential(answer) == (429, "validation_error", "rate_limit_exceeded")
    assert (answer.json()["detail"], answer.json()["attr"]) == ("Rate limit exceeded", None)
    assert [ask(client, etag=etag).status_code for _ in range(21)] == [304] * 20 + [429]
    assert ask(client, params={"token": "phc_other"}).status_code == 200
    emulator.configure(definitions_per_minute=0)
    assert ask(client, params={"token": "phc_third"}).status_code == 429


@pytest.mark.parametrize("setting", [{}, {"cold_cache": True}])
def test_a_cold_cache_and_a_project_that_never_had_a_flag_are_the_same(
    emulator: Emulator, client: httpx2.Client, setting: dict[str, Any]
) -> None:
    emulator.set_flags(FLAGS)
    etag = ask(client).headers["etag"]
    emulator.configure(**setting)
    emulator.set_flags(FLAGS if setting else None)
    answer = ask(client, etag=etag)
    assert (answer.status_code, answer.text) == (
        503,
        "Required data not found in cache. This is likely a temporary issue. Please try again later.",
    )
    assert "retry-after" not in answer.headers
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", PATHS)
def test_other_methods(client: httpx2.Client, path: str) -> None:
    head = client.head(path)
    assert (head.status_code, head.headers["content-type"]) == (200, "application/json")
    options = client.options(path)
    assert (options.status_code, options.headers["allow"], options.content) == (204, "GET, OPTIONS, HEAD", b"")
    for method in ("POST", "PUT", "DELETE"):
        refused = client.request(method, path, params=TOKEN, headers=KEY)
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, OPTIONS, HEAD")


def test_the_order_of_the_checks(emulator: Emulator, client: httpx2.Client) -> None:
    """Everything is wrong at first, and then put right in the order in which it is checked."""
    emulator.configure(
        known_tokens=["phc_t"], secret_keys=["phs_secret"], definitions_per_minute=0, quota=["feature_flags"]
    )
    wrong: dict[str, Any] = {"headers": {"Authorization": "Bearer phs_wrong"}, "params": {"token": "phc_wrong"}}
    assert client.post(PATHS[0], **wrong).status_code == 405
    assert "The provided API key" in ask(client, **wrong).text
    assert ask(client, headers=wrong["headers"]).json()["code"] == "authentication_failed"
    assert ask(client).status_code == 429
    emulator.configure(definitions_per_minute=600)
    assert ask(client).status_code == 402
    emulator.configure(quota=[])
    assert ask(client).status_code == 503
    emulator.set_flags(FLAGS)
    assert ask(client).status_code == 200


def test_polls_are_counted_apart_with_their_times(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.set_flags(FLAGS)
    etag = ask(client).headers["etag"]
    ask(client, PATHS[2], etag=etag)
    ask(client, etag=etag)
    ask(client, headers={})
    client.post("/flags/?v=2", json={"token": "phc_t", "distinct_id": "u1"})
    summary = emulator.summary()
    assert (summary["definitions"], summary["flags"]) == ({"200": 1, "304": 2, "401": 1}, {"200": 1})
    polls = emulator.requests(path="/flags/definitions")
    assert [(poll.status, poll.token) for poll in polls] == [(200, "phc_t"), (304, "phc_t"), (401, "phc_t")]
    assert sorted(poll.arrived_at for poll in polls) == [poll.arrived_at for poll in polls]
    assert polls[1].headers["if-none-match"] == etag
    assert len(emulator.requests(path="/flags")) == 4
    assert len(emulator.requests(path="/flags", method="POST")) == 1


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (402, '"payment_required"'),
        (403, '"permission_denied"'),
        (429, '"rate_limit_exceeded"'),
        (500, "An internal server error occurred."),
        (503, "Required data not found in cache."),
        (504, "Evaluation pool busy"),
        (502, ""),
    ],
)
def test_a_fault_says_what_the_flags_service_says(
    emulator: Emulator, client: httpx2.Client, status: int, text: str
) -> None:
    emulator.set_flags(FLAGS)
    emulator.fault(status=status, path="/flags/definitions", times=1)
    answer = ask(client)
    assert answer.status_code == status
    assert text in answer.text
    assert answer.headers["content-type"] == (
        "application/json" if text.startswith('"') else "text/plain; charset=utf-8"
    )
    assert ask(client).status_code == 200
    assert emulator.summary()["definitions"] == {"200": 1, str(status): 1}


def test_a_fault_can_answer_with_definitions_that_nobody_can_read(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.fault(status=200, path="/flags/definitions", body={"flags": None}, headers={"ETag": 'W/"x"'})
    answer = ask(client)
    assert (answer.json(), answer.headers["etag"]) == ({"flags": None}, 'W/"x"')


RULES = {"version": 2, "return_type": "boolean", "default_value": False, "rules": []}
MIXED = definitions(
    flag("plain", where("33", 33, "in", "cohort")),
    {"id": 5, "key": "rules", "active": True, "filters": RULES},
    {"id": 6, "key": "rules-2.0", "active": True, "filters": {**RULES, "version": 2.0}},
    {"id": 7, "key": "newer", "active": True, "filters": {"version": 3}},
    {"id": 8, "key": "text", "active": True, "filters": {"version": "1"}},
    flag("depends", on("rules")),
    flag("depends-further", on("depends"), where("35", 35, "in", "cohort")),
    flag("on-plain", on("plain")),
    flag("one", filters={"version": 1.0}),
    flag("gone", deleted=True),
    flag("hidden", has_encrypted_payloads=True),
    flag("inactive", active=False),
    cohorts={
        "33": {"type": "OR", "values": [{"key": "id", "type": "cohort", "value": 34, "operator": "in"}]},
        "34": {},
        "35": {},
    },
)
OLDER = ["plain", "on-plain", "one", "inactive"]
ALL = ["plain", "rules", "rules-2.0", "newer", "text", "depends", "depends-further", *OLDER[1:]]


@pytest.mark.parametrize(
    ("query", "mixed_feed", "keys", "cohorts"),
    [
        ({}, True, OLDER, ["33", "34"]),
        ({"v": "1"}, True, OLDER, ["33", "34"]),
        ({"v": "2"}, False, OLDER, ["33", "34"]),
        ({"v": "2"}, True, ALL, ["33", "34", "35"]),
    ],
)
def test_rules_flags_are_in_the_mixed_feed_only(
    emulator: Emulator,
    client: httpx2.Client,
    query: dict[str, str],
    mixed_feed: bool,
    keys: list[str],
    cohorts: list[str],
) -> None:
    emulator.set_flags(MIXED)
    emulator.configure(mixed_feed=mixed_feed)
    answer = ask(client, params={**TOKEN, **query}).json()
    assert [flag["key"] for flag in answer["flags"]] == keys
    assert list(answer["cohorts"]) == cohorts


def test_the_feeds_have_their_own_etags(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.set_flags(MIXED)
    older, mixed = (ask(client, params={**TOKEN, **query}).headers["etag"] for query in ({}, {"v": "2"}))
    assert older != mixed
    assert ask(client, etag=mixed).status_code == 200
    assert ask(client, etag=mixed, params={**TOKEN, "v": "2"}).status_code == 304


def test_a_change_of_a_rules_flag_does_not_change_the_older_feed(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.set_flags(MIXED)
    held = ask(client).headers["etag"]
    changed = [{**flag, "version": 9} if flag["key"] == "rules" else flag for flag in MIXED["flags"]]
    emulator.set_flags({**MIXED, "flags": changed})
    assert ask(client, etag=held).status_code == 304


def test_flags_are_served_as_they_were_written(emulator: Emulator, client: httpx2.Client) -> None:
    written = '{"id": 5, "key": "rules", "active": true, "filters": {"version":2, "version":2.0,  "x": 33.330}}'
    emulator.set_flags(f'{{"flags": [{written}]}}')
    assert written in ask(client, params={**TOKEN, "v": "2"}).text
    assert written in client.get("/_emulator/flags").text
