"""P1: what is captured shares the fate of the caller's transaction, on every handle, on every database."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy.exc import IntegrityError as SQLAlchemyIntegrityError

from tests.fixtures.database import TestDatabase
from tests.handles.application import NewClient
from tests.handles.conftest import OpenHandle
from tests.handles.opened import Opened

Capture = Callable[..., str]
"""Captures an event of that name, of a person, and returns its uuid."""

PERSONS = {"an event": ("u1", "posthog_outbox"), "a dead letter": ("u" * 201, "posthog_dead_letters")}


@pytest.fixture(params=PERSONS)
def kept(request: pytest.FixtureRequest) -> tuple[str, str]:
    """A person, and the table that their events are kept in."""
    return PERSONS[request.param]


@pytest.fixture
def capture(client: NewClient) -> Capture:
    posthog = client()

    def capture(opened: Opened, name: str, person: str = "u1") -> str:
        uuid = posthog.capture(opened.handle, name, distinct_id=person)
        assert uuid is not None
        return uuid

    return capture


def names(database: TestDatabase) -> list[str]:
    return [event["event"] for event in [*database.events(), *(row["payload"] for row in database.dead_letters())]]


def test_p1_committed_with_the_transaction(
    opened: Opened, database: TestDatabase, capture: Capture, kept: tuple[str, str]
) -> None:
    person, kept_in = kept
    opened.execute("INSERT INTO orders VALUES (1)")
    uuid = capture(opened, "paid", person)
    assert names(database) == []
    opened.commit()
    (row,) = database.events() if kept_in == "posthog_outbox" else [r["payload"] for r in database.dead_letters()]
    assert (row["uuid"], row["event"]) == (uuid, "paid")
    assert database.count(kept_in) == database.count("orders") == 1


def test_p1_rolled_back_with_the_transaction(
    opened: Opened, database: TestDatabase, capture: Capture, kept: tuple[str, str]
) -> None:
    opened.execute("INSERT INTO orders VALUES (1)")
    capture(opened, "paid", kept[0])
    opened.rollback()
    assert names(database) == []
    assert database.count("orders") == 0


def test_p1_alone_in_the_transaction_rolled_back(opened: Opened, database: TestDatabase, capture: Capture) -> None:
    capture(opened, "paid")
    opened.rollback()
    assert names(database) == []


def test_p1_gone_where_the_handle_is_left_without_a_commit(
    open_handle: OpenHandle, database: TestDatabase, capture: Capture
) -> None:
    with open_handle() as opened:
        capture(opened, "paid")
    assert names(database) == []


def test_p1_gone_with_a_savepoint_that_is_rolled_back(
    opened: Opened, database: TestDatabase, capture: Capture, kept: tuple[str, str]
) -> None:
    opened.execute("INSERT INTO orders VALUES (1)")
    capture(opened, "before")
    opened.execute("SAVEPOINT one")
    capture(opened, "inside", kept[0])
    opened.execute("ROLLBACK TO SAVEPOINT one")
    capture(opened, "after")
    opened.commit()
    assert names(database) == ["before", "after"]
    assert database.count("orders") == 1


def test_p1_kept_with_a_savepoint_that_is_released(opened: Opened, database: TestDatabase, capture: Capture) -> None:
    opened.execute("INSERT INTO orders VALUES (1)")
    opened.execute("SAVEPOINT one")
    capture(opened, "inside")
    opened.execute("RELEASE SAVEPOINT one")
    assert names(database) == []
    opened.commit()
    assert names(database) == ["inside"]


def test_p1_gone_with_a_released_savepoint_of_a_transaction_that_is_rolled_back(
    opened: Opened, database: TestDatabase, capture: Capture
) -> None:
    opened.execute("INSERT INTO orders VALUES (1)")
    opened.execute("SAVEPOINT one")
    capture(opened, "inside")
    opened.execute("RELEASE SAVEPOINT one")
    opened.rollback()
    assert names(database) == []


def test_p1_gone_where_a_later_statement_of_the_transaction_fails(
    opened: Opened, database: TestDatabase, capture: Capture
) -> None:
    opened.execute("INSERT INTO orders VALUES (1)")
    capture(opened, "paid")
    with pytest.raises(Exception, match=r"(?i)unique|duplicate") as caught:
        opened.execute("INSERT INTO orders VALUES (1)")
    assert isinstance(caught.value, SQLAlchemyIntegrityError) or type(caught.value).__name__ in (
        "IntegrityError",
        "UniqueViolation",
        "UniqueViolationError",
    )
    opened.rollback()
    assert names(database) == []
    assert database.count("orders") == 0


def test_the_transaction_stays_open_and_the_callers_own(
    opened: Opened, database: TestDatabase, capture: Capture
) -> None:
    opened.execute("INSERT INTO orders VALUES (1)")
    capture(opened, "paid")
    assert opened.in_transaction()
    opened.execute("INSERT INTO orders VALUES (2)")
    capture(opened, "paid again")
    assert opened.in_transaction()
    assert database.count("orders") == 0
    opened.rollback()
    assert database.count("orders") == 0


def test_capturing_begins_the_transaction_that_the_handle_would_begin(opened: Opened, capture: Capture) -> None:
    capture(opened, "paid")
    assert opened.in_transaction()
    opened.rollback()


def test_the_handle_serves_one_transaction_after_another(
    opened: Opened, database: TestDatabase, capture: Capture
) -> None:
    capture(opened, "committed")
    opened.commit()
    opened.begin()
    capture(opened, "rolled back")
    opened.rollback()
    opened.begin()
    capture(opened, "committed again")
    opened.commit()
    assert names(database) == ["committed", "committed again"]
