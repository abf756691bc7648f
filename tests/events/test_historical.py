"""A line of a file to import: the row that it becomes, or what is wrong with it."""

from __future__ import annotations

import codecs
import json
from typing import Any

import pytest

from hogbox._events.historical import derived_uuid, read_row, without_mark
from hogbox._events.identifier import shard_of
from hogbox.errors import InvalidEvent

PROJECT = "phc_history"
UUID = "0190a3c1-0000-7000-8000-000000000001"
GIVEN = {"event": "paid", "distinct_id": "c-19", "timestamp": "2024-05-17T09:30:00+02:00"}


def read(line: object, **own: Any) -> dict[str, Any]:
    text = line if isinstance(line, bytes) else json.dumps(line).encode()
    event: dict[str, Any] = json.loads(read_row(text, PROJECT, UUID, own).payload)
    return event


def test_a_line_is_a_row_of_the_historical_lane() -> None:
    row = read_row(json.dumps(GIVEN).encode(), PROJECT, UUID, {"$lib": "hogbox"})
    assert (row.shard, row.project, row.lane) == (shard_of(PROJECT, "c-19"), PROJECT, "historical")
    assert json.loads(row.payload) == {
        "uuid": UUID,
        "event": "paid",
        "distinct_id": "c-19",
        "timestamp": "2024-05-17T07:30:00.000000+00:00",
        "properties": {"$lib": "hogbox"},
    }


def test_properties_win_over_what_is_said_of_the_sender_and_groups_join_them() -> None:
    event = read({**GIVEN, "properties": {"$lib": "web", "a": [1]}, "groups": {"company": 19}}, **{"$lib": "hogbox"})
    assert event["properties"] == {"$lib": "web", "a": [1], "$groups": {"company": "19"}}


def test_its_own_uuid_is_kept() -> None:
    assert read({**GIVEN, "uuid": "0190A3C1-0000-7000-8000-00000000ABCD"})["uuid"].endswith("abcd")
    assert read({**GIVEN, "uuid": None, "properties": None, "groups": None})["uuid"] == UUID


def test_a_time_without_an_offset_is_utc() -> None:
    assert read({**GIVEN, "timestamp": "2024-05-17 09:30"})["timestamp"] == "2024-05-17T09:30:00.000000+00:00"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"{", "it is not valid JSON"),
        (b'{"event": NaN}', "it is not valid JSON"),
        (b"\xff", "it is not valid JSON"),
        (b"[1]", "it is not a JSON object"),
        ({**GIVEN, "plan": "pro"}, "unknown field 'plan': put the event's own data into properties"),
        ({**GIVEN, "event": None}, "event is missing"),
        ({"event": "a", "distinct_id": "b"}, "timestamp is missing"),
        ({**GIVEN, "event": " "}, "event must not be empty"),
        ({**GIVEN, "event": {}}, "event must be text"),
        ({**GIVEN, "distinct_id": 1.5}, "distinct_id must be text"),
        ({**GIVEN, "distinct_id": "undefined"}, "PostHog creates no person"),
        ({**GIVEN, "timestamp": "yesterday"}, "timestamp 'yesterday' is not ISO 8601"),
        ({**GIVEN, "timestamp": 1715931000}, "timestamp 1715931000 is not ISO 8601"),
        ({**GIVEN, "uuid": "7"}, "uuid '7' is not a valid UUID"),
        ({**GIVEN, "properties": []}, "properties must be a mapping"),
        (json.dumps({**GIVEN, "properties": {"a": 0}}).replace(" 0", "[" * 300 + "]" * 300).encode(), "nested"),
        ({**GIVEN, "groups": ["a"]}, "groups must be a mapping"),
        ({**GIVEN, "properties": {"a": "x" * 1_000_000}}, "PostHog accepts at most"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_bad_line_is_told(line: object, complaint: str) -> None:
    with pytest.raises(InvalidEvent, match=complaint):
        read(line)


def test_p3_a_derived_uuid_is_that_of_the_place() -> None:
    one = derived_uuid(PROJECT, "d1", 0)
    assert one == derived_uuid(PROJECT, "d1", 0)
    assert (
        len({one, derived_uuid("phc_b", "d1", 0), derived_uuid(PROJECT, "d2", 0), derived_uuid(PROJECT, "d1", 1)}) == 4
    )


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert without_mark(codecs.BOM_UTF8 + b'{"a": 1}') == b'{"a": 1}'
    assert without_mark(b'{"a": 1}') == b'{"a": 1}'


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_file_in_another_encoding_says_which_and_what_to_do(encoding: str) -> None:
    with pytest.raises(InvalidEvent, match=f"the file is in {encoding.upper()}: convert it to UTF-8"):
        without_mark('{"a": 1}'.encode(encoding))
