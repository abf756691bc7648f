"""`capture_exception`: what is caught, whose it is, and that one exception counts once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from hogbox import PostHog
from hogbox.errors import InvalidEvent
from tests.client.conftest import Client, Only
from tests.fixtures.colour import open_session
from tests.fixtures.database import TestDatabase


def caught(error: Exception) -> Exception:
    try:
        raise error
    except Exception as raised:
        return raised


def test_an_exception_with_its_cause_and_stack(posthog: PostHog, only: Only) -> None:
    try:
        try:
            raise KeyError("card")
        except KeyError as cause:
            raise ValueError("card declined") from cause
    except ValueError as error:
        posthog.capture_exception(None, error, distinct_id="u1", properties={"order": 17}, groups={"company": 1})
    event = only()
    assert (event["event"], event["distinct_id"]) == ("$exception", "u1")
    properties = event["properties"]
    assert (properties["order"], properties["$groups"]) == (17, {"company": "1"})
    assert properties["$exception_level"] == "error"
    assert "$python_version" in properties
    assert "$process_person_profile" not in properties
    outer, inner = properties["$exception_list"]
    assert (outer["type"], outer["value"], inner["type"]) == ("ValueError", "card declined", "KeyError")
    assert outer["mechanism"] == {"type": "generic", "handled": True, "synthetic": False, "exception_id": 0}
    assert inner["mechanism"]["source"] == "cause"
    assert outer["stacktrace"]["frames"][-1]["function"] == "test_an_exception_with_its_cause_and_stack"


def test_the_exception_that_is_being_handled_by_default(posthog: PostHog, only: Only) -> None:
    try:
        raise ValueError("card declined")
    except ValueError:
        posthog.capture_exception(None)
    assert only()["properties"]["$exception_list"][0]["value"] == "card declined"


def test_no_exception_being_handled_is_a_mistake(posthog: PostHog) -> None:
    with pytest.raises(InvalidEvent) as raised:
        posthog.capture_exception(None)
    assert str(raised.value) == "no exception is being handled: pass an exception or a text to capture_exception"


def test_level_handled_and_fingerprint(posthog: PostHog, only: Only) -> None:
    posthog.capture_exception(None, "it broke", level="critical", handled=False, fingerprint="one issue")
    properties = only()["properties"]
    assert (properties["$exception_level"], properties["$exception_fingerprint"]) == ("fatal", "one issue")
    assert properties["$exception_list"][0]["mechanism"]["handled"] is False


@pytest.mark.parametrize("unusable", [None, "", 1.5])
def test_without_a_distinct_id_it_is_nobodys(posthog: PostHog, only: Only, unusable: Any) -> None:
    posthog.capture_exception(None, "it broke", distinct_id=unusable)
    event = only()
    assert event["properties"]["$process_person_profile"] is False
    assert len(event["distinct_id"]) == 36


def test_nobodys_events_belong_to_different_nobodies(posthog: PostHog, database: TestDatabase) -> None:
    posthog.capture_exception(None, "it broke")
    posthog.capture_exception(None, "it broke")
    assert len({event["distinct_id"] for event in database.events()}) == 2


def test_p3_the_same_exception_is_the_same_event(client: Client, database: TestDatabase) -> None:
    error = caught(ValueError("card declined"))
    with time_machine.travel(datetime(2026, 1, 2, tzinfo=UTC), tick=False):
        first = client().capture_exception(None, error, distinct_id="u1")
    second = client().capture_exception(None, error, distinct_id="u1")
    one, other = database.events()
    assert first == second
    assert [one[key] for key in ("uuid", "timestamp", "distinct_id", "event")] == [
        other[key] for key in ("uuid", "timestamp", "distinct_id", "event")
    ]


def test_p3_the_same_exception_without_a_distinct_id_is_the_same_event_and_stays_nobodys(
    posthog: PostHog, database: TestDatabase
) -> None:
    error = caught(ValueError("card declined"))
    posthog.capture_exception(None, error)
    posthog.capture_exception(None, error)
    one, other = database.events()
    assert one["distinct_id"] == other["distinct_id"]
    assert one["uuid"] == other["uuid"]
    assert one["properties"]["$process_person_profile"] is False
    assert other["properties"]["$process_person_profile"] is False


def test_captured_again_without_a_distinct_id_it_stays_the_persons(posthog: PostHog, database: TestDatabase) -> None:
    error = caught(ValueError("card declined"))
    posthog.capture_exception(None, error, distinct_id="u1")
    posthog.capture_exception(None, error)
    one, other = database.events()
    assert (one["distinct_id"], other["distinct_id"]) == ("u1", "u1")
    assert "$process_person_profile" not in other["properties"]


def test_p1_an_exception_whose_first_capture_was_rolled_back_is_captured_again(
    posthog: PostHog, database: TestDatabase
) -> None:
    error = caught(ValueError("card declined"))
    with open_session(posthog, database) as session:
        first = posthog.capture_exception(session.handle, error)
        session.rollback()
    assert posthog.capture_exception(None, error) == first
    assert len(database.events()) == 1


def test_different_exceptions_are_different_events(posthog: PostHog) -> None:
    first, second = caught(ValueError("x")), caught(ValueError("x"))
    assert posthog.capture_exception(None, first) != posthog.capture_exception(None, second)


def test_an_exception_that_takes_no_attributes_is_captured_all_the_same(posthog: PostHog) -> None:
    class Sealed(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    assert posthog.capture_exception(None, Sealed())


@pytest.mark.parametrize(
    "thing", ["it broke", {"message": "it broke"}, 17, object()], ids=["text", "map", "int", "any"]
)
def test_anything_can_be_captured(posthog: PostHog, only: Only, thing: object) -> None:
    posthog.capture_exception(None, thing)
    (entry,) = only()["properties"]["$exception_list"]
    assert entry["type"] == "Error"
    assert entry["mechanism"]["synthetic"] is True


@pytest.mark.parametrize("asked", [False, True])
def test_local_variables_are_told_only_where_they_were_asked_for(client: Client, only: Only, asked: bool) -> None:
    posthog = client(exception_locals=True) if asked else client()
    password, plan = "hunter" + str(1 + 1), "pro"
    try:
        raise ValueError(plan)
    except ValueError as error:
        posthog.capture_exception(None, error)
    (entry,) = only()["properties"]["$exception_list"]
    (frame,) = entry["stacktrace"]["frames"]
    assert ("code_variables" in frame) == asked
    assert password not in str(frame)
    if asked:
        assert (frame["code_variables"]["password"], frame["code_variables"]["plan"]) == ("[redacted]", "'pro'")
