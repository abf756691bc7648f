"""Capture v1 over real HTTP (wire protocol 4.1 to 4.5, 4.8): headers, bodies, results, and what is stored."""

from __future__ import annotations

import gzip
import json
import socket
import zlib
from datetime import datetime
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any

import brotli  # type: ignore[import-untyped]
import httpx2
import pytest
import zstandard

from hogbox.emulator import Emulator, Settings
from hogbox.emulator.answer import Request
from hogbox.emulator.script import ScriptedResults
from hogbox.emulator.setting import Limits
from hogbox.emulator.v1.capture import capture_v1
from tests.emulator.v1_case import AI_PATH, HEADERS, NOW, PATH, REQUEST_ID, batch, event, post, results, uuid


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_batch_is_answered_event_by_event_in_its_order(emulator: Emulator, client: httpx2.Client, slash: str) -> None:
    answer = post(client, batch(event(2), event(1, uuid=f" {uuid(1).upper()} ")), path=PATH + slash)
    assert list(answer.json()["results"].items()) == [(uuid(2), {"result": "ok"}), (uuid(1), {"result": "ok"})]
    assert answer.headers["posthog-request-id"] == REQUEST_ID
    assert parsedate_to_datetime(answer.headers["date"]).tzinfo is not None
    assert "retry-after" not in answer.headers
    assert [stored.uuid for stored in emulator.events()] == [uuid(2), uuid(1)]
    [request] = emulator.requests()
    assert (request.token, request.events, request.status) == ("phc_t", 2, 200)


MISSING = ["Content-Type", "User-Agent", "PostHog-Sdk-Info", "PostHog-Attempt", "PostHog-Request-Id"]

