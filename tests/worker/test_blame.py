"""Who is to blame for a failure, and who waits for it: the host, one project, or one event and its person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import sqlalchemy as sa

from hogbox import PostHog
from hogbox._events.identifier import shard_of
from hogbox.emulator import Emulator
from hogbox.settings import DeliverySettings
from tests.fixtures.database import TestDatabase
from tests.fixtures.waiting import wait_until

PAGE = "<!doctype html><title>Sign in to the guest network</title>"


def quick(**changes: float) -> DeliverySettings:
    usual = {
        "request_timeout_seconds": 2.0,
        "lease_seconds": 6.0,
        "poll_seconds": 0.05,
        "retry_base_seconds": 0.1,
        "retry_cap_seconds": 0.2,
        "key_refused_cap_seconds": 0.2,
    }
    return DeliverySettings.load({}, **{**usual, **changes})


Client = Callable[..., PostHog]


@pytest.fixture
def client(database: TestDatabase, emulator: Emulator) -> Iterator[Client]:
    """Makes clients of the test's database and emulator."""

    def make(project_token: str = "phc_test", **changes: float) -> PostHog:
        url, delivery = database.url, quick(**changes)
        posthog = PostHog(url, project_token=project_token, host=emulator.url, delivery=delivery)
        return stack.enter_context(posthog)

    with ExitStack() as stack:
        yield make


def capture(posthog: PostHog, database: TestDatabase, count: int, people: int = 50) -> list[str]:
    with database.engine.begin() as connection:
        uuids = [
            posthog.capture(connection, "step", distinct_id=f"p{n % people}", properties={"n": n}) for n in range(count)
        ]
    return [uuid for uuid in uuids if uuid]


def arrive(emulator: Emulator, uuids: set[str]) -> None:
    """Wait until all of these events have arrived."""
    emulator.wait_for(lambda running: {event.uuid for event in running.events()} >= uuids)


def in_order(emulator: Emulator) -> bool:
    """Whether the first arrivals of each person's events are in the order of their capture."""
    seen: dict[str, list[int]] = {}
    for event in emulator.events():
        numbers = seen.setdefault(event.distinct_id, [])
        if event.properties["n"] not in numbers:
            numbers.append(event.properties["n"])
    return all(numbers == sorted(numbers) for numbers in seen.values())


def test_p4_a_refusal_ends_its_project_for_the_turn(sqlite_database: TestDatabase, emulator: Emulator) -> None:
    """The hold is over before it is noted, since the database is slow: what was read after the first batch waits."""
    slow = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 2000000) SELECT max(x) FROM c"
    delivery = quick(batch_bytes=4000, key_refused_cap_seconds=0.01, retry_base_seconds=0.01)
    posthog = PostHog(sqlite_database.url, project_token="phc_test", host=emulator.url, delivery=delivery)
    sqlite_database.execute(f"CREATE TRIGGER slow BEFORE INSERT ON posthog_holds BEGIN {slow}; END")
    for n in range(6):
        posthog.capture(None, "step", distinct_id="ada", properties={"n": n, "x": "y" * 1500})
    emulator.fault(status=401, times=1)
    assert posthog.deliver(timeout=30) == (6, 0, 0)
    assert [event.properties["n"] for event in emulator.events()] == list(range(6))


@pytest.mark.parametrize("status", [500, 403, 302, 200, 404, 431])
def test_p4_one_event_that_fails_for_ever_holds_back_its_person_alone(
    client: Client, emulator: Emulator, database: TestDatabase, status: int
) -> None:
    posthog = client()
    uuids = capture(posthog, database, 200)
    emulator.fault(status=status, body=PAGE, uuid=uuids[70])
    posthog.start()
    emulator.wait_for(lambda running: len({event.uuid for event in running.events()}) == 197)
    more = capture(posthog, database, 50)
    emulator.wait_for(lambda running: len({event.uuid for event in running.events()}) == 246)
    waits = {*uuids[70::50], more[20]}
    assert {event.uuid for event in emulator.events()} == {*uuids, *more} - waits
    wait_until(lambda: database.count("posthog_outbox") == len(waits), "all others to be settled")
    assert database.count("posthog_dead_letters") == 0
    told = [row["last_error"] for row in database.rows("posthog_shards", "shard") if row["attempt"]]
    assert len(told) == 1
    assert f"event {uuids[70]} fails while other events are accepted" in told[0]

    emulator.clear_faults()
    emulator.wait_for(lambda running: {event.uuid for event in running.events()} == {*uuids, *more})
    wait_until(lambda: database.count("posthog_outbox") == 0, "everything to be settled")
    posthog.shutdown()
    assert in_order(emulator)
    assert not [row for row in database.rows("posthog_shards", "shard") if row["attempt"]]
    assert database.rows("posthog_holds", "project") == []


