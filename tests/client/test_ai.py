"""`capture_ai`: the AI lane, its limits, privacy mode and media, on both clients."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hogbox import PostHog
from hogbox._encryption import new_key
from hogbox.context import new_context, tag
from hogbox.errors import InvalidEvent
from tests.client.conftest import TOKEN, Client, Only
from tests.fixtures.database import TestDatabase

UUID = "01990f6a-3c4e-7b51-9a55-0d2a6f0b7c11"
IMAGE = "data:image/png;base64,AAAA"
MEGABYTE = 1024 * 1024


@dataclasses.dataclass
class Part:
    image: str


def lanes(database: TestDatabase) -> list[tuple[Any, ...]]:
    return [(row["lane"], row["project"]) for row in database.rows("posthog_outbox")]


def dead(database: TestDatabase) -> list[tuple[Any, ...]]:
    return [(row["lane"], row["reason"]) for row in database.dead_letters()]


def test_the_event_is_written_to_the_ai_lane(posthog: PostHog, database: TestDatabase, only: Only) -> None:
    given = {"$ai_model": "m", "$ai_input_tokens": 3}
    uuid = posthog.capture_ai(None, "$ai_generation", distinct_id="u-1", properties=given, groups={"org": 1}, uuid=UUID)
    event = only()
    assert uuid == event["uuid"] == UUID
    assert (event["event"], event["distinct_id"]) == ("$ai_generation", "u-1")
    assert event["properties"].items() >= {**given, "$groups": {"org": "1"}, "$lib": "hogbox"}.items()
    assert lanes(database) == [("ai", TOKEN)]


def test_an_ai_event_of_capture_stays_an_ordinary_one(posthog: PostHog, database: TestDatabase) -> None:
    posthog.capture(None, "$ai_generation", distinct_id="u-1")
    assert lanes(database) == [("analytics", TOKEN)]


def test_p1_it_belongs_to_the_callers_transaction(posthog: PostHog, any_database: TestDatabase) -> None:
    client = PostHog(any_database.url, project_token=TOKEN)
    with any_database.engine.connect() as connection:
        client.capture_ai(connection, "$ai_span", distinct_id="u-1")
        connection.rollback()
        client.capture_ai(connection, "$ai_trace", distinct_id="u-1")
        connection.commit()
    assert [event["event"] for event in any_database.events()] == ["$ai_trace"]


def test_the_context_applies_and_without_a_person_it_is_personless(posthog: PostHog, only: Only) -> None:
    with new_context():
        tag("plan", "pro")
        posthog.capture_ai(None, "$ai_generation")
    assert only()["properties"].items() >= {"plan": "pro", "$process_person_profile": False}.items()


def test_a_name_that_the_ai_endpoint_refuses_is_a_dead_letter(posthog: PostHog, database: TestDatabase) -> None:
    assert posthog.capture_ai(None, "paid", distinct_id="u-1", uuid=UUID) == UUID
    ((lane, reason),) = dead(database)
    assert (lane, database.events()) == ("ai", [])
    assert reason.startswith("PostHog's AI endpoint does not accept events of this name")


@pytest.mark.parametrize(("of_client", "of_call"), [(True, False), (False, True), (True, True)])
def test_privacy_mode_of_the_client_or_the_call(client: Client, only: Only, of_client: bool, of_call: bool) -> None:
    given = {"$ai_input": "the prompt", "$ai_error": ValueError("the prompt"), "$ai_latency": 2}
    client(privacy_mode=of_client).capture_ai(
        None, "$ai_generation", distinct_id="u-1", properties=given, privacy_mode=of_call
    )
    expected = {"$ai_input": None, "$ai_error": "ValueError", "$ai_latency": 2}
    assert only()["properties"].items() >= expected.items()


def test_privacy_mode_of_the_wrong_type_is_refused(posthog: PostHog) -> None:
    with pytest.raises(InvalidEvent, match="privacy_mode must be True or False, not 'no'"):
        posthog.capture_ai(None, "$ai_generation", distinct_id="u-1", privacy_mode="no")  # type: ignore[arg-type]


@pytest.mark.parametrize("whole", [False, True])
def test_media_is_captured_by_a_client_that_asks_for_it(client: Client, only: Only, whole: bool) -> None:
    given = {"$ai_input": [IMAGE, Part(IMAGE)], "picture": IMAGE}
    client(enable_full_ai_capture=whole).capture_ai(None, "$ai_generation", distinct_id="u-1", properties=given)
    seen = IMAGE if whole else "[base64 image redacted]"
    assert only()["properties"].items() >= {"$ai_input": [seen, {"image": seen}], "picture": IMAGE}.items()


def test_a_hook_decides_last(client: Client, only: Only) -> None:
    def hook(event: Any) -> Any:
        assert event["properties"]["$ai_input"] == "[base64 image redacted]"
        event["properties"]["$ai_input"] = "hidden"
        return event

    client(before_send=hook).capture_ai(None, "$ai_generation", distinct_id="u-1", properties={"$ai_input": IMAGE})
    assert only()["properties"]["$ai_input"] == "hidden"


def test_large_events_are_stored_whole_or_cut_on_every_database(any_database: TestDatabase) -> None:
    client = PostHog(any_database.url, project_token=TOKEN)
    texts = {"quotes": '"' * 3 * MEGABYTE, "plain": "x" * 7 * MEGABYTE, "too long": "é" * 3 * MEGABYTE}
    for name, text in texts.items():
        properties = {"$ai_input": [{"role": name, "content": text}]}
        client.capture_ai(None, "$ai_generation", distinct_id="u-1", properties=properties)
    stored = [event["properties"]["$ai_input"][0] for event in any_database.events()]
    assert stored[:2] == [{"role": name, "content": texts[name]} for name in ("quotes", "plain")]
    assert stored[2] == {"role": "too long", "content": "é" * 5000 + "... [truncated]"}
    client.shutdown()


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_the_largest_events_and_dead_letters_fit_into_every_database(
    any_database: TestDatabase, monkeypatch: pytest.MonkeyPatch, encrypted: bool
) -> None:
    if encrypted:
        monkeypatch.setenv("HOGBOX_ENCRYPTION_KEYS", new_key())
    client = PostHog(any_database.url, project_token=TOKEN, enable_full_ai_capture=True)
    for size in (8 * MEGABYTE - 2000, 11 * MEGABYTE - 2000):
        client.capture_ai(None, "$ai_span", distinct_id="u-1", properties={"$ai_input_state": "x" * size})
    client.shutdown()
    assert (any_database.count("posthog_outbox"), any_database.count("posthog_dead_letters")) == (1, 1)


def test_an_event_that_stays_too_large_is_a_dead_letter(client: Client, database: TestDatabase) -> None:
    properties = {"$ai_input": "x" * 8 * MEGABYTE}
    client(enable_full_ai_capture=True).capture_ai(None, "$ai_generation", distinct_id="u", properties=properties)
    client().capture_ai(None, "$ai_generation", distinct_id="u", properties={"other": properties["$ai_input"]})
    assert [(lane, "accepts at most 8,388,608" in reason) for lane, reason in dead(database)] == [("ai", True)] * 2


def test_a_disabled_client_captures_nothing(client: Client, database: TestDatabase) -> None:
    assert client(disabled=True).capture_ai(None, "$ai_generation") is None
    assert database.events() == []
