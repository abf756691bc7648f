"""A local read on every handle sees what its transaction sees, and leaves it as it was."""

from __future__ import annotations

import sqlite3
from typing import Any

import psycopg
import pymysql
import pytest
import sqlalchemy as sa

from hogbox import PostHog
from hogbox.errors import TablesMissing
from tests.emulator.flag_case import definitions, flag
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store
from tests.handles.opened import Opened, connect_psycopg, connect_pymysql

TOKEN = "phc_handles"
CHANGE = "UPDATE posthog_flag_definitions SET data = REPLACE(data, 'red', 'blue'), revision = revision + 1"
RED = definitions(flag("colour", filters={"multivariate": {"variants": [{"key": "red", "rollout_percentage": 100}]}}))


@pytest.fixture
def posthog() -> PostHog:
    """A client that has no database of its own, and looks at every read."""
    return PostHog(project_token=TOKEN, definitions_max_age=0)


def colour(posthog: PostHog, handle: object) -> object:
    return posthog.get_feature_flag(handle, "colour", distinct_id="u1")


def test_a_read_needs_no_database_but_the_handle(opened: Opened, database: TestDatabase, posthog: PostHog) -> None:
    store(database, TOKEN, RED)
    assert colour(posthog, opened.handle) == "red"


def test_a_read_leaves_the_transaction_open_and_uncommitted(
    opened: Opened, database: TestDatabase, posthog: PostHog
) -> None:
    store(database, TOKEN, RED)
    opened.execute("INSERT INTO orders VALUES (1)")
    assert colour(posthog, opened.handle) == "red"
    assert opened.in_transaction()
    opened.rollback()
    assert database.count("orders") == 0


def test_a_transaction_sees_its_own_change_and_nobody_else_does(
    opened: Opened, database: TestDatabase, posthog: PostHog
) -> None:
    store(database, TOKEN, RED)
    assert colour(posthog, opened.handle) == "red"
    opened.execute(CHANGE)
    assert colour(posthog, opened.handle) == "blue"
    if database.backend != "sqlite" or opened.in_transaction():
        with database.engine.connect() as other:
            assert colour(posthog, other) == "red"
    opened.rollback()
    opened.begin()
    assert colour(posthog, opened.handle) == "red"


def test_a_change_that_was_rolled_back_is_not_taken_for_another_of_its_number(
    opened: Opened, database: TestDatabase, posthog: PostHog
) -> None:
    store(database, TOKEN, RED)
    opened.execute(CHANGE)
    assert colour(posthog, opened.handle) == "blue"
    opened.rollback()
    store(database, TOKEN, definitions(flag("colour", active=False)))
    opened.begin()
    assert colour(posthog, opened.handle) is False
    assert colour(posthog, opened.handle) is False


def test_within_the_max_age_a_handle_is_not_read_at_all(opened: Opened, database: TestDatabase) -> None:
    posthog = PostHog(project_token=TOKEN, definitions_max_age=3600)
    store(database, TOKEN, RED)
    assert colour(posthog, opened.handle) == "red"
    opened.rollback()
    assert not opened.in_transaction()
    assert colour(posthog, opened.handle) == "red"
    if not isinstance(opened.handle, sa.Connection):
        assert not opened.in_transaction() or hasattr(opened.handle, "connection")


def test_an_exposure_shares_the_fate_of_the_transaction(
    opened: Opened, database: TestDatabase, posthog: PostHog
) -> None:
    store(database, TOKEN, RED)

    def read() -> None:
        posthog.get_feature_flag(opened.handle, "colour", distinct_id="u1", track_exposures=True)

    read()
    opened.rollback()
    assert database.events() == []
    assert database.count("posthog_exposures") == 0
    opened.begin()
    read()
    read()
    opened.commit()
    assert [event["properties"]["$feature_flag_response"] for event in database.events()] == ["red"]
    opened.begin()
    read()
    opened.commit()
    assert len(database.events()) == 1


def test_an_expired_exposure_counts_as_new(opened: Opened, database: TestDatabase, posthog: PostHog) -> None:
    store(database, TOKEN, RED)
    for _ in range(2):
        posthog.get_feature_flag(opened.handle, "colour", distinct_id="u1", track_exposures=True)
        opened.commit()
        database.execute("UPDATE posthog_exposures SET expires_at = 1")
        opened.begin()
    assert len(database.events()) == 2


def test_rows_of_the_owners_choice_do_not_matter(clean: object, emptied: object, posthog: PostHog) -> None:
    assert callable(clean)
    sqlite, postgresql, mariadb = (clean(name) for name in ("sqlite", "postgresql", "mariadb"))
    for database in (sqlite, postgresql, mariadb):
        store(database, TOKEN, RED)
    lite = sqlite3.connect(sqlite.engine.url.database)
    lite.row_factory = lambda _, row: {"row": row}
    lite.text_factory = bytes
    handles: list[Any] = [
        lite,
        connect_psycopg(postgresql, row_factory=psycopg.rows.dict_row),
        connect_pymysql(mariadb, cursorclass=pymysql.cursors.DictCursor),
    ]
    for handle in handles:
        assert colour(posthog, handle) == "red"
        handle.close()


def test_missing_tables_are_said_to_be_missing(opened: Opened, database: TestDatabase) -> None:
    posthog = PostHog(project_token=TOKEN, table_prefix="absent_")
    with pytest.raises(TablesMissing, match="hogbox migrate"):
        colour(posthog, opened.handle)
    opened.rollback()
