"""Stored events as capture v1 takes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox._wire.conversion import to_v1

EVENT = {
    "uuid": "01990f6a-3c4e-7b51-9a55-0d2a6f0b7c11",
    "event": "invoice paid",
    "distinct_id": "u-8842",
    "timestamp": "2026-03-04T10:15:30.250000+00:00",
}


def converted(properties: Any = None, **fields: Any) -> dict[str, Any]:
    event = {**EVENT, "properties": {} if properties is None else properties, **fields}
    sent: dict[str, Any] = json.loads(to_v1(json.dumps(event)))
    return sent


def test_the_four_required_fields_stay_and_options_are_always_there() -> None:
    assert converted({"total": 41.5}) == {**EVENT, "options": {}, "properties": {"total": 41.5}}


@pytest.mark.parametrize(
    ("given", "option"),
    [
        (True, True),
        (False, False),
        (1, True),
        (0, False),
        (2.5, True),
        (" TRUE ", True),
        ("1", True),
        ("False", False),
        ("0", False),
        ("yes", None),
        (None, None),
        ([True], None),
        ({}, None),
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("$cookieless_mode", "cookieless_mode"),
        ("$ignore_sent_at", "disable_skew_correction"),
        ("$process_person_profile", "process_person_profile"),
    ],
)
def test_a_switch_becomes_an_option_or_is_left_out(name: str, named: str, given: Any, option: bool | None) -> None:
    sent = converted({name: given, "n": 1})
    assert sent["options"] == ({} if option is None else {named: option})
    assert sent["properties"] == {"n": 1}


@pytest.mark.parametrize("value", [1, None, ["a"], {"a": 1}, True], ids=repr)
def test_only_texts_move_to_the_root_and_to_the_tour(value: Any) -> None:
    names = ("$session_id", "$window_id", "$product_tour_id")
    sent = converted(dict.fromkeys(names, "s-1"))
    assert (sent["session_id"], sent["window_id"], sent["options"]) == ("s-1", "s-1", {"product_tour_id": "s-1"})
    assert sent["properties"] == {}
    other = converted(dict.fromkeys(names, value))
    assert other == {**EVENT, "options": {}, "properties": {}}


def test_the_name_of_the_library_is_left_to_the_header() -> None:
    assert converted({"$lib": "hogbox", "$lib_version": "0.1.0", "$is_server": True})["properties"] == {
        "$is_server": True
    }


@pytest.mark.parametrize(
    ("root", "inside", "merged"),
    [
        ({"a": 1}, None, {"a": 1}),
        ({"a": 1, "b": 2}, {"a": 3}, {"a": 3, "b": 2}),
        ({}, {"a": 3}, {"a": 3}),
        ({"a": 1}, "no object", "no object"),
    ],
)
@pytest.mark.parametrize("name", ["$set", "$set_once"])
def test_person_properties_of_the_root_move_inside_where_they_yield(
    name: str, root: Any, inside: Any, merged: Any
) -> None:
    sent = converted({} if inside is None else {name: inside}, **{name: root})
    assert sent["properties"] == {name: merged}
    assert name not in sent


@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        ("2026-03-04T10:15:30.250000+00:00", "2026-03-04T10:15:30.250000+00:00"),
        ("2026-03-04T10:15:30Z", "2026-03-04T10:15:30Z"),
        ("2026-03-04T10:15:30", "2026-03-04T10:15:30+00:00"),
        ("2026-03-04", "2026-03-04T00:00:00+00:00"),
        ("2026-03-04 10:15:30+02:00", "2026-03-04T10:15:30+02:00"),
        ("yesterday", "yesterday"),
    ],
)
def test_p3_a_timestamp_stays_unless_v1_would_drop_the_event(stored: str, sent: str) -> None:
    assert converted(timestamp=stored)["timestamp"] == sent


@pytest.mark.parametrize(
    "payload",
    [
        "{}",
        "[]",
        '{"uuid":"1"}',
        json.dumps({**EVENT, "timestamp": 1}),
        json.dumps({**EVENT, "properties": [1]}),
        json.dumps({**EVENT, "properties": {}, "$set": "text"}),
        '{"uuid":"1","event":"e","distinct_id":"d","timestamp":"t","properties":{"\\ud800":1}}',
    ],
)
def test_what_is_no_event_is_left_to_the_server(payload: str) -> None:
    assert to_v1(payload) == payload


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text() | st.sampled_from(["$session_id", "$lib", "$process_person_profile", "$product_tour_id", "$set"])
MOVED = {
    "$cookieless_mode",
    "$ignore_sent_at",
    "$process_person_profile",
    "$product_tour_id",
    "$session_id",
    "$window_id",
    "$lib",
    "$lib_version",
}


@given(st.dictionaries(NAMES, JSON, max_size=6), st.booleans())
def test_p3_all_other_properties_are_sent_as_they_were_stored(properties: dict[str, Any], ascii_only: bool) -> None:
    stored = json.dumps({**EVENT, "properties": properties}, ensure_ascii=ascii_only)
    sent = json.loads(to_v1(stored))
    assert sent["properties"] == {name: value for name, value in properties.items() if name not in MOVED}
    assert {name: sent[name] for name in EVENT} == EVENT
    assert all(type(value) is bool or name == "product_tour_id" for name, value in sent["options"].items())


def test_numbers_keep_their_digits() -> None:
    stored = json.dumps({**EVENT, "properties": {}}).replace("{}", '{"big":12345678901234567890123,"small":1.10}')
    assert '"properties":{"big":12345678901234567890123,"small":1.10}' in to_v1(stored)
