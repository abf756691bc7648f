"""Dead letters that were edited: what goes back, and what is wrong with what does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hogbox._events.dead_letter import correct, pretty, read_event, refused_again
from hogbox._events.event import distinct_id_of, encode, is_object, uuid_of
from hogbox._events.exposure import exposure_id_of
from hogbox.errors import InvalidEvent

UUID = "0190a0b0-0000-7000-8000-000000000001"
OTHER = "0190a0b0-0000-7000-8000-000000000002"
BEFORE: dict[str, Any] = {
    "uuid": UUID,
    "event": "paid",
    "distinct_id": "guest",
    "timestamp": "2026-01-31T12:00:00.000000Z",
    "properties": {"amount": 1.10, "name": "Zoë"},
}
PAYLOAD = json.dumps(BEFORE)


def edited(**changes: Any) -> str:
    return json.dumps({**BEFORE, "distinct_id": "c-19", **changes})


def test_what_is_nested_too_deeply_is_no_event_and_is_shown_as_it_is() -> None:
    deep = '{"event":"paid","properties":' + "[" * 50_000 + "]" * 50_000 + "}"
    assert (read_event(deep), uuid_of(deep), distinct_id_of(deep), is_object(deep)) == ({}, "", None, False)
    assert exposure_id_of("phc_deep", deep) is None
    assert pretty(deep) == deep
    assert refused_again(deep) is not None
    with pytest.raises(InvalidEvent, match="not valid JSON"):
        correct(deep, PAYLOAD)


def test_p3_a_mended_event_keeps_everything_else() -> None:
    event = correct(edited(), PAYLOAD)
    assert event == {**BEFORE, "distinct_id": "c-19"}
    assert next(iter(event)) == "uuid"
    assert uuid_of(encode(event)) == UUID


def test_what_is_shown_is_what_was_stored() -> None:
    assert json.loads(pretty(PAYLOAD)) == BEFORE
    assert pretty("{no json") == "{no json"


def test_fields_of_others_are_kept() -> None:
    assert dict(correct(edited(**{"$set": {"a": 1}}), PAYLOAD))["$set"] == {"a": 1}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{", "not valid JSON"),
        ("[]", "a JSON object is required"),
        (edited(properties={"a": float("nan")}), "NaN is not a JSON number"),
        (edited(event=" "), "event must be a non-empty string"),
        (edited(distinct_id=7), "distinct_id must be a non-empty string"),
        (edited(properties=[]), "properties must be an object"),
        (edited(uuid="x"), "uuid must be a UUID"),
        (edited(uuid=OTHER), "another uuid makes it another event"),
        (edited(timestamp="yesterday"), "timestamp must be ISO 8601, such as"),
        (edited(timestamp="2026-02-01T12:00:00Z"), "another timestamp makes it another event"),
        (edited(distinct_id="undefined"), "PostHog would still refuse or garble it"),
        (edited(properties={"a": "\ud800"}), "can't be sent as JSON"),
    ],
)
def test_what_is_wrong_is_said(text: str, wrong: str) -> None:
    with pytest.raises(InvalidEvent, match=wrong):
        correct(text, PAYLOAD)


def test_what_is_allowed_is_taken() -> None:
    text = edited(uuid=OTHER, timestamp="2026-02-01T12:00:00Z", distinct_id="guest")
    assert correct(text, PAYLOAD, other_uuid=True, other_timestamp=True, force=True)["uuid"] == OTHER


def test_a_payload_that_was_no_event_can_become_one() -> None:
    assert correct(edited(), "{no json")["distinct_id"] == "c-19"


def test_what_would_be_refused_again() -> None:
    assert "creates no person" in (refused_again(PAYLOAD) or "")
    assert refused_again("[]") == refused_again("{") == "it is not an event: not a JSON object"
    assert refused_again(edited()) is None
    assert read_event("[]") == {}
