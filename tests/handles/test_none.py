"""No transaction of the caller's: hogbox commits by itself, at once."""

from __future__ import annotations

import pytest

from hogbox import PostHog
from tests.fixtures.database import BACKENDS, SharedDatabases, TestDatabase


@pytest.fixture(params=BACKENDS)
def any_database(request: pytest.FixtureRequest, clean: SharedDatabases) -> TestDatabase:
    return clean(request.param)


def test_p1_committed_before_capture_returns(any_database: TestDatabase) -> None:
    with PostHog(any_database.url, project_token="phc_none") as posthog:
        uuid = posthog.capture(None, "paid", distinct_id="u1")
        assert [event["uuid"] for event in any_database.events()] == [uuid]


def test_p1_dead_letter_committed_before_capture_returns(any_database: TestDatabase) -> None:
    with PostHog(any_database.url, project_token="phc_none") as posthog:
        uuid = posthog.capture(None, "paid", distinct_id="u" * 201)
        assert [row["event_uuid"] for row in any_database.dead_letters()] == [uuid]
        assert any_database.events() == []


def test_an_engine_of_the_callers_serves_as_well_and_is_left_open(any_database: TestDatabase) -> None:
    with PostHog(any_database.engine, project_token="phc_none") as posthog, any_database.engine.connect() as mine:
        posthog.capture(None, "paid", distinct_id="u1")
        posthog.shutdown()
        assert not mine.closed
    assert len(any_database.events()) == 1


def test_p1_a_transaction_of_the_callers_beside_it_is_not_touched(clean: SharedDatabases) -> None:
    database = clean("postgresql")
    with PostHog(database.engine, project_token="phc_none") as posthog, database.engine.connect() as mine:
        mine.exec_driver_sql("INSERT INTO orders VALUES (1)")
        posthog.capture(None, "paid", distinct_id="u1")
        mine.rollback()
    assert len(database.events()) == 1
    assert database.count("orders") == 0
