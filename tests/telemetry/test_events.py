"""What hogbox tells of itself: each thing once, in the order in which it happened, and never at anybody's cost."""

from __future__ import annotations

import logging

import pytest

from hogbox import AsyncPostHog, PostHog
from hogbox.emulator import Emulator
from hogbox.errors import RemoteEvaluationError
from hogbox.settings import DeliverySettings
from hogbox.telemetry import (
    EventsSettled,
    FlagsAsked,
    FlagsEvaluated,
    LeasesChanged,
    Refreshed,
    RequestDone,
    Telemetry,
    TelemetryEvent,
)
from tests.fixtures.database import TestDatabase
from tests.fixtures.definitions_server import DefinitionsServer
from tests.fixtures.stored import store

TOKEN = "phc_a_token_of_the_tests"
SHORT = "phc_a_to…"
QUICK = DeliverySettings(request_timeout_seconds=2.0, lease_seconds=6.0, poll_seconds=0.05, retry_base_seconds=0.1)
FLAGS = {
    "flags": [
        {"id": 1, "key": "on", "active": True, "filters": {"groups": [{"properties": [], "rollout_percentage": 100}]}},
        {
            "id": 2,
            "key": "by-plan",
            "active": True,
            "filters": {
                "groups": [
                    {
                        "properties": [{"key": "plan", "value": "pro", "operator": "exact", "type": "person"}],
                        "rollout_percentage": 100,
                    }
                ]
            },
        },
    ]
}


def test_a_delivery_is_told_request_by_request(sqlite_database: TestDatabase, emulator: Emulator) -> None:
    told: list[TelemetryEvent] = []
    with PostHog(sqlite_database.engine, project_token=TOKEN, host=emulator.url, delivery=QUICK) as posthog:
        posthog.telemetry.attach(told.append)
        uuids = [posthog.capture(None, "paid", distinct_id="u1") for _ in range(3)]
        emulator.fault(status=503, times=1)
        emulator.fault(status=400, uuid=uuids[2])
        assert posthog.deliver() == (2, 1, 0)
    requests = [event for event in told if isinstance(event, RequestDone)]
    assert [(done.status, done.verdict, done.events) for done in requests][:2] == [
        (503, "retry", 3),
        (400, "refused", 3),
    ]
    assert {done.project for done in requests} == {SHORT}
    assert all(done.seconds > 0 and done.bytes > 0 for done in requests)
    settled = [event for event in told if isinstance(event, EventsSettled)]
    assert sum(one.events for one in settled if one.outcome == "delivered") == 2
    assert [one for one in settled if one.outcome == "dead"] == [EventsSettled(SHORT, "dead", 1, 400)]
    leases = [event.held for event in told if isinstance(event, LeasesChanged)]
    assert leases == [64, 0]


def test_no_answer_is_told_without_a_status(sqlite_database: TestDatabase) -> None:
    told: list[TelemetryEvent] = []
    with PostHog(sqlite_database.engine, project_token=TOKEN, host="http://127.0.0.1:9", delivery=QUICK) as posthog:
        posthog.telemetry.attach(told.append)
        posthog.capture(None, "paid", distinct_id="u1")
        posthog.deliver(timeout=0.3)
    done = next(event for event in told if isinstance(event, RequestDone))
    assert (done.status, done.verdict) == (None, "retry")
    assert "ConnectError" in done.reason


def test_a_refresh_is_told(sqlite_database: TestDatabase, definitions_server: DefinitionsServer) -> None:
    told: list[TelemetryEvent] = []
    definitions_server.say(401, "{}")
    with PostHog(
        sqlite_database.engine, project_token=TOKEN, host=definitions_server.url, personal_api_key="phs_secret"
    ) as posthog:
        posthog.telemetry.attach(told.append)
        result = posthog.refresh_flag_definitions()
    (refreshed,) = told
    assert isinstance(refreshed, Refreshed)
    assert refreshed[:3] == (SHORT, result.status, result.reason)
    assert "phs_secret" not in repr(told)


