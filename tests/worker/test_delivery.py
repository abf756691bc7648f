"""How answers are acted upon: poison, refused keys, limits of size and attempts, put off and tried again."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from hogbox import PostHog
from hogbox.emulator import Emulator
from hogbox.emulator.setting import Limits
from hogbox.settings import DeliverySettings
from tests.fixtures.database import TestDatabase
from tests.fixtures.waiting import wait_until

QUICK = DeliverySettings(
    request_timeout_seconds=2.0, lease_seconds=6.0, poll_seconds=0.05, retry_base_seconds=0.2, retry_cap_seconds=0.5
)

Client = Callable[..., PostHog]


@pytest.fixture
def client(sqlite_database: TestDatabase, emulator: Emulator) -> Client:
    """Makes clients of the test's SQLite database and emulator: `client(project_token="phc_other")`."""

    def make(delivery: DeliverySettings = QUICK, project_token: str = "phc_test") -> PostHog:
        return PostHog(sqlite_database.engine, project_token=project_token, host=emulator.url, delivery=delivery)

    return make


def capture_many(posthog: PostHog, database: TestDatabase, count: int, person: str = "u{}") -> list[str]:
    with database.engine.begin() as connection:
        uuids = [
            posthog.capture(connection, "step", distinct_id=person.format(n % 7), properties={"n": n})
            for n in range(count)
        ]
    return [uuid for uuid in uuids if uuid]


@pytest.mark.parametrize("position", [0, 1, 249, 250, 498, 499])
@pytest.mark.parametrize("person", ["only one", "u{}"])
def test_p2_one_poisonous_event_among_500_is_found_in_few_requests_and_the_others_arrive_in_order(
    client: Client, emulator: Emulator, sqlite_database: TestDatabase, position: int, person: str
) -> None:
    posthog = client()
    uuids = capture_many(posthog, sqlite_database, 500, person)
    emulator.fault(status=400, body="event submitted with an empty event name", uuid=uuids[position])

    result = posthog.deliver()

    assert (result.delivered, result.dead, result.waiting) == (499, 1, 0)
    assert len(emulator.requests()) <= 2 * math.log2(500) + 2
    events = emulator.events()
    assert {event.uuid for event in events} == set(uuids) - {uuids[position]}
    for distinct_id in {event.distinct_id for event in events}:
        positions = [event.properties["n"] for event in events if event.distinct_id == distinct_id]
        assert positions == sorted(positions)
    with sqlite_database.engine.connect() as connection:
        dead = connection.execute(sa.text("SELECT event_uuid, status, reason FROM posthog_dead_letters")).one()
    assert tuple(dead) == (uuids[position], 400, "HTTP 400: event submitted with an empty event name")


def test_p2_a_request_that_is_too_large_is_halved_and_later_ones_are_smaller(
    sqlite_database: TestDatabase,
) -> None:
    with Emulator(limits=Limits(wire=30_000)) as small:
        posthog = PostHog(sqlite_database.engine, project_token="phc_test", host=small.url, delivery=QUICK)
        with sqlite_database.engine.begin() as connection:
            for n in range(100):
                noise = random.Random(n).randbytes(500).hex()
                posthog.capture(connection, "step", distinct_id="one", properties={"n": n, "noise": noise})
        assert posthog.deliver() == (100, 0, 0)
        assert [event.properties["n"] for event in small.events()] == list(range(100))
        statuses = [request.status for request in small.requests()]
        assert 413 in statuses
        assert statuses[-1] == 200


def test_p2_an_event_that_alone_is_too_large_for_the_server_is_a_dead_letter(
    client: Client, emulator: Emulator, sqlite_database: TestDatabase
) -> None:
    posthog = client()
    uuids = capture_many(posthog, sqlite_database, 9)
    emulator.fault(status=413, uuid=uuids[4])
    assert posthog.deliver() == (8, 1, 0)