REFUSED: dict[str, tuple[dict[str, Any], Any, int, str]] = {
    "no key": ({"Authorization": ...}, None, 401, "missing_authorization"),
    "no key, before all else": ({"Authorization": ..., "Content-Type": ...}, b"", 401, "missing_authorization"),
    "no content type": ({"Content-Type": ...}, None, 400, "missing_required_headers"),
    "no user agent": ({"User-Agent": ...}, None, 400, "missing_required_headers"),
    "no sdk info": ({"PostHog-Sdk-Info": ...}, None, 400, "missing_required_headers"),
    "no attempt": ({"PostHog-Attempt": ...}, None, 400, "missing_required_headers"),
    "no request id": ({"PostHog-Request-Id": ...}, None, 400, "missing_required_headers"),
    "no timestamp": ({"PostHog-Request-Timestamp": ...}, None, 400, "missing_required_headers"),
    "missing before the key": ({"Authorization": "Basic x", "User-Agent": ...}, None, 400, "missing_required_headers"),
    "another scheme": ({"Authorization": "Basic phc_t"}, None, 400, "invalid_header_value"),
    "no scheme": ({"Authorization": "phc_t"}, None, 400, "invalid_header_value"),
    "a personal key": ({"Authorization": "Bearer phx_1"}, None, 401, "invalid_api_token"),
    "a long key": ({"Authorization": "Bearer " + "x" * 65}, None, 401, "invalid_api_token"),
    "the key before the type": (
        {"Authorization": "Bearer phx_1", "Content-Type": "text/plain"},
        None,
        401,
        "invalid_api_token",
    ),
    "text": ({"Content-Type": "text/plain"}, None, 415, "unsupported_content_type"),
    "unknown encoding": ({"Content-Encoding": "lz4"}, None, 415, "unsupported_encoding"),
    "the encoding before the id": (
        {"Content-Encoding": "lz4", "PostHog-Request-Id": "x"},
        None,
        415,
        "unsupported_encoding",
    ),
    "no uuid as id": ({"PostHog-Request-Id": "1"}, None, 400, "invalid_header_value"),
    "attempt 0": ({"PostHog-Attempt": "0"}, None, 400, "invalid_header_value"),
    "attempt 1.0": ({"PostHog-Attempt": "1.0"}, None, 400, "invalid_header_value"),
    "a time without an offset": (
        {"PostHog-Request-Timestamp": "2026-03-04T10:15:31"},
        None,
        400,
        "invalid_header_value",
    ),
    "headers before the body": ({"PostHog-Attempt": "x"}, b"", 400, "invalid_header_value"),
    "empty body": ({}, b"", 400, "empty_body"),
    "not gzip": ({"Content-Encoding": "gzip"}, b"{}", 400, "request_decoding_error"),
    "half of gzip": ({"Content-Encoding": "gzip"}, gzip.compress(b"{}")[:-9], 400, "request_decoding_error"),
    "not deflate": ({"Content-Encoding": "deflate"}, b"\xff{}", 400, "request_decoding_error"),
    "not br": ({"Content-Encoding": "br"}, b"{}", 400, "request_decoding_error"),
    "half of br": ({"Content-Encoding": "br"}, brotli.compress(b"{}" * 99)[:-2], 400, "request_decoding_error"),
    "not zstd": ({"Content-Encoding": "zstd"}, b"{}", 400, "request_decoding_error"),
    "half of zstd": ({"Content-Encoding": "zstd"}, zstandard.compress(b"{}" * 99)[:-2], 400, "request_decoding_error"),
    "no JSON": ({}, b"{", 400, "request_parsing_error"),
    "an array": ({}, [], 400, "request_parsing_error"),
    "no created_at": ({}, batch(event(), created_at=...), 400, "request_parsing_error"),
    "no batch": ({}, {"created_at": NOW}, 400, "request_parsing_error"),
    "no event name": ({}, batch(event(event=...)), 400, "request_parsing_error"),
    "a number as event name": ({}, batch(event(event=5)), 400, "request_parsing_error"),
    "no uuid": ({}, batch(event(uuid=...)), 400, "request_parsing_error"),
    "no distinct id": ({}, batch(event(distinct_id=...)), 400, "request_parsing_error"),
    "a number as distinct id": ({}, batch(event(distinct_id=5)), 400, "request_parsing_error"),
    "no timestamp of an event": ({}, batch(event(timestamp=...)), 400, "request_parsing_error"),
    "a number as session": ({}, batch(event(session_id=5)), 400, "request_parsing_error"),
    "a number as window": ({}, batch(event(window_id=5)), 400, "request_parsing_error"),
    "empty batch": ({}, batch(), 400, "empty_batch"),
    "created_at is a date": ({}, batch(event(), created_at="2026-03-04"), 400, "invalid_batch"),
    "empty uuid": ({}, batch(event(), event(uuid=" ")), 400, "missing_event_uuid"),
    "malformed uuid": ({}, batch(event(), event(uuid="x")), 400, "invalid_event_uuid"),
    "one uuid twice": ({}, batch(event(), event(2), event()), 400, "duplicate_event_uuid"),
    "one uuid in two spellings": (
        {},
        batch(event(), event(uuid=uuid(1).upper().replace("-", ""))),
        400,
        "duplicate_event_uuid",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_is_refused_as_a_whole(emulator: Emulator, client: httpx2.Client, name: str) -> None:
    headers, body, status, tag = REFUSED[name]
    answer = post(client, body, headers=headers)
    said = answer.json()
    assert (answer.status_code, said["error"]) == (status, tag)
    assert sorted(said) == ["error", "error_description", "error_uri"]
    assert said["error_uri"] == "https://posthog.com/docs/api"
    assert answer.headers["content-type"] == "application/json"
    assert "retry-after" not in answer.headers
    sent_id = headers.get("PostHog-Request-Id", REQUEST_ID)
    assert answer.headers.get("posthog-request-id", ...) == sent_id
    assert emulator.events() == []


def test_all_missing_headers_are_named(client: httpx2.Client) -> None:
    said = post(client, headers=dict.fromkeys(MISSING, ...)).json()["error_description"]
    assert all(name.lower() in said for name in MISSING)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "bEaReR   phc_t"},
        {"Content-Type": "Application/JSON; charset=utf-8"},
        {"PostHog-Sdk-Info": "no-version"},
        {"PostHog-Sdk-Info": "sdk/" + "1" * 200},
        {"PostHog-Request-Id": REQUEST_ID.replace("-", "").upper()},
        {"PostHog-Request-Timestamp": "2026-03-04T15:45:31+05:30"},
        {"PostHog-Attempt": "7"},
    ],
)
def test_headers_may_have_other_forms(client: httpx2.Client, headers: dict[str, Any]) -> None:
    assert results(post(client, headers=headers)) == [("ok", None)]