@pytest.mark.parametrize("status", [500, 403])
def test_p2_a_limit_of_attempts_gives_up_only_what_failed_alone(
    client: Client, emulator: Emulator, database: TestDatabase, status: int
) -> None:
    posthog = client(max_attempts=2)
    uuids = capture(posthog, database, 200)
    emulator.fault(status=status, body="blocked", uuid=uuids[70])
    assert posthog.deliver(timeout=60) == (199, 1, 0)
    (dead,) = database.rows("posthog_dead_letters", "id")
    assert (dead["event_uuid"], dead["reason"]) == (uuids[70], f"given up after 2 attempts: HTTP {status}: blocked")
    assert in_order(emulator)


@pytest.mark.parametrize(("named", "outcome"), [(False, (1, 0, 0)), (True, (0, 1, 0))], ids=["another", "itself"])
def test_p2_attempts_of_workers_before_count_for_the_event_that_they_are_about(
    client: Client, emulator: Emulator, database: TestDatabase, named: bool, outcome: tuple[int, int, int]
) -> None:
    posthog = client(max_attempts=3)
    (uuid,) = capture(posthog, database, 1)
    error = f"event {uuid if named else 'another'} fails alone: HTTP 500"
    database.execute("UPDATE posthog_shards SET attempt = 2, last_error = :error", error=error)
    emulator.fault(status=500, times=1)
    assert posthog.deliver(timeout=30) == outcome


@pytest.mark.parametrize("status", [400, 413])
def test_p2_a_refusal_in_other_words_gives_up_an_event_once_others_have_passed(
    client: Client, emulator: Emulator, database: TestDatabase, status: int
) -> None:
    posthog = client()
    uuids = capture(posthog, database, 200)
    emulator.fault(status=status, body=PAGE, uuid=uuids[70])
    assert posthog.deliver(timeout=60) == (199, 1, 0)
    (dead,) = database.rows("posthog_dead_letters", "id")
    assert dead["event_uuid"] == uuids[70]
    assert "refused alone 2 times while other events are accepted" in dead["reason"]


@pytest.mark.parametrize("status", [200, 204, 400, 401, 402, 404, 405, 407, 413, 421, 425, 431])
def test_p2_an_answer_to_everything_that_is_not_posthogs_buries_nothing_and_takes_few_requests(
    sqlite_database: TestDatabase, emulator: Emulator, status: int
) -> None:
    posthog = PostHog(sqlite_database.url, project_token="phc_test", host=emulator.url, delivery=quick())
    capture(posthog, sqlite_database, 300)
    if status == 204:
        emulator.fault(drop="before")
    else:
        emulator.fault(status=status, body=PAGE, headers={"Content-Type": "text/html"})
    assert posthog.deliver(timeout=1.5) == (0, 0, 300)
    assert len(emulator.requests()) <= 60
    (hold,) = sqlite_database.rows("posthog_holds", "project")
    assert hold["attempt"] >= 1
    emulator.clear_faults()
    assert posthog.deliver(timeout=30) == (300, 0, 0)
    assert in_order(emulator)


