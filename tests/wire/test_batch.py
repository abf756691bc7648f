"""The capture request."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox._wire.batch import CaptureRequest, batch_request

SENT_AT = "2026-03-04T10:15:31.004000+00:00"


def request_of(*payloads: str, token: str = "phc_example") -> CaptureRequest:
    return batch_request(token, payloads, sent_at=SENT_AT, user_agent="hogbox/0.1.0")


def body_of(request: CaptureRequest) -> Any:
    zipped = request.headers.get("Content-Encoding") == "gzip"
    return json.loads(gzip.decompress(request.body) if zipped else request.body)


def test_p3_events_are_joined_as_they_were_stored() -> None:
    assert request_of('{"uuid":"1"}', '{ "uuid" : "2" }') == CaptureRequest(
        path="/batch/",
        headers={"Content-Type": "application/json", "User-Agent": "hogbox/0.1.0"},
        body=(
            b'{"api_key":"phc_example","historical_migration":false,"sent_at":"2026-03-04T10:15:31.004000+00:00",'
            b'"batch":[{"uuid":"1"},{ "uuid" : "2" }]}'
        ),
    )


def test_a_backfill_says_that_it_is_one() -> None:
    request = batch_request("phc_example", ["{}"], sent_at=SENT_AT, user_agent="hogbox/0.1.0", historical=True)
    assert body_of(request)["historical_migration"] is True


@pytest.mark.parametrize(("size", "zipped"), [(100, False), (2000, True)], ids=["small", "large"])
def test_only_what_is_worth_it_is_compressed(size: int, zipped: bool) -> None:
    request = request_of('{"text":"' + "é" * size + '"}')
    assert (request.headers.get("Content-Encoding") == "gzip") is zipped
    assert request.headers["Content-Type"] == "application/json"
    assert request.body.startswith(b"\x1f\x8b\x08") is zipped
    assert body_of(request)["batch"] == [{"text": "é" * size}]


def test_p3_the_same_events_compress_to_the_same_bytes() -> None:
    assert request_of(*["{}"] * 1000) == request_of(*["{}"] * 1000)


EVENTS = st.lists(st.dictionaries(st.text(), st.text() | st.integers() | st.none(), max_size=3), max_size=30)


@given(EVENTS, st.text(), st.booleans())
def test_p4_the_body_holds_every_event_in_order(events: list[dict[str, Any]], token: str, ascii_only: bool) -> None:
    request = request_of(*[json.dumps(event, ensure_ascii=ascii_only) for event in events], token=token)
    assert body_of(request) == {
        "api_key": token,
        "historical_migration": False,
        "sent_at": SENT_AT,
        "batch": events,
    }
