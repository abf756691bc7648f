"""Delivery by capture v1: results of single events, and the two protocols side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from threading import Thread

import pytest

from hogbox import PostHog
from hogbox._operations.status import read_status
from hogbox._store.connections.database import Database
from hogbox.emulator import Emulator
from hogbox.settings import DeliverySettings
from hogbox.telemetry import ResultsStated, TelemetryEvent
from tests.fixtures.database import TestDatabase
from tests.fixtures.waiting import wait_until

V1 = "/i/v1/analytics/events"
QUICK = DeliverySettings(
    request_timeout_seconds=2.0, lease_seconds=6.0, poll_seconds=0.05, retry_base_seconds=0.2, retry_cap_seconds=0.5
)

Client = Callable[..., PostHog]


@pytest.fixture
def client(database: TestDatabase, emulator: Emulator) -> Client:
    """Makes clients of the test's database and emulator, in a capture mode."""

    def make(capture_mode: str = "v1", delivery: DeliverySettings = QUICK) -> PostHog:
        return PostHog(
            database.engine, project_token="phc_test", host=emulator.url, delivery=delivery, capture_mode=capture_mode
        )

    return make


def capture(posthog: PostHog, database: TestDatabase, *persons: str) -> list[str]:
    with database.engine.begin() as connection:
        return [str(posthog.capture(connection, "step", distinct_id=person)) for person in persons]


def paths(emulator: Emulator) -> list[str]:
    return [request.path for request in emulator.requests()]


def test_p2_only_what_is_asked_for_again_is_sent_again(
    client: Client, emulator: Emulator, database: TestDatabase
) -> None:
    posthog = client()
    uuids = capture(posthog, database, "a", "b", "c")
    emulator.configure(keep_bodies=100_000)
    emulator.result(result="retry", uuid=uuids[1], times=1)
    assert posthog.deliver() == (3, 0, 0)
    first, second = ([event["uuid"] for event in json.loads(one.body or "")["batch"]] for one in emulator.requests())
    assert (sorted(first), second) == (sorted(uuids), [uuids[1]])
    assert not [row for row in database.rows("posthog_shards", "shard") if row["last_error"]]


def test_p4_only_the_person_of_an_event_that_is_asked_for_again_waits(
    client: Client, emulator: Emulator, database: TestDatabase
) -> None:
    posthog = client(delivery=DeliverySettings(batch_events=1, retry_base_seconds=0.2, retry_cap_seconds=0.5))
    uuids = capture(posthog, database, "a", "b", "a", "c")
    emulator.result(result="retry", uuid=uuids[0], times=2)
    assert posthog.deliver() == (4, 0, 0)
    arrived = [event.uuid for event in emulator.events()]
    assert arrived[2:] == [uuids[0], uuids[2]]
    assert sorted(arrived[:2]) == sorted([uuids[1], uuids[3]])


def test_a_dropped_event_is_a_dead_letter_with_posthogs_reason(
    client: Client, emulator: Emulator, database: TestDatabase
) -> None:
    posthog = client()
    told: list[TelemetryEvent] = []
    posthog.telemetry.attach(told.append)
    uuids = capture(posthog, database, "a", "b", "c")
    emulator.result(result="drop", details="event_restriction_drop", uuid=uuids[1])
    emulator.result(result="warning", uuid=uuids[2])
    assert posthog.deliver() == (2, 1, 0)
    [letter] = database.rows("posthog_dead_letters")
    assert (letter["event_uuid"], letter["status"]) == (uuids[1], 200)
    assert letter["reason"].startswith("dropped by PostHog: event_restriction_drop")
    results = {(one.result, one.details, one.events) for one in told if isinstance(one, ResultsStated)}
    assert results == {
        ("ok", "", 1),
        ("drop", "event_restriction_drop", 1),
        ("warning", "person_processing_disabled", 1),
    }


@pytest.mark.parametrize("result", ["limited", "invented", "absent"])
def test_any_other_result_is_a_delivery(
    client: Client, emulator: Emulator, database: TestDatabase, result: str
) -> None:
    posthog = client()
    capture(posthog, database, "a", "b")
    emulator.result(result=result)
    assert posthog.deliver() == (2, 0, 0)
    assert paths(emulator) == [V1]