PACKED = {
    "gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


def deflate_raw(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("encoding", [*PACKED, "raw deflate"])
def test_bodies_may_be_compressed(emulator: Emulator, client: httpx2.Client, encoding: str) -> None:
    text = json.dumps(batch(event(properties={"x": "y" * 5000}))).encode()
    packed = PACKED.get(encoding, deflate_raw)(text)
    assert results(post(client, packed, headers={"Content-Encoding": encoding.split()[-1]})) == [("ok", None)]
    assert len(emulator.events()) == 1


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_body_over_50_mib_unpacked_is_413(client: httpx2.Client, encoding: str) -> None:
    bomb = PACKED[encoding](b" " * (50 * 1024 * 1024 + 1))
    answer = post(client, bomb, headers={"Content-Encoding": encoding})
    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")


def test_a_body_over_10_mib_is_413_after_the_headers_are_checked(client: httpx2.Client) -> None:
    frame = len(json.dumps(batch(event(), filler="")))
    fits = json.dumps(batch(event(), filler="x" * (10 * 1024 * 1024 - frame))).encode()
    assert results(post(client, fits)) == [("ok", None)]
    answer = post(client, fits + b" ")
    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")
    assert post(client, fits + b" ", headers={"Authorization": ...}).status_code == 401
    assert results(post(client, fits + b" ", path=AI_PATH)) == [("drop", "misrouted_event")]


def test_a_body_that_stops_arriving_is_408(emulator: Emulator) -> None:
    emulator.configure(body_timeout=0.05)
    headers = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    with socket.create_connection((emulator.host, emulator.port), timeout=10) as connection:
        connection.sendall(
            f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nConnection: close\r\n{headers}\r\n{{".encode()
        )
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"body_read_timeout"' in answer
    assert b"\r\nretry-after: 1\r\n" in answer


DROPPED: dict[str, tuple[dict[str, Any], str]] = {
    "a performance event": ({"event": "$performance_event"}, "dropped_performance_event"),
    "no name": ({"event": ""}, "missing_event_name"),
    "a long name": ({"event": "x" * 201}, "event_name_too_long"),
    "a name of many bytes": ({"event": "é" * 101}, "event_name_too_long"),
    "the name before the id": ({"event": "", "distinct_id": ""}, "missing_event_name"),
    "no distinct id": ({"distinct_id": ""}, "missing_distinct_id"),
    "a blank distinct id": ({"distinct_id": " \t"}, "missing_distinct_id"),
    "a long distinct id": ({"distinct_id": "x" * 201}, "distinct_id_too_large"),
    "a distinct id of many bytes": ({"distinct_id": "é" * 101}, "distinct_id_too_large"),
    "no time": ({"timestamp": ""}, "invalid_event_timestamp"),
    "a time without an offset": ({"timestamp": "2026-03-04T10:15:30"}, "invalid_event_timestamp"),
    "a date": ({"timestamp": "2026-03-04"}, "invalid_event_timestamp"),
    "no such day": ({"timestamp": "2026-02-30T10:15:30Z"}, "invalid_event_timestamp"),
    "the time before the properties": ({"timestamp": "x", "properties": []}, "invalid_event_timestamp"),
    "an array of properties": ({"properties": []}, "malformed_event_properties"),
    "null properties": ({"properties": None}, "malformed_event_properties"),
    "text as properties": ({"properties": "{}"}, "malformed_event_properties"),
    "options are an array": ({"options": []}, "invalid_options"),
    "options are text": ({"options": "x"}, "invalid_options"),
    "an option is an array": ({"options": {"cookieless_mode": [True]}}, "invalid_options"),
    "an option is an object": ({"options": {"process_person_profile": {}}}, "invalid_options"),
    "an option is an unknown word": ({"options": {"disable_skew_correction": "maybe"}}, "invalid_options"),
    "an option is not finite": ({"options": {"disable_skew_correction": "inf"}}, "invalid_options"),
    "a tour is a number": ({"options": {"product_tour_id": 5}}, "invalid_options"),
    "too big": ({"properties": {"x": "y" * 1_000_000}}, "event_too_big"),
    "too big by its quotes": ({"properties": {"x": '"' * 260_000}}, "event_too_big"),
}


@pytest.mark.parametrize("name", DROPPED)
def test_an_event_is_dropped_without_the_others(emulator: Emulator, client: httpx2.Client, name: str) -> None:
    fields, details = DROPPED[name]
    answer = post(client, batch(event(1), event(2, **fields), event(3)))
    assert results(answer) == [("ok", None), ("drop", details), ("ok", None)]
    assert "retry-after" not in answer.headers
    assert [stored.uuid for stored in emulator.events()] == [uuid(1), uuid(3)]


def test_a_batch_of_which_every_event_is_dropped_is_a_200(client: httpx2.Client) -> None:
    assert results(post(client, batch(event(event=""), event(2, distinct_id="")))) == [
        ("drop", "missing_event_name"),
        ("drop", "missing_distinct_id"),
    ]


KEPT: list[dict[str, Any]] = [
    {"event": "x" * 200},
    {"event": " "},
    {"distinct_id": " " + "x" * 200 + " "},
    {"timestamp": "2026-03-04 10:15:30.123456789+00:00"},
    {"timestamp": "2026-03-04t10:15:30z"},
    {"properties": ...},
    {"options": ...},
    {"options": None},
    {"options": {"unknown": [1]}},
    {"session_id": None},
    {"unknown": {}},
]


@pytest.mark.parametrize("fields", KEPT, ids=str)
def test_what_is_allowed_is_stored(client: httpx2.Client, fields: dict[str, Any]) -> None:
    assert results(post(client, batch(event(**fields)))) == [("ok", None)]


def test_the_stored_event_has_what_v1_keeps_elsewhere(emulator: Emulator, client: httpx2.Client) -> None:
    options = {
        "cookieless_mode": True,
        "disable_skew_correction": 0,
        "process_person_profile": " No ",
        "product_tour_id": "tour",
    }
    sent = event(
        distinct_id=" u1 ",
        session_id="s-77",
        window_id="w-1",
        options=options,
        properties={"total": 41.5, "$lib": "other", "$set": {"plan": "team"}},
    )
    post(client, batch(sent, historical_migration=True), headers={"PostHog-Sdk-Info": "sub/sdk / 1.2"})
    [stored] = emulator.events()
    assert stored.distinct_id == "u1"
    assert stored.properties == {
        "total": 41.5,
        "$set": {"plan": "team"},
        "$lib": "sub/sdk",
        "$lib_version": "1.2",
        "$session_id": "s-77",
        "$window_id": "w-1",
        "$cookieless_mode": True,
        "$ignore_sent_at": False,
        "$process_person_profile": False,
        "$product_tour_id": "tour",
    }
    assert (stored.path, stored.historical_migration, stored.sent_at) == (PATH, True, NOW)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        *((word, True) for word in (True, 1, -0.5, "true", " T ", "YES", "y", "on", "1", "2.5")),
        *((word, False) for word in (False, 0, 0.0, "False", "f", "no", "N", "off", "0")),
        *((word, None) for word in (None, "", "  ")),
    ],
)
def test_options_are_read_leniently(emulator: Emulator, client: httpx2.Client, value: Any, read: bool | None) -> None:
    post(client, batch(event(options={"process_person_profile": value})))
    assert emulator.events()[0].properties.get("$process_person_profile") is read


@pytest.mark.parametrize("sdk", ["no-version", "/1", "sdk/", "sdk/" + "1" * 197])
def test_without_an_sdk_nothing_is_written(emulator: Emulator, client: httpx2.Client, sdk: str) -> None:
    post(client, batch(event(properties={"$lib": "own"})), headers={"PostHog-Sdk-Info": sdk})
    assert emulator.events()[0].properties == {"$lib": "own"}


@pytest.mark.parametrize(
    "distinct_id", ["0", " Anonymous ", "[object Object]", "NULL", "0" * 8 + "-0000" * 3 + "-" + "0" * 12]
)
def test_illegal_distinct_ids_are_stored_without_a_person(
    emulator: Emulator, client: httpx2.Client, distinct_id: str
) -> None:
    sent = event(distinct_id=distinct_id, properties={"$set": {"plan": "team"}})
    assert results(post(client, batch(sent))) == [("ok", "person_processing_disabled")]
    assert [stored.person_processing for stored in emulator.events()] == [False]


CLIENT_NOW = 1_772_619_331.0


@pytest.mark.parametrize(
    ("ahead", "timestamp", "options", "hours"),
    [
        (0, NOW, {}, 0),
        (3600, NOW, {}, 1),
        (-3600, NOW, {}, -1),
        (3600, "2026-03-04T09:15:31Z", {}, 0),
        (3600, NOW, {"disable_skew_correction": True}, 0),
        (0, "2026-03-05T09:15:31Z", {}, 23),
        (0, "2026-03-05T09:15:32Z", {}, 0),
        (0, "9999-12-31T23:59:59Z", {}, 0),
    ],
)
def test_the_clients_clock_error_cancels_out(ahead: int, timestamp: str, options: dict[str, Any], hours: int) -> None:
    """`ahead` is by how many seconds the server's clock is ahead of the client's."""
    request = Request(
        sequence=1,
        method="POST",
        path=PATH,
        query="",
        headers={name.lower(): value for name, value in HEADERS.items()},
        body=json.dumps(batch(event(timestamp=timestamp, options=options))).encode(),
        arrived_at=CLIENT_NOW,
        now=CLIENT_NOW + ahead,
    )
    [stored] = capture_v1(request, Settings(), Limits(), ScriptedResults(Random(0))).events
    assert datetime.fromisoformat(stored.time).timestamp() == CLIENT_NOW + hours * 3600


def test_resent_events_count_once(emulator: Emulator, client: httpx2.Client) -> None:
    for attempt in "12":
        post(client, headers={"PostHog-Attempt": attempt})
    client.post("/batch/", json={"api_key": "phc_t", "batch": [event()]})
    client.post("/batch/", json={"api_key": "phc_t", "batch": [event(timestamp="2026-03-04T10:15:30.25+00:00")]})
    assert len(emulator.events()) == 4
    assert len(emulator.events(unique=True)) == 1


EVERYTHING = [event(1), event(2, event="$exception"), event(3, event="survey sent"), event(4, event="$ai_span")]


@pytest.mark.parametrize(
    ("quota", "answered"),
    [
        ([], ["ok", "ok", "ok", "ok"]),
        (["exceptions"], ["ok", "drop", "ok", "ok"]),
        (["surveys", "llm_events"], ["ok", "ok", "drop", "drop"]),
    ],
)
def test_a_quota_of_one_kind_drops_its_events(
    emulator: Emulator, client: httpx2.Client, quota: list[str], answered: list[str]
) -> None:
    emulator.configure(quota=quota)
    said = results(post(client, batch(*EVERYTHING)))
    assert [result for result, _ in said] == answered
    assert {details for result, details in said if result == "drop"} <= {"billing_limit_exceeded"}
    assert emulator.summary()["events"] == answered.count("ok")


@pytest.mark.parametrize("quota", [["events"], ["exceptions"]])
def test_over_quota_the_whole_batch_is_402(emulator: Emulator, client: httpx2.Client, quota: list[str]) -> None:
    emulator.configure(quota=quota)
    answer = post(client, batch(event(event="$exception"), event(2, event="")))
    assert (answer.status_code, answer.json()["error"]) == (402, "billing_limit_exceeded")
    assert answer.json()["error_uri"] == "https://posthog.com/docs/billing/limits"
    assert results(post(client, batch(event(event="")))) == [("drop", "missing_event_name")]


def test_a_survey_of_a_product_tour_is_not_counted(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.configure(quota=["surveys"])
    tour = event(event="survey shown", options={"product_tour_id": "t"})
    assert results(post(client, batch(tour))) == [("ok", None)]


def test_unknown_keys_may_be_refused(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.configure(known_tokens=["phc_other"])
    answer = post(client)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_api_token")
    assert results(post(client, headers={"Authorization": "Bearer phc_other"})) == [("ok", None)]


def test_a_server_without_v1_is_404(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.configure(capture_v1=False)
    answer = post(client)
    assert (answer.status_code, answer.content) == (404, b"")
    assert "posthog-request-id" not in answer.headers
    assert post(client, path=AI_PATH).status_code == 404


def test_other_methods(client: httpx2.Client) -> None:
    assert client.options(PATH).status_code == 200
    assert client.get(PATH).status_code == 405


@pytest.mark.parametrize(
    ("status", "tag", "again"),
    [
        (400, "request_parsing_error", None),
        (401, "invalid_api_token", None),
        (402, "billing_limit_exceeded", None),
        (408, "request_timeout", "1"),
        (413, "payload_too_large", None),
        (415, "unsupported_encoding", None),
        (429, "rate_limited", None),
        (500, "internal_error", "1"),
        (503, "service_unavailable", "1"),
        (504, "gateway_timeout", "1"),
    ],
)
def test_a_fault_has_the_body_and_headers_of_v1(
    emulator: Emulator, client: httpx2.Client, status: int, tag: str, again: str | None
) -> None:
    emulator.fault(status=status)
    answer = post(client)
    assert (answer.status_code, answer.json()["error"]) == (status, tag)
    assert answer.headers.get("retry-after") == again
    assert answer.headers["posthog-request-id"] == REQUEST_ID


def test_a_fault_may_have_its_own_headers(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.fault(status=503, headers={"Retry-After": "3"}, path=PATH, times=1)
    assert post(client).headers.get_list("retry-after") == ["3"]
    assert results(post(client)) == [("ok", None)]
