"""What waits among the dead letters from the start, and what is too large even for that."""

from __future__ import annotations

import pytest

from hogbox._events.limit import MAX_EVENT_BYTES, MAX_STORED_BYTES, refusal
from hogbox.errors import InvalidEvent


@pytest.mark.parametrize(
    "payload", ["x" * MAX_EVENT_BYTES, "é" * (MAX_EVENT_BYTES // 2)], ids=["ascii", "two bytes each"]
)
def test_an_event_up_to_the_limit_can_be_delivered(payload: str) -> None:
    assert refusal({"distinct_id": "u-1"}, payload) is None
    assert (
        refusal({"distinct_id": "u-1"}, payload + "x") == "the event has 921,601 bytes; PostHog accepts at most 921,600"
    )


def test_a_garbled_distinct_id_is_the_reason() -> None:
    assert (
        refusal({"distinct_id": "anonymous"}, "{}")
        == "distinct_id 'anonymous' is an id for which PostHog creates no person"
    )


def test_size_is_named_before_the_distinct_id() -> None:
    reason = refusal({"distinct_id": "anonymous"}, "x" * MAX_STORED_BYTES)
    assert reason == "the event has 7,340,032 bytes; PostHog accepts at most 921,600"


def test_an_event_that_no_database_is_sure_to_hold_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="7,340,033 bytes, and hogbox stores at most 7,340,032: capture less"):
        refusal({"distinct_id": "u-1"}, "x" * (MAX_STORED_BYTES + 1))


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"event": "e" * 200}, None),
        ({"event": "e" * 201}, "the event's name has 201 characters; PostHog accepts at most 200"),
        (
            {"event": "$create_alias", "properties": {"alias": "null"}},
            "alias 'null' is an id for which PostHog creates no person",
        ),
        (
            {"event": "$create_alias", "properties": {"alias": "a" * 201}},
            "alias has 201 characters; PostHog truncates it to 200",
        ),
        ({"event": "paid", "properties": {"alias": "null"}}, None),
        ({"event": "$groupidentify", "properties": {"$group_type": "t", "$group_key": "k" * 400}}, None),
        (
            {"event": "$groupidentify", "properties": {"$group_type": "t", "$group_key": "k" * 401}},
            "$group_key has 401 characters; PostHog accepts at most 400",
        ),
        (
            {"event": "$groupidentify", "properties": {"$group_type": "t" * 401, "$group_key": "k"}},
            "$group_type has 401 characters; PostHog accepts at most 400",
        ),
    ],
)
def test_what_posthog_cuts_or_ignores_is_the_reason(event: dict[str, object], reason: str | None) -> None:
    assert refusal({"distinct_id": "u-1", **event}, "{}") == reason