@pytest.mark.parametrize("status", [429, 503, 401])
def test_one_project_that_fails_keeps_no_other_waiting(
    client: Client, emulator: Emulator, database: TestDatabase, status: int
) -> None:
    bad, good = client("phc_bad", retry_base_seconds=30.0, retry_cap_seconds=60.0), client("phc_good")
    emulator.fault(status=status, token="phc_bad", headers={"Retry-After": "60"})
    capture(bad, database, 200)
    bad.start()
    emulator.wait_for(lambda running: len(running.requests()) == 1)
    for _ in range(3):
        uuids = capture(good, database, 64, people=64)
        arrive(emulator, set(uuids))
    bad.shutdown()
    assert len([request for request in emulator.requests() if request.token == "phc_bad"]) == 1
    assert database.count("posthog_outbox") == 200


def test_a_pause_that_the_server_asked_for_outlives_the_worker(
    client: Client, emulator: Emulator, database: TestDatabase
) -> None:
    capture(client(), database, 5)
    emulator.fault(status=429, headers={"Retry-After": "60"})
    assert client().deliver(timeout=0.5) == (0, 0, 5)
    assert client().deliver(timeout=0.5) == (0, 0, 5)
    assert len(emulator.requests()) == 1


def test_a_worker_that_starts_tries_a_refused_project_at_once(
    client: Client, emulator: Emulator, database: TestDatabase
) -> None:
    capture(client(), database, 5)
    emulator.fault(status=401, times=1)
    assert client(key_refused_cap_seconds=60).deliver(timeout=0.5) == (0, 0, 5)
    assert client().deliver(timeout=30) == (5, 0, 0)


def test_requests_are_as_large_as_before_soon_after_a_server_that_refused_their_size(
    sqlite_database: TestDatabase, emulator: Emulator
) -> None:
    posthog = PostHog(sqlite_database.url, project_token="phc_test", host=emulator.url, delivery=quick())
    capture(posthog, sqlite_database, 300)
    posthog.start()
    emulator.fault(status=413, body=PAGE, times=14)
    emulator.wait_for(lambda running: len({event.uuid for event in running.events()}) == 300, timeout=60)

    def full_again(running: Emulator) -> bool:
        return any(request.events >= 1000 for request in running.requests())

    for _ in range(12):
        arrive(emulator, set(capture(posthog, sqlite_database, 1500)))
        if full_again(emulator):
            break
    posthog.shutdown()
    assert full_again(emulator)
    assert sqlite_database.count("posthog_dead_letters") == 0


def test_p2_an_event_that_somebody_removed_holds_nobody_back(
    client: Client, emulator: Emulator, database: TestDatabase
) -> None:
    posthog = client()
    uuids = capture(posthog, database, 60)
    emulator.fault(status=500, uuid=uuids[5])
    posthog.start()
    emulator.wait_for(lambda running: len({event.uuid for event in running.events()}) == 58)
    wait_until(lambda: database.count("posthog_outbox") == 2, "all others to be settled")
    with database.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM posthog_outbox WHERE payload LIKE :text"), {"text": f"%{uuids[5]}%"})
    emulator.wait_for(lambda running: len({event.uuid for event in running.events()}) == 59)
    posthog.shutdown()
    assert database.count("posthog_outbox") == 0


@pytest.mark.parametrize("status", [500, 403])
def test_p4_one_event_holds_nobody_else_back_where_a_read_is_full_of_what_waits_behind_it(
    sqlite_database: TestDatabase, emulator: Emulator, status: int
) -> None:
    posthog = PostHog(sqlite_database.url, project_token="phc_test", host=emulator.url, delivery=quick(batch_events=5))
    with sqlite_database.engine.begin() as connection:
        shard = shard_of("phc_test", "server")
        others = [one for one in map(str, range(500)) if shard_of("phc_test", one) == shard]
        people = ["server"] * 20 + others
        uuids = [
            posthog.capture(connection, "step", distinct_id=one, properties={"n": n}) for n, one in enumerate(people)
        ]
    emulator.fault(status=status, body=PAGE, uuid=uuids[0])
    posthog.start()
    arrive(emulator, {*filter(None, uuids[20:])})
    emulator.clear_faults()
    arrive(emulator, {*filter(None, uuids)})
    posthog.shutdown()
    assert in_order(emulator)
