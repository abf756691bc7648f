"""The log: one line for each change of state, however long it lasts and however often it is tried, with its facts."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from hogbox import PostHog
from hogbox.emulator import Emulator
from hogbox.settings import DeliverySettings
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store
from tests.fixtures.waiting import wait_until
from tests.telemetry.test_events import FLAGS

TOKEN = "phc_a_token_of_the_tests"
SHORT = "phc_a_to…"
QUICK = DeliverySettings(
    request_timeout_seconds=1.0,
    lease_seconds=1.5,
    poll_seconds=0.02,
    retry_base_seconds=0.01,
    retry_cap_seconds=0.02,
    key_refused_cap_seconds=0.02,
)


@pytest.fixture
def posthog(sqlite_database: TestDatabase, emulator: Emulator) -> Iterator[PostHog]:
    with PostHog(sqlite_database.engine, project_token=TOKEN, host=emulator.url, delivery=QUICK) as posthog:
        yield posthog


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hogbox")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What hogbox said between the beginning and the end of its workers."""
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("hogbox")]
    return [line for line in lines if not line.startswith("worker ")]


def facts(record: logging.LogRecord) -> dict[str, Any]:
    """What the record says besides its words."""
    usual = vars(logging.makeLogRecord({}))
    return {name: value for name, value in vars(record).items() if name not in {*usual, "message", "asctime"}}


def only(caplog: pytest.LogCaptureFixture, text: str) -> logging.LogRecord:
    (record,) = [record for record in caplog.records if text in record.getMessage()]
    return record


def test_a_long_outage_is_one_line(posthog: PostHog, emulator: Emulator, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(20):
        posthog.capture(None, "paid", distinct_id=f"u{number}")
    emulator.fault(status=503)
    posthog.start()
    emulator.wait_for(lambda running: len(running.requests()) >= 40)
    posthog.shutdown()
    (line,) = said(caplog)
    assert line.startswith("PostHog is not accepting events (HTTP 503")
    told = facts(only(caplog, "not accepting events"))
    assert (told["project"], told["status"], told["attempt"]) == (SHORT, 503, 1)
    assert told["events"] >= 1


def test_a_refused_token_is_one_line_and_one_when_it_is_accepted(
    posthog: PostHog, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.configure(known_tokens=[])
    posthog.capture(None, "paid", distinct_id="u1")
    posthog.start()
    emulator.wait_for(lambda running: len(running.requests()) >= 10)
    emulator.configure(known_tokens=[TOKEN])
    emulator.wait_for_events(1)
    posthog.shutdown()
    refused, accepted = said(caplog)
    assert refused.startswith(f"PostHog refuses the project token {SHORT}")
    assert accepted == f"PostHog accepts events of project {SHORT} again"
    assert facts(only(caplog, "refuses")) == {"project": SHORT, "status": 401, "events": 1, "attempt": 1}
    assert facts(only(caplog, "accepts events of project")) == {"project": SHORT}


def test_each_event_that_is_given_up_is_one_line(
    sqlite_database: TestDatabase, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    limited = DeliverySettings(
        request_timeout_seconds=1.0, lease_seconds=6.0, retry_base_seconds=0.01, retry_cap_seconds=0.01, max_attempts=2
    )
    emulator.fault(status=503)
    with PostHog(sqlite_database.engine, project_token=TOKEN, host=emulator.url, delivery=limited) as posthog:
        with sqlite_database.engine.begin() as connection:
            for _ in range(3):
                posthog.capture(connection, "paid", distinct_id="u1")
        assert posthog.deliver() == (0, 3, 0)
    dead = [record for record in caplog.records if "dead letter" in record.getMessage()]
    assert len(dead) == 3
    assert f"of project {SHORT} became a dead letter: given up after 2 attempts" in dead[0].getMessage()
    assert facts(dead[0]) == {"project": SHORT, "status": 503, "events": 1}


def test_a_database_that_refuses_to_be_written_is_one_line(
    posthog: PostHog, sqlite_database: TestDatabase, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    """It can be read: between two failures the worker finds nothing wrong."""
    sqlite_database.execute(
        "CREATE TRIGGER full BEFORE DELETE ON posthog_outbox BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
    )
    posthog.capture(None, "paid", distinct_id="u1")
    posthog.start()
    emulator.wait_for(lambda running: len(running.requests()) >= 3)
    sqlite_database.execute("DROP TRIGGER full")
    wait_until(lambda: sqlite_database.count("posthog_outbox") == 0, "the event to be settled")
    posthog.shutdown()
    (line,) = said(caplog)
    assert line.startswith("database error; retrying every 1 s: ")
    assert set(facts(only(caplog, "database error"))) == {"worker"}


def test_reads_that_fall_back_in_vain_are_one_line_until_posthog_answers(
    posthog: PostHog, sqlite_database: TestDatabase, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    store(sqlite_database, TOKEN, FLAGS)
    emulator.configure(known_tokens=[])
    for _ in range(5):
        assert posthog.get_feature_flag(None, "by-plan", distinct_id="u1", fallback="remote", default="d") == "d"
        posthog.get_all_flags(None, distinct_id="u1", fallback="remote")
    emulator.configure(known_tokens=[TOKEN])
    for _ in range(2):
        posthog.get_feature_flag(None, "by-plan", distinct_id="u1", fallback="remote")
    failed, answered = said(caplog)
    assert failed.startswith("flags are inconclusive here, and their defaults are given: ")
    assert answered == "PostHog answers questions for flags again"
    assert facts(only(caplog, "inconclusive"))["project"] == SHORT


def test_events_that_can_tell_of_no_flags_are_one_line(posthog: PostHog, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        posthog.capture(None, "paid", distinct_id="u1", send_feature_flags=True)
    (line,) = said(caplog)
    assert line.startswith("no flag definitions of project phc_")


def test_a_worker_says_when_it_begins_and_ends(
    posthog: PostHog, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    posthog.capture(None, "paid", distinct_id="u1")
    posthog.deliver()
    began, ended = (facts(record) for record in caplog.records if record.getMessage().startswith("worker "))
    assert began == {"worker": began["worker"], "host": emulator.url}
    assert ended == {"worker": began["worker"], "delivered": 1, "dead": 0}
