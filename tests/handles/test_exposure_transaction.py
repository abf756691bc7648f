"""Tracked reads of flags neither end, block nor fail the transaction that they are made in."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from hogbox import PostHog
from hogbox._events.event import EXPOSURES
from hogbox._store.connections.database import Database
from hogbox._store.exposure import ClaimStore
from hogbox.emulator import Emulator
from hogbox.telemetry import EventsSettled
from tests.emulator.flag_case import definitions, flag
from tests.fixtures.database import SharedDatabases, TestDatabase
from tests.fixtures.stored import store

TOKEN = "phc_exposures"
LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest, emptied: SharedDatabases) -> TestDatabase:
    """A database with several writers."""
    database = emptied(request.param)
    store(database, TOKEN, definitions(flag("a"), flag("b")))
    return database


@pytest.fixture
def posthog(database: TestDatabase) -> Iterator[PostHog]:
    with PostHog(project_token=TOKEN, track_exposures=True) as posthog:
        yield posthog


@pytest.fixture(params=LEVELS)
def engine(request: pytest.FixtureRequest, database: TestDatabase) -> Iterator[sa.Engine]:
    """The application's engine, in each isolation."""
    engine = sa.create_engine(database.url, isolation_level=request.param)
    yield engine
    engine.dispose()


def deliver(database: TestDatabase) -> list[tuple[str, str]]:
    """What arrives: person and flag of each exposure."""
    with Emulator() as emulator, PostHog(database.url, project_token=TOKEN, host=emulator.url) as posthog:
        assert posthog.deliver(timeout=20).waiting == 0
        return sorted((event.distinct_id, event.properties["$feature_flag"]) for event in emulator.events())


def test_p8_a_read_does_not_fail_where_another_transaction_noted_the_exposure(
    database: TestDatabase, posthog: PostHog, engine: sa.Engine
) -> None:
    with engine.connect() as first, engine.connect() as second:
        first.exec_driver_sql("SELECT 1")
        second.exec_driver_sql("SELECT count(*) FROM posthog_schema")
        assert posthog.get_feature_flag(first, "a", distinct_id="u") is True
        first.commit()
        assert posthog.get_feature_flag(second, "a", distinct_id="u") is True
        second.commit()
    assert deliver(database) == [("u", "a")]


def test_p8_two_flags_in_opposite_order_are_no_deadlock(
    database: TestDatabase, posthog: PostHog, engine: sa.Engine
) -> None:
    errors: list[BaseException] = []
    both = threading.Barrier(2, timeout=20)

    def read(order: str) -> None:
        try:
            with engine.connect() as connection:
                posthog.get_feature_flag(connection, order[0], distinct_id="u")
                both.wait()
                posthog.get_feature_flag(connection, order[1], distinct_id="u")
                both.wait()
                connection.commit()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read, args=(order,)) for order in ("ab", "ba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert deliver(database) == [("u", "a"), ("u", "b")]


def test_p8_an_open_transaction_does_not_hold_the_worker_up(
    database: TestDatabase, posthog: PostHog, engine: sa.Engine
) -> None:
    with engine.connect() as reader, database.engine.connect() as other:
        posthog.get_feature_flag(reader, "a", distinct_id="u")
        posthog.get_feature_flag(other, "a", distinct_id="w")
        other.commit()
        assert deliver(database) == [("w", "a")]
        reader.commit()
    assert deliver(database) == [("u", "a")]


def test_a_read_in_a_transaction_that_may_not_write_leaves_its_exposure_out(
    emptied: SharedDatabases,
) -> None:
    database = emptied("postgresql")
    store(database, TOKEN, definitions(flag("a")))
    with PostHog(project_token=TOKEN, track_exposures=True) as posthog, database.engine.connect() as connection:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        assert posthog.get_feature_flag(connection, "a", distinct_id="u") is True
        assert connection.scalar(sa.text("SELECT 1")) == 1
    assert database.events() == []


@pytest.fixture
def claims(any_kind: TestDatabase) -> ClaimStore:
    return ClaimStore(Database(any_kind.engine, "posthog_"), 60)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def any_kind(request: pytest.FixtureRequest, emptied: SharedDatabases) -> TestDatabase:
    return emptied(request.param)


def test_p2_the_event_that_claimed_an_exposure_is_sent_again_after_a_crash(claims: ClaimStore) -> None:
    first, second = ("a" * 64, "uuid-1"), ("a" * 64, "uuid-2")
    assert claims.claim([first, second, ("b" * 64, "uuid-3")]) == {"uuid-1", "uuid-3"}
    assert claims.claim([second]) == frozenset()
    assert claims.claim([first, second]) == {"uuid-1"}


@pytest.mark.parametrize("expired", [False, True])
def test_p1_an_event_that_another_worker_claims_for_at_the_same_time_is_not_taken_for_a_repeat(
    database: TestDatabase, expired: bool
) -> None:
    """The shard was taken over from a worker that is about to send, and does not any more: the event would be lost."""
    pairs = [("a" * 64, "uuid-1"), ("a" * 64, "uuid-2")]
    before, now = (ClaimStore(own := Database(database.engine, "posthog_"), 60) for _ in range(2))
    if expired:
        before.claim([("a" * 64, "uuid-0")])
        database.execute("UPDATE posthog_exposures SET expires_at = 1")
    pending = [pairs]

    def claim_first(_: object, __: object, statement: str, *rest: object) -> None:
        if pending and statement.startswith(("INSERT", "UPDATE")):
            assert before.claim(pending.pop()) == {"uuid-1"}

    sa.event.listen(own.engine, "before_cursor_execute", claim_first)
    assert now.claim(pairs) == {"uuid-1"}
    assert not pending


def test_an_expired_claim_is_taken_by_the_next_event(claims: ClaimStore, any_kind: TestDatabase) -> None:
    claims.claim([("a" * 64, "uuid-1")])
    any_kind.execute("UPDATE posthog_exposures SET expires_at = 1")
    assert claims.claim([("a" * 64, "uuid-2"), ("a" * 64, "uuid-4")]) == {"uuid-2"}


def test_p2_repeated_exposures_are_counted(any_kind: TestDatabase) -> None:
    store(any_kind, TOKEN, definitions(flag("a")))
    with Emulator() as emulator:
        with PostHog(any_kind.url, project_token=TOKEN, host=emulator.url, track_exposures=True) as posthog:
            for _ in range(3):
                posthog.get_feature_flag(None, "a", distinct_id="u")
                posthog.capture(None, "bought", distinct_id="u")
                any_kind.execute("DELETE FROM posthog_exposures")
            assert {row["lane"] for row in any_kind.rows("posthog_outbox")} == {EXPOSURES, "analytics"}
            told: list[object] = []
            posthog.telemetry.attach(told.append)
            posthog.deliver(timeout=20)
        assert [event.event for event in emulator.events()] == ["$feature_flag_called", *["bought"] * 3]
    settled = {event.outcome: event.events for event in told if isinstance(event, EventsSettled)}
    assert settled == {"delivered": 4, "repeated": 2}
