"""From the client to PostHog: `deliver`, `start` and `shutdown`, against the emulator."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from hogbox import PostHog
from hogbox.emulator import Emulator
from hogbox.settings import DeliverySettings
from tests.client.conftest import TOKEN
from tests.fixtures.colour import open_session
from tests.fixtures.database import TestDatabase

NOBODY = "http://127.0.0.1:9"
QUICK = DeliverySettings(poll_seconds=0.1, retry_base_seconds=0.2, retry_cap_seconds=0.5)


def worker_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("hogbox-worker")]


def test_p2_deliver_sends_what_waits_and_empties_the_outbox(
    any_database: TestDatabase, emulator: Emulator, colour: type[PostHog]
) -> None:
    with colour(any_database.url, project_token=TOKEN, host=emulator.url) as posthog:
        uuids = [posthog.capture(None, f"paid {number}", distinct_id=f"u{number}") for number in range(20)]
        assert posthog.deliver() == (20, 0, 0)
    assert {event.uuid for event in emulator.events()} == set(uuids)
    assert {event.token for event in emulator.events()} == {TOKEN}
    assert any_database.events() == []
    assert any_database.count("posthog_workers") == 0


def test_p4_one_persons_events_arrive_in_order(
    any_database: TestDatabase, emulator: Emulator, colour: type[PostHog]
) -> None:
    with colour(any_database.url, project_token=TOKEN, host=emulator.url) as posthog:
        for start in range(0, 60, 20):
            with open_session(posthog, any_database) as session:
                for number in range(start, start + 20):
                    posthog.capture(session.handle, f"{number}", distinct_id="u1")
                session.commit()
        posthog.deliver()
    assert [event.event for event in emulator.events()] == [str(number) for number in range(60)]


def test_p3_what_arrives_is_what_was_captured(
    any_database: TestDatabase, emulator: Emulator, colour: type[PostHog]
) -> None:
    with colour(any_database.url, project_token=TOKEN, host=emulator.url) as posthog:
        posthog.capture(None, "bezahlt \N{PILE OF POO}", distinct_id="Zoë", properties={"text": 'a\0b\\"\u2028'})
        (waiting,) = any_database.events()
        posthog.deliver()
    (arrived,) = emulator.events()
    assert (arrived.uuid, arrived.timestamp) == (waiting["uuid"], waiting["timestamp"])
    assert (arrived.event, arrived.distinct_id) == ("bezahlt \N{PILE OF POO}", "Zoë")
    assert arrived.properties["text"] == 'a\0b\\"\u2028'


def test_an_empty_outbox_makes_no_request(
    any_database: TestDatabase, emulator: Emulator, colour: type[PostHog]
) -> None:
    with colour(any_database.url, project_token=TOKEN, host=emulator.url) as posthog:
        assert posthog.deliver() == (0, 0, 0)
    assert emulator.requests() == []


def test_progress_is_told_up_to_the_end(any_database: TestDatabase, emulator: Emulator, colour: type[PostHog]) -> None:
    told: list[tuple[int, int]] = []
    with colour(any_database.url, project_token=TOKEN, host=emulator.url) as posthog:
        for number in range(5):
            posthog.capture(None, "paid", distinct_id=f"u{number}")
        posthog.deliver(progress=lambda done, total: told.append((done, total)))
    assert (told[0], told[-1]) == ((0, 5), (5, 5))
    assert told == sorted(told)


def test_p8_a_server_that_is_down_raises_nothing_and_loses_nothing(
    any_database: TestDatabase, colour: type[PostHog]
) -> None:
    with colour(any_database.url, project_token=TOKEN, host=NOBODY, delivery=QUICK) as posthog:
        posthog.capture(None, "paid", distinct_id="u1")
        assert posthog.deliver(timeout=0.3) == (0, 0, 1)
        posthog.capture(None, "paid again", distinct_id="u1")
    assert len(any_database.events()) == 2


def test_p8_capturing_makes_no_request(any_database: TestDatabase, emulator: Emulator, colour: type[PostHog]) -> None:
    with colour(any_database.url, project_token=TOKEN, host=emulator.url) as posthog:
        posthog.capture(None, "paid", distinct_id="u1")
        posthog.capture_exception(None, "it broke")
    assert emulator.requests() == []


def test_p2_what_the_server_refuses_becomes_a_dead_letter(
    any_database: TestDatabase, emulator: Emulator, colour: type[PostHog]
) -> None:
    with colour(any_database.url, project_token=TOKEN, host=emulator.url) as posthog:
        for number in range(4):
            posthog.capture(None, f"paid {number}", distinct_id=f"u{number}")
        any_database.execute(
            "UPDATE posthog_outbox SET payload = :broken WHERE payload LIKE :which",
            broken='{"uuid":"no","event":"","distinct_id":"u2","properties":{}}',
            which="%paid 2%",
        )
        assert posthog.deliver() == (3, 1, 0)
    assert {event.event for event in emulator.events()} == {"paid 0", "paid 1", "paid 3"}
    (dead,) = any_database.dead_letters()
    assert dead["status"] == 400


def test_a_worker_thread_delivers_until_shutdown(
    any_database: TestDatabase, emulator: Emulator, colour: type[PostHog]
) -> None:
    posthog = colour(any_database.url, project_token=TOKEN, host=emulator.url, delivery=QUICK)
    posthog.start()
    posthog.start()
    assert worker_threads() == ["hogbox-worker"]
    posthog.capture(None, "paid", distinct_id="u1")
    emulator.wait_for_events(1)
    posthog.shutdown()
    posthog.shutdown()
    assert worker_threads() == []
    assert any_database.events() == []
    assert any_database.count("posthog_workers") == 0
    assert {row["owner"] for row in any_database.rows("posthog_shards", "shard")} == {None}


def test_a_client_can_be_started_again_after_a_shutdown(
    any_database: TestDatabase, emulator: Emulator, colour: type[PostHog]
) -> None:
    posthog = colour(any_database.url, project_token=TOKEN, host=emulator.url, delivery=QUICK)
    for count in (1, 2):
        posthog.start()
        posthog.capture(None, "paid", distinct_id="u1")
        emulator.wait_for_events(count)
        posthog.shutdown()
    assert worker_threads() == []


def test_leaving_the_block_ends_the_worker_thread(any_database: TestDatabase, colour: type[PostHog]) -> None:
    with colour(any_database.url, project_token=TOKEN, host=NOBODY) as posthog:
        posthog.start()
        assert worker_threads() == ["hogbox-worker"]
    assert worker_threads() == []


def test_shutdown_without_a_start_does_nothing(database: TestDatabase, colour: type[PostHog]) -> None:
    posthog = colour(database.url, project_token=TOKEN)
    posthog.shutdown()
    assert posthog.capture(None, "paid", distinct_id="u1")
    posthog.shutdown()


def test_an_error_inside_the_block_is_not_swallowed(database: TestDatabase, colour: type[PostHog]) -> None:
    with pytest.raises(LookupError), colour(database.url, project_token=TOKEN):
        raise LookupError


def test_events_of_several_projects_go_each_with_its_own_token(
    any_database: TestDatabase, emulator: Emulator, colour: type[PostHog]
) -> None:
    with (
        colour(any_database.url, project_token="phc_one", host=emulator.url) as one,
        colour(any_database.url, project_token="phc_two", host=emulator.url) as two,
    ):
        one.capture(None, "first", distinct_id="u1")
        two.capture(None, "second", distinct_id="u1")
        assert one.deliver() == (2, 0, 0)
    assert {(event.token, event.event) for event in emulator.events()} == {("phc_one", "first"), ("phc_two", "second")}


def test_p9_tokens_are_shortened_in_the_log_and_in_the_clients_text(
    any_database: TestDatabase, emulator: Emulator, caplog: pytest.LogCaptureFixture, colour: type[PostHog]
) -> None:
    caplog.set_level(logging.DEBUG, "hogbox")
    emulator.configure(known_tokens=["phc_another"])
    with colour(any_database.url, project_token=TOKEN, host=emulator.url, delivery=QUICK) as posthog:
        posthog.capture(None, "paid", distinct_id="u1")
        assert posthog.deliver(timeout=0.3) == (0, 0, 1)
        assert repr(posthog).removeprefix("Async") == f"PostHog(project='phc_a_to…', host={emulator.url!r})"
    assert "refuses the project token phc_a_to…" in caplog.text
    assert TOKEN not in caplog.text
    noted = {row["last_error"] for row in any_database.rows("posthog_shards", "shard")} - {None}
    assert noted
    assert TOKEN not in "".join(noted)


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_deliver_keeps_its_timeout_inside_of_an_open_write_transaction(
    sqlite_database: TestDatabase, emulator: Emulator, colour: type[PostHog], journal: str
) -> None:
    with sqlite_database.engine.connect() as connection:
        connection.exec_driver_sql(f"PRAGMA journal_mode = {journal}")
    with colour(sqlite_database.url, project_token=TOKEN, host=emulator.url) as posthog:
        posthog.capture(None, "before", distinct_id="u1")
        with open_session(posthog, sqlite_database) as session:
            posthog.capture(session.handle, "inside", distinct_id="u1")
            begun = time.monotonic()
            assert posthog.deliver(timeout=0.5) == (0, 0, 1)
            assert time.monotonic() - begun < 3
            session.commit()
        assert posthog.deliver(timeout=10) == (2, 0, 0)