def test_p2_a_refused_key_loses_nothing_and_delivery_resumes_when_it_is_mended(
    client: Client, emulator: Emulator, sqlite_database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.configure(known_tokens=["phc_healthy"])
    broken, healthy = client(project_token="phc_broken_key"), client(project_token="phc_healthy")
    uuids = capture_many(broken, sqlite_database, 20)
    with caplog.at_level(logging.ERROR, "hogbox"):
        healthy.start()
        emulator.wait_for(lambda running: 401 in [request.status for request in running.requests()])
        well = capture_many(healthy, sqlite_database, 20)
        emulator.wait_for(lambda running: {event.uuid for event in running.events()} >= set(well))
    wait_until(lambda: sqlite_database.count("posthog_outbox") == 20, "just the refused project's events to be kept")
    assert sqlite_database.count("posthog_dead_letters") == 0
    assert "refuses the project token phc_brok…" in caplog.text
    assert "phc_broken_key" not in caplog.text

    emulator.configure(known_tokens=["phc_healthy", "phc_broken_key"])
    emulator.wait_for(lambda running: {event.uuid for event in running.events()} >= set(uuids))
    wait_until(lambda: sqlite_database.count("posthog_outbox") == 0, "everything to be settled")
    healthy.shutdown()
    assert sqlite_database.count("posthog_dead_letters") == 0


def test_a_project_whose_key_is_refused_is_tried_seldom(
    client: Client, emulator: Emulator, sqlite_database: TestDatabase
) -> None:
    emulator.configure(known_tokens=[])
    posthog = client(DeliverySettings(retry_base_seconds=60.0, request_timeout_seconds=5.0))
    capture_many(posthog, sqlite_database, 200, "u{}")
    result = posthog.deliver(timeout=1.5)
    assert result == (0, 0, 200)
    assert len(emulator.requests()) <= 2


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 302])
def test_p3_events_are_kept_and_sent_again_unchanged_after(
    client: Client, emulator: Emulator, sqlite_database: TestDatabase, status: int
) -> None:
    posthog = client()
    capture_many(posthog, sqlite_database, 5, "one")
    emulator.configure(keep_bodies=100_000)
    emulator.fault(status=status, times=2)
    assert posthog.deliver() == (5, 0, 0)
    requests = emulator.requests()
    assert [request.status for request in requests] == [status, status, 200]
    assert len({(request.body or "").split('"batch"')[1] for request in requests}) == 1
    assert len({(request.body or "").split('"batch"')[0] for request in requests}) == 3, "sent_at is of each attempt"


def test_retry_after_is_obeyed(client: Client, emulator: Emulator, sqlite_database: TestDatabase) -> None:
    posthog = client()
    capture_many(posthog, sqlite_database, 1)
    emulator.fault(status=429, headers={"Retry-After": "1"}, times=1)
    assert posthog.deliver() == (1, 0, 0)
    first, second = emulator.requests()
    assert second.arrived_at - first.arrived_at >= 1.0


def test_p8_a_server_that_is_not_there_costs_a_drain_its_time_and_nothing_else(sqlite_database: TestDatabase) -> None:
    posthog = PostHog(sqlite_database.engine, project_token="phc_t", host="http://127.0.0.1:9", delivery=QUICK)
    capture_many(posthog, sqlite_database, 3)
    assert posthog.deliver(timeout=0.5) == (0, 0, 3)
    assert sqlite_database.count("posthog_dead_letters") == 0
    with sqlite_database.engine.connect() as connection:
        errors = connection.scalars(sa.text("SELECT reason FROM posthog_holds")).all()
    assert errors
    assert all("ConnectError" in error for error in errors)


def test_p2_attempts_are_limited_only_where_configured(
    client: Client, emulator: Emulator, sqlite_database: TestDatabase
) -> None:
    limited = DeliverySettings(
        request_timeout_seconds=2.0, lease_seconds=6.0, retry_base_seconds=0.1, retry_cap_seconds=0.1, max_attempts=3
    )
    posthog = client(limited)
    capture_many(posthog, sqlite_database, 4, "one")
    emulator.fault(status=503)
    assert posthog.deliver() == (0, 4, 0)
    assert len(emulator.requests()) == 3 + 4 * 3, "the batch three times, and then each event alone"
    with sqlite_database.engine.connect() as connection:
        reasons = connection.scalars(sa.text("SELECT reason FROM posthog_dead_letters")).all()
    assert set(reasons) == {"given up after 3 attempts: HTTP 503: transient error, please retry"}


def test_one_request_never_holds_a_uuid_twice(
    client: Client, emulator: Emulator, sqlite_database: TestDatabase
) -> None:
    posthog = client()
    with sqlite_database.engine.begin() as connection:
        for _ in range(3):
            posthog.capture(connection, "paid", distinct_id="u1", idempotency_key="invoice-7")
    assert posthog.deliver() == (3, 0, 0)
    assert [request.events for request in emulator.requests()] == [1, 1, 1]


def test_a_payload_that_is_no_event_is_set_aside_and_stops_nothing(
    client: Client, emulator: Emulator, sqlite_database: TestDatabase
) -> None:
    posthog = client()
    uuids = capture_many(posthog, sqlite_database, 6)
    with sqlite_database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE posthog_outbox SET payload = '{not json' WHERE id = 3"))
    assert posthog.deliver() == (5, 1, 0)
    assert {event.uuid for event in emulator.events()} == set(uuids) - {uuids[2]}
