"""`send_feature_flags="remote"`: PostHog is asked at delivery, and no failure of it holds events back."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from hogbox import PostHog
from hogbox.emulator import Emulator
from hogbox.errors import UsageError
from tests.client.conftest import TOKEN
from tests.emulator.flag_case import DOCUMENT, asked
from tests.fixtures.database import TestDatabase


def test_an_event_tells_what_posthog_knows_of_its_person(
    any_database: TestDatabase, emulator: Emulator, colour: type[PostHog]
) -> None:
    emulator.set_flags(DOCUMENT)
    with colour(any_database.url, project_token=TOKEN, host=emulator.url) as posthog:
        posthog.identify(None, distinct_id="u1", properties={"plan": "pro"})
        posthog.deliver()
        posthog.capture(None, "paid", distinct_id="u1", send_feature_flags="remote", properties={"$feature/on": "mine"})
        posthog.capture(None, "plain", distinct_id="u1")
        assert asked(emulator) == 0
        assert posthog.deliver() == (2, 0, 0)
    _, paid, plain = emulator.events()
    assert (paid.properties["$feature/pro"], paid.properties["$feature/on"]) == (True, "mine")
    assert paid.properties["$active_feature_flags"] == ["on", "pro"]
    assert not [name for name in plain.properties if name.startswith("$feature")]
    assert asked(emulator) == 1


def test_a_failure_of_flags_holds_nothing_back(
    any_database: TestDatabase, emulator: Emulator, colour: type[PostHog], caplog: pytest.LogCaptureFixture
) -> None:
    emulator.fault(path="/flags", status=500)
    with (
        caplog.at_level(logging.WARNING, "hogbox.delivery"),
        colour(any_database.url, project_token=TOKEN, host=emulator.url) as posthog,
    ):
        for number in range(20):
            posthog.capture(None, "paid", distinct_id=f"u{number}", send_feature_flags="remote")
        assert posthog.deliver() == (20, 0, 0)
    assert asked(emulator) == 1
    assert caplog.text.count("without their person's flags: api_error_500") == 1


def test_without_a_person_posthog_is_not_asked(
    any_database: TestDatabase, emulator: Emulator, colour: type[PostHog]
) -> None:
    with colour(any_database.url, project_token=TOKEN, host=emulator.url) as posthog:
        with pytest.raises(UsageError, match="send_feature_flags"):
            posthog.capture(None, "paid", distinct_id="u1", send_feature_flags="remotely")
        posthog.capture(None, "paid", distinct_id="u1", send_feature_flags=False)
        posthog.deliver()
    assert asked(emulator) == 0


def test_other_events_than_those_of_capture_do_not_wait_for_flags(
    any_database: TestDatabase, emulator: Emulator, colour: type[PostHog], caplog: pytest.LogCaptureFixture
) -> None:
    remote: Any = "remote"
    with colour(any_database.url, project_token=TOKEN, host=emulator.url) as posthog:
        with pytest.raises(UsageError, match="'remote' is for capture only: pass True"):
            posthog.capture_ai(None, "$ai_trace", distinct_id="u1", send_feature_flags=remote)
        assert posthog.capture_exception(None, ValueError("odd"), distinct_id="u1", send_feature_flags=remote)
        assert posthog.deliver() == (1, 0, 0)
    assert (
        "exception captured without its flags: UsageError: send_feature_flags='remote' is for capture only"
        in caplog.text
    )
