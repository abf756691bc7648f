"""A local read on every handle sees what its transaction sees, and leaves it as it was."""

from __future__ import annotations

import pytest

from hogbox import PostHog
from tests.emulator.flag_case import definitions, flag
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store
from tests.handles.application import TOKEN, NewClient
from tests.handles.conftest import OpenHandle
from tests.handles.opened import Opened
from tests.handles.story import FLAG, names

CHANGE = "UPDATE posthog_flag_definitions SET data = REPLACE(data, 'red', 'blue'), revision = revision + 1"


@pytest.fixture
def posthog(new_client: NewClient) -> PostHog:
    """A client of the handle's colour that looks at every read."""
    return new_client(definitions_max_age=0)


def colour(posthog: PostHog, handle: object) -> object:
    return posthog.get_feature_flag(handle, "colour", distinct_id="u1")


def test_a_read_needs_no_database_but_the_handle(opened: Opened, database: TestDatabase, posthog: PostHog) -> None:
    store(database, TOKEN, FLAG)
    assert colour(posthog, opened.handle) == "red"


def test_a_read_leaves_the_transaction_open_and_uncommitted(
    opened: Opened, database: TestDatabase, posthog: PostHog
) -> None:
    store(database, TOKEN, FLAG)
    opened.execute("INSERT INTO orders VALUES (1)")
    assert colour(posthog, opened.handle) == "red"
    assert opened.in_transaction()
    opened.rollback()
    assert database.count("orders") == 0


def test_a_transaction_sees_its_own_change_and_nobody_else_does(
    opened: Opened, open_handle: OpenHandle, database: TestDatabase, posthog: PostHog
) -> None:
    store(database, TOKEN, FLAG)
    assert colour(posthog, opened.handle) == "red"
    opened.execute(CHANGE)
    assert colour(posthog, opened.handle) == "blue"
    with open_handle() as other:
        assert colour(posthog, other.handle) == "red"
    opened.rollback()
    opened.begin()
    assert colour(posthog, opened.handle) == "red"


def test_a_change_that_was_rolled_back_is_not_taken_for_another_of_its_number(
    opened: Opened, database: TestDatabase, posthog: PostHog
) -> None:
    store(database, TOKEN, FLAG)
    opened.execute(CHANGE)
    assert colour(posthog, opened.handle) == "blue"
    opened.rollback()
    store(database, TOKEN, definitions(flag("colour", active=False)))
    opened.begin()
    assert colour(posthog, opened.handle) is False
    assert colour(posthog, opened.handle) is False


def test_within_the_max_age_a_handle_is_not_read_at_all(
    opened: Opened, database: TestDatabase, new_client: NewClient
) -> None:
    posthog = new_client(definitions_max_age=3600)
    store(database, TOKEN, FLAG)
    assert colour(posthog, opened.handle) == "red"
    opened.rollback()
    assert not opened.in_transaction()
    assert colour(posthog, opened.handle) == "red"
    assert not opened.in_transaction()


def test_an_exposure_shares_the_fate_of_the_transaction(
    opened: Opened, database: TestDatabase, posthog: PostHog
) -> None:
    store(database, TOKEN, FLAG)

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
    store(database, TOKEN, FLAG)
    for _ in range(2):
        posthog.get_feature_flag(opened.handle, "colour", distinct_id="u1", track_exposures=True)
        opened.commit()
        database.execute("UPDATE posthog_exposures SET expires_at = 1")
        opened.begin()
    assert len(database.events()) == 2


def test_p1_the_exposures_of_a_snapshot_share_the_fate_of_the_transaction(
    opened: Opened, database: TestDatabase, posthog: PostHog
) -> None:
    store(database, TOKEN, FLAG)

    def buy() -> None:
        flags = posthog.flags(opened.handle, distinct_id="u1", track_exposures=True)
        assert flags.get("colour") == "red"
        posthog.capture(opened.handle, "paid", distinct_id="u1", flags=flags)

    buy()
    opened.rollback()
    assert names(database) == []
    opened.begin()
    buy()
    opened.commit()
    assert names(database) == ["$feature_flag_called", "paid"]
    assert database.events()[1]["properties"]["$feature/colour"] == "red"
