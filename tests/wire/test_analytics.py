"""The capture request of v1, and the verdict on what is answered."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox._wire.analytics import analytics_request
from hogbox._wire.analytics_verdict import judge_analytics
from hogbox._wire.batch import CaptureRequest, RequestIdentity
from hogbox._wire.compression import encoder
from hogbox._wire.identifier import canonical_uuid
from hogbox._wire.result import EventResult, is_over_quota
from hogbox._wire.verdict import Verdict

UUID = "01990f6a-3c4e-7b51-9a55-0d2a6f0b7c11"
OTHER = "01990f6a-3c4e-7b51-9a55-0d2a6f0b7c12"
IDENTITY = RequestIdentity("01990f6a-3c4e-7b51-9a55-0d2a6f0b7cff", "2026-03-04T10:15:30.900Z", 3)
PAYLOAD = json.dumps(
    {"uuid": UUID, "event": "paid", "distinct_id": "u", "timestamp": "2026-03-04T10:15:30Z", "properties": {}}
)


def request_of(*payloads: str, compression: str = "auto", historical: bool = False) -> CaptureRequest:
    return analytics_request(
        "phc_example",
        payloads,
        IDENTITY,
        sent_at="2026-03-04T10:15:31.004Z",
        user_agent="hogbox/0.1.0",
        encoder=encoder(compression),
        historical=historical,
    )


def test_the_key_and_the_attempt_are_in_the_headers_and_nothing_of_them_in_the_body() -> None:
    request = request_of(PAYLOAD)
    assert request.path == "/i/v1/analytics/events"
    assert request.headers == {
        "Content-Type": "application/json",
        "User-Agent": "hogbox/0.1.0",
        "Authorization": "Bearer phc_example",
        "PostHog-Sdk-Info": "hogbox/0.1.0",
        "PostHog-Attempt": "3",
        "PostHog-Request-Id": IDENTITY.request_id,
        "PostHog-Request-Timestamp": "2026-03-04T10:15:31.004Z",
    }
    body = json.loads(request.body)
    assert list(body) == ["created_at", "batch"]
    assert body["created_at"] == "2026-03-04T10:15:30.900Z"
    assert body["batch"] == [{**json.loads(PAYLOAD), "options": {}}]


def test_only_a_backfill_says_that_it_is_one() -> None:
    assert json.loads(request_of(PAYLOAD, historical=True).body)["historical_migration"] is True


def test_the_body_is_compressed_as_is_asked() -> None:
    request = request_of(PAYLOAD, compression="gzip")
    assert request.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(request.body)) == json.loads(request_of(PAYLOAD, compression="none").body)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (UUID, UUID),
        (UUID.upper(), UUID),
        (UUID.replace("-", ""), UUID),
        (f"urn:uuid:{UUID}", UUID),
        (f" {{{UUID}}} ", UUID),
        ("no uuid", "no uuid"),
        ("", ""),
    ],
)
def test_uuids_are_compared_as_posthog_writes_them(text: str, canonical: str) -> None:
    assert canonical_uuid(text) == canonical


def results(**stated: Any) -> str:
    return json.dumps({"results": {UUID if name == "one" else OTHER: value for name, value in stated.items()}})


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (results(one={"result": "ok"}), Verdict.DELIVERED),
        (results(one={"result": "ok", "details": "person_processing_disabled"}), Verdict.DELIVERED),
        (results(one={"result": "warning"}, two={"result": "limited"}), Verdict.DELIVERED),
        (results(one={"result": "invented"}), Verdict.DELIVERED),
        (results(one={}), Verdict.DELIVERED),
        (results(one=None), Verdict.DELIVERED),
        ('{"results":{}}', Verdict.DELIVERED),
        (results(one={"result": "drop"}), Verdict.PARTIAL),
        (results(one={"result": "ok"}, two={"result": "retry"}), Verdict.PARTIAL),
        ('{"results":[]}', Verdict.RETRY),
        ('{"results":null}', Verdict.RETRY),
        ('{"status":"Ok"}', Verdict.RETRY),
        ('{"results":{"a":{"result":"o', Verdict.RETRY),
        ("[" * 100_000, Verdict.RETRY),
        ("<!doctype html>", Verdict.RETRY),
        ("", Verdict.RETRY),
    ],
)
def test_a_success_counts_only_with_results(body: str, verdict: Verdict) -> None:
    answer = judge_analytics(200, body, 1.0, "application/json")
    assert answer.verdict is verdict
    assert answer.recognized is (verdict is not Verdict.RETRY)
    assert answer.retry_after == 1.0


def test_results_are_found_by_the_parsed_uuid() -> None:
    body = json.dumps({"results": {UUID.upper(): {"result": "drop", "details": "event_too_big"}, "x": 3}})
    assert judge_analytics(200, body).results[UUID] == EventResult("drop", "event_too_big")


def error(tag: str) -> str:
    return json.dumps({"error": tag, "error_description": "…", "error_uri": "https://posthog.com/docs/api"})


@pytest.mark.parametrize(
    ("status", "body", "verdict", "accuses"),
    [
        (400, error("missing_required_headers"), Verdict.RETRY, False),
        (400, error("request_decoding_error"), Verdict.RETRY, False),
        (400, error("empty_batch"), Verdict.RETRY, False),
        (400, error("request_parsing_error"), Verdict.REFUSED, True),
        (400, error("missing_event_uuid"), Verdict.REFUSED, True),
        (400, error("invalid_event_uuid"), Verdict.REFUSED, True),
        (400, error("duplicate_event_uuid"), Verdict.REFUSED, True),
        (401, error("invalid_api_token"), Verdict.KEY_REFUSED, False),
        (401, error("missing_authorization"), Verdict.KEY_REFUSED, False),
        (402, error("billing_limit_exceeded"), Verdict.KEY_REFUSED, False),
        (403, error("forbidden"), Verdict.KEY_REFUSED, False),
        (404, error("not_found"), Verdict.KEY_REFUSED, False),
        (408, error("request_timeout"), Verdict.RETRY, False),
        (413, error("payload_too_large"), Verdict.TOO_LARGE, True),
        (415, error("unsupported_encoding"), Verdict.RETRY, False),
        (429, error("rate_limited"), Verdict.RETRY, False),
        (500, error("internal_error"), Verdict.RETRY, False),
        (503, error("service_unavailable"), Verdict.RETRY, False),
        (504, error("gateway_timeout"), Verdict.RETRY, False),
    ],
)
def test_errors_of_the_request_are_judged_as_those_of_v0(
    status: int, body: str, verdict: Verdict, accuses: bool
) -> None:
    answer = judge_analytics(status, body)
    assert (answer.verdict, answer.accuses, answer.recognized) == (verdict, accuses, True)


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, "not found"), (405, ""), (400, "failed to parse request: …"), (413, "too large"), (302, ""), (503, "busy")],
)
def test_an_error_in_other_words_accuses_nobody_and_is_not_recognized(status: int, body: str) -> None:
    answer = judge_analytics(status, body)
    assert not answer.accuses
    assert not answer.recognized


@pytest.mark.parametrize(
    ("result", "reason", "over_quota"),
    [
        (
            EventResult("drop", "billing_limit_exceeded"),
            "dropped by PostHog: billing_limit_exceeded (the project's quota is used up)",
            True,
        ),
        (EventResult("drop", "replays_over_quota"), "dropped by PostHog: replays_over_quota", True),
        (EventResult("drop"), "dropped by PostHog", False),
        (EventResult("retry", "not_persisted"), "PostHog asks to send it again: not_persisted", False),
        (EventResult("ok", "billing_limit_exceeded"), "", False),
    ],
)
def test_a_result_says_why(result: EventResult, reason: str, over_quota: bool) -> None:
    assert (result.dropped and is_over_quota(result.reason)) is over_quota
    assert not reason or result.reason == reason


@given(st.integers(100, 999), st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_whatever_is_answered_leads_to_a_verdict_and_delivers_nothing(status: int, body: str) -> None:
    answer = judge_analytics(status, body)
    assert answer.verdict not in (Verdict.DELIVERED, Verdict.PARTIAL) or '"results"' in body
    assert "\n" not in answer.reason
