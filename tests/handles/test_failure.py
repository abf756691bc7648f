"""What fails is explained where the tables are the reason, comes through as it is otherwise, and spoils nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hogbox import PostHog
from hogbox._store.exposure import NEW_EXPOSURE, ExposureStatements
from hogbox._store.handles.portable import Portable
from hogbox._store.schema.table import Tables
from hogbox.errors import HogboxError, TablesMissing, TablesOutdated
from tests.fixtures.database import TestDatabase
from tests.handles.application import NewClient
from tests.handles.opened import Opened
from tests.handles.story import names

USES: list[Callable[[PostHog, object], object]] = [
    lambda posthog, handle: posthog.capture(handle, "paid", distinct_id="u1"),
    lambda posthog, handle: posthog.capture(handle, "paid", distinct_id="u" * 201),
    lambda posthog, handle: posthog.get_feature_flag(handle, "colour", distinct_id="u1"),
]
"""What a client does on a handle: it writes an event, a dead letter, and reads."""


@pytest.fixture
def outdated(database: TestDatabase) -> str:
    """The prefix of tables that lack columns."""
    for table in ("outbox", "dead_letters", "flag_definitions"):
        database.execute(f"CREATE TABLE IF NOT EXISTS outdated_{table} (project VARCHAR(64) PRIMARY KEY)")
    return "outdated_"


def test_missing_tables_are_said_to_be_missing(opened: Opened, database: TestDatabase, client: NewClient) -> None:
    posthog = client(table_prefix="absent_")
    for use in USES:
        with pytest.raises(TablesMissing, match="hogbox migrate"):
            use(posthog, opened.handle)
        opened.rollback()
        opened.begin()
    client().capture(opened.handle, "paid after all", distinct_id="u1")
    opened.commit()
    assert names(database) == ["paid after all"]


def test_outdated_tables_are_said_to_be_outdated(opened: Opened, outdated: str, client: NewClient) -> None:
    posthog = client(table_prefix=outdated)
    for use in USES:
        with pytest.raises(TablesOutdated, match="hogbox migrate"):
            use(posthog, opened.handle)
        opened.rollback()
        opened.begin()
    opened.rollback()


def test_p1_in_a_transaction_that_failed_the_databases_own_error_comes_through(
    opened: Opened, database: TestDatabase, client: NewClient
) -> None:
    posthog = client()
    with pytest.raises(Exception, match="nowhere"):
        opened.execute("SELECT 1 FROM nowhere")
    if database.backend == "postgresql":
        with pytest.raises(Exception, match="current transaction is aborted") as caught:
            posthog.capture(opened.handle, "too late", distinct_id="u1")
        assert not isinstance(caught.value, HogboxError)
        opened.rollback()
        opened.begin()
    posthog.capture(opened.handle, "paid", distinct_id="u1")
    opened.commit()
    assert names(database) == ["paid"]


def test_the_rows_counted_say_whether_a_statement_changed_anything(
    opened: Opened, database: TestDatabase, write: Callable[..., int]
) -> None:
    statements = ExposureStatements(Tables("posthog_"))
    insert = Portable(statements.claim_exposure, NEW_EXPOSURE)
    renew = Portable(statements.renew_claim, ("lifetime", "wanted"))
    assert write(opened.handle, insert, ("one", -1000)) == 1
    assert write(opened.handle, insert, ("one", 1000)) == 0
    assert write(opened.handle, renew, (3_600_000, "one")) == 1
    assert write(opened.handle, renew, (3_600_000, "one")) == 0
    assert write(opened.handle, renew, (3_600_000, "two")) == 0
    opened.commit()
    assert database.count("posthog_exposures") == 1