def test_every_way_to_read_flags_is_told(sqlite_database: TestDatabase, emulator: Emulator) -> None:
    store(sqlite_database, TOKEN, FLAGS)
    told: list[TelemetryEvent] = []
    with PostHog(sqlite_database.engine, project_token=TOKEN, host=emulator.url, personal_api_key="phs_s") as posthog:
        posthog.get_feature_flag(None, "on", distinct_id="u1")
        posthog.telemetry.attach(told.append)
        for key in ("on", "by-plan", "unknown"):
            posthog.get_feature_flag(None, key, distinct_id="u1")
        assert counted(told) == {"local": 1, "inconclusive": 2}
        posthog.get_feature_flag_result(None, "on", distinct_id="u1")
        assert counted(told) == {"local": 1}
        posthog.get_all_flags(None, distinct_id="u1")
        assert counted(told) == {"local": 1, "inconclusive": 1}
        snapshot = posthog.flags(None, distinct_id="u1")
        assert counted(told) == {}
        for _ in range(3):
            snapshot.get("on")
        assert counted(told) == {"local": 1}


def counted(told: list[TelemetryEvent]) -> dict[str, int]:
    """What was told since the last time, by outcome."""
    counts: dict[str, int] = {}
    for event in told:
        assert isinstance(event, FlagsEvaluated)
        counts[event.outcome] = counts.get(event.outcome, 0) + event.flags
    told.clear()
    return counts


def test_what_posthog_is_asked_is_told_with_its_reason(sqlite_database: TestDatabase, emulator: Emulator) -> None:
    told: list[TelemetryEvent] = []
    with PostHog(sqlite_database.engine, project_token=TOKEN, host=emulator.url) as posthog:
        posthog.telemetry.attach(told.append)
        posthog.evaluate_flag(None, "unknown", distinct_id="u1")
        emulator.configure(known_tokens=["phc_another"])
        with pytest.raises(RemoteEvaluationError):
            posthog.evaluate_flag(None, "unknown", distinct_id="u1")
    asked = [event for event in told if isinstance(event, FlagsAsked)]
    first, second = (one.outcome for one in asked)
    assert first == "answered"
    assert second not in ("answered", "")
    assert all(one.seconds > 0 for one in asked)


def test_p8_a_handler_that_fails_harms_nothing_and_is_blamed_once(
    sqlite_database: TestDatabase, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[TelemetryEvent] = []

    def broken(event: TelemetryEvent) -> None:
        raise RuntimeError("the handler's own fault")

    with PostHog(sqlite_database.engine, project_token=TOKEN, host=emulator.url, delivery=QUICK) as posthog:
        posthog.telemetry.attach(broken)
        posthog.telemetry.attach(told.append)
        posthog.capture(None, "paid", distinct_id="u1")
        with caplog.at_level(logging.ERROR, "hogbox.telemetry"):
            assert posthog.deliver() == (1, 0, 0)
    assert len(told) == 4
    assert [record.name for record in caplog.records] == ["hogbox.telemetry"]


def test_a_handler_is_told_once_however_often_it_is_attached_and_never_after_it_was_detached() -> None:
    telemetry, told = Telemetry(), list[TelemetryEvent]()
    handler = told.append
    telemetry.attach(handler)
    telemetry.attach(handler)
    telemetry.emit(LeasesChanged("w", 1))
    telemetry.detach(handler)
    telemetry.detach(handler)
    telemetry.emit(LeasesChanged("w", 2))
    assert told == [LeasesChanged("w", 1)]
    assert telemetry.handlers == []


def test_both_clients_have_it() -> None:
    assert isinstance(PostHog(disabled=True).telemetry, Telemetry)
    assert isinstance(AsyncPostHog(disabled=True).telemetry, Telemetry)
