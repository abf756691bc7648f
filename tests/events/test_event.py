"""The event's stored form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox._events.event import ANALYTICS, Event, encode, to_row, uuid_of
from hogbox._events.identifier import shard_of
from hogbox._events.value import clean_properties

UUID_TEXT = "01990f6a-3c4e-7b51-9a55-0d2a6f0b7c11"


def new_event(distinct_id: str = "u-8842", properties: dict[str, Any] | None = None) -> Event:
    return {
        "uuid": UUID_TEXT,
        "event": "invoice paid",
        "distinct_id": distinct_id,
        "timestamp": "2026-03-04T10:15:30.250000+00:00",
        "properties": properties or {},
    }


def test_p3_the_stored_form_is_the_events_json_and_nothing_else() -> None:
    assert encode(new_event(properties={"total": 41.5, "name": "Zoë"})) == (
        '{"uuid":"01990f6a-3c4e-7b51-9a55-0d2a6f0b7c11","event":"invoice paid","distinct_id":"u-8842",'
        '"timestamp":"2026-03-04T10:15:30.250000+00:00","properties":{"total":41.5,"name":"Zoë"}}'
    )


def test_a_row_is_text_and_integers_in_its_persons_shard() -> None:
    row = to_row(new_event(), "phc_example")
    assert row == (shard_of("phc_example", "u-8842"), "phc_example", ANALYTICS, encode(new_event()))
    assert [type(column) for column in row] == [int, str, str, str]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(), inside, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_p3_what_was_captured_can_be_read_back(properties: dict[str, Any]) -> None:
    cleaned, problems = clean_properties(properties)
    payload = encode(new_event(properties=cleaned))
    assert json.loads(payload)["properties"] == properties
    assert problems == []
    assert uuid_of(payload) == UUID_TEXT


def test_the_uuid_is_found_wherever_it_stands() -> None:
    assert uuid_of('{"event": "edited by hand", "uuid": "' + UUID_TEXT + '"}') == UUID_TEXT


@pytest.mark.parametrize(
    "payload",
    ["", "{}", "[]", "no json", '{"uuid":7}', '{"uuid":"' + UUID_TEXT, "null"],
    ids=["empty", "no uuid", "list", "no json", "uuid of a wrong type", "cut", "null"],
)
def test_what_is_no_event_has_no_uuid(payload: str) -> None:
    assert uuid_of(payload) == ""