def test_events_that_are_asked_for_again_too_often_are_given_up_if_attempts_are_limited(
    client: Client, emulator: Emulator, database: TestDatabase
) -> None:
    limited = DeliverySettings(retry_base_seconds=0.1, retry_cap_seconds=0.1, poll_seconds=0.05, max_attempts=2)
    posthog = client(delivery=limited)
    uuids = capture(posthog, database, "a", "b")
    emulator.result(result="retry", uuid=uuids[0])
    assert posthog.deliver() == (1, 1, 0)
    [letter] = database.rows("posthog_dead_letters")
    assert letter["reason"].startswith("given up after 2 attempts: PostHog asks to send it again: not_persisted")


def test_p1_what_waits_for_another_attempt_survives_the_worker(
    client: Client, emulator: Emulator, database: TestDatabase
) -> None:
    posthog = client()
    uuids = capture(posthog, database, "a", "a", "b")
    emulator.result(result="retry", distinct_id="a")
    worker = posthog._components.drainer()
    delivery = Thread(target=posthog._components.drain, args=(worker, None, None))
    delivery.start()
    wait_until(lambda: database.count("posthog_outbox") == 2, "the event of the other person to be settled")
    worker.stop()
    delivery.join()
    assert database.count("posthog_outbox") == 2
    emulator.clear_results()
    assert client().deliver() == (2, 0, 0)
    arrived = [event.uuid for event in emulator.events() if event.distinct_id == "a"]
    assert arrived == uuids[:2]


def test_auto_goes_back_to_v0_where_the_host_has_no_v1_and_counts_no_failure(
    client: Client, emulator: Emulator, database: TestDatabase
) -> None:
    emulator.configure(capture_v1=False)
    posthog = client("auto", DeliverySettings(batch_events=2, max_attempts=1))
    capture(posthog, database, "a", "b", "a", "b", "a")
    assert posthog.deliver() == (5, 0, 0)
    assert paths(emulator)[:2] == [V1, "/batch/"]
    assert V1 not in paths(emulator)[2:]


def test_auto_speaks_v1_where_the_host_does(client: Client, emulator: Emulator, database: TestDatabase) -> None:
    posthog = client("auto")
    capture(posthog, database, "a")
    assert posthog.deliver() == (1, 0, 0)
    assert paths(emulator) == [V1]


def test_v1_without_a_server_for_it_holds_the_project(
    client: Client, emulator: Emulator, database: TestDatabase
) -> None:
    emulator.configure(capture_v1=False)
    posthog = client("v1")
    capture(posthog, database, "a")
    assert posthog.deliver(timeout=0.5) == (0, 0, 1)
    assert [hold["status"] for hold in database.rows("posthog_holds", "project")] == [404]
    assert client("v0").deliver() == (1, 0, 0), "what waits goes out in the new mode"


@pytest.mark.parametrize(("before", "after"), [("v0", "v1"), ("v1", "v0")])
def test_what_is_in_the_outbox_goes_out_in_the_mode_of_its_worker(
    client: Client, emulator: Emulator, database: TestDatabase, before: str, after: str
) -> None:
    uuids = capture(client(before), database, "a", "b", "a")
    assert client(after).deliver() == (3, 0, 0)
    assert paths(emulator) == [V1 if after == "v1" else "/batch/"]
    assert {event.uuid for event in emulator.events()} == set(uuids)
    assert [event.uuid for event in emulator.events(distinct_id="a")] == [uuids[0], uuids[2]]


def test_a_backfill_says_so_in_both_modes(emulator: Emulator, database: TestDatabase) -> None:
    emulator.configure(keep_bodies=100_000)
    for mode in ("v0", "v1"):
        posthog = PostHog(
            database.engine,
            project_token="phc_test",
            host=emulator.url,
            delivery=QUICK,
            capture_mode=mode,
            historical_migration=True,
        )
        capture(posthog, database, "a")
        assert posthog.deliver() == (1, 0, 0)
    assert [json.loads(request.body or "")["historical_migration"] for request in emulator.requests()] == [True, True]


def test_events_over_a_quota_are_dead_letters_and_a_finding_of_the_status(
    client: Client, emulator: Emulator, database: TestDatabase
) -> None:
    posthog = client()
    uuids = capture(posthog, database, "a", "b")
    emulator.result(result="drop", details="exceptions_over_quota", uuid=uuids[0])
    assert posthog.deliver() == (1, 1, 0)
    status = read_status(Database(database.engine, "posthog_"), lease=30.0)
    assert "over_quota" in [finding.name for finding in status.findings]
