"""AI events from the client to PostHog: their own endpoint, order within the lane, failures of one of the lanes."""

from __future__ import annotations

import pytest

from hogbox import PostHog
from hogbox.emulator import Emulator
from hogbox.settings import DeliverySettings
from tests.client.conftest import TOKEN
from tests.fixtures.colour import open_session
from tests.fixtures.database import TestDatabase

AI_PATH = "/i/v0/ai/batch/"
QUICK = DeliverySettings(poll_seconds=0.1, retry_base_seconds=0.1, retry_cap_seconds=0.2)
MEGABYTE = 1024 * 1024


def paths(emulator: Emulator) -> dict[str, str]:
    """The path by which each event arrived."""
    by_request = {one.sequence: one.path for one in emulator.requests()}
    return {event.event: by_request[event.request] for event in emulator.events()}


def test_each_lane_has_its_own_endpoint(any_database: TestDatabase, emulator: Emulator, colour: type[PostHog]) -> None:
    with colour(any_database.url, project_token=TOKEN, host=emulator.url) as posthog:
        uuids = [
            posthog.capture(None, "asked", distinct_id="u"),
            posthog.capture_ai(None, "$ai_generation", distinct_id="u", properties={"$ai_input": "x" * 2 * MEGABYTE}),
            posthog.capture(None, "$ai_span", distinct_id="u"),
            posthog.capture_ai(None, "$ai_trace", distinct_id="u"),
        ]
        assert posthog.deliver() == (4, 0, 0)
    assert {event.uuid for event in emulator.events()} == set(uuids)
    found = paths(emulator)
    assert found["$ai_generation"] == found["$ai_trace"] == AI_PATH
    assert AI_PATH not in (found["asked"], found["$ai_span"])
    (generation,) = [event for event in emulator.events() if event.event == "$ai_generation"]
    assert generation.properties["$ai_input"] == "x" * 2 * MEGABYTE


def test_p4_order_within_the_lane_survives_failures_and_the_other_lane_does_not_wait(
    any_database: TestDatabase, emulator: Emulator
) -> None:
    emulator.fault(path=AI_PATH, status=503, times=3)
    with PostHog(any_database.url, project_token=TOKEN, host=emulator.url, delivery=QUICK) as posthog:
        with open_session(posthog, any_database) as session:
            for number in range(30):
                posthog.capture_ai(session.handle, "$ai_span", distinct_id="u", properties={"n": number})
                posthog.capture(session.handle, "plain", distinct_id="u", properties={"n": number})
            session.commit()
        assert posthog.deliver() == (60, 0, 0)
    for name in ("$ai_span", "plain"):
        assert [event.properties["n"] for event in emulator.events() if event.event == name] == [*range(30)]


@pytest.mark.parametrize("word", ["none", "gzip", "deflate", "zstd", "br"])
@pytest.mark.parametrize("mode", ["v0", "v1"])
def test_small_and_large_requests_arrive_in_every_encoding(
    database: TestDatabase, emulator: Emulator, word: str, mode: str
) -> None:
    settings = DeliverySettings(capture_compression=word, capture_mode=mode)
    with PostHog(database.url, project_token=TOKEN, host=emulator.url, delivery=settings) as posthog:
        for size in (1, 100_000):
            posthog.capture(None, f"of {size}", distinct_id="u", properties={"text": "é" * size})
            assert posthog.deliver() == (1, 0, 0)
    assert [len(event.properties["text"]) for event in emulator.events()] == [1, 100_000]
    expected = None if word == "none" else word if mode == "v1" else "gzip"
    assert [one.headers.get("content-encoding") for one in emulator.requests()] == [expected] * 2
