"""Making the tables, meeting other versions of them, and keeping several sets side by side."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from hogbox import PostHog
from hogbox._store.connections.database import Database
from hogbox._store.delivery import DeliveryStore
from hogbox._store.schema.table import SCHEMA_VERSION
from hogbox.emulator import Emulator
from hogbox.errors import TablesError, TablesMissing, TablesNewer, TablesOutdated
from hogbox.schema import check_tables, create_tables
from tests.fixtures.database import TestDatabase
from tests.store.test_event import begin_by_hand

MISSING = "hogbox's tables do not exist in this database: run `hogbox migrate`, or call PostHog.create_tables() once."
OUTDATED = "hogbox's tables are of an older version: run `hogbox migrate`, or call PostHog.create_tables() once."
NEWER = "hogbox's tables were created by a newer version: upgrade hogbox."

ACTIONS: dict[str, Callable[[PostHog], Any]] = {
    "capture": lambda posthog: posthog.capture(None, "paid", distinct_id="u1"),
    "deliver": lambda posthog: posthog.deliver(),
    "start": lambda posthog: posthog.start(),
}


@pytest.fixture
def database(empty_database: TestDatabase) -> TestDatabase:
    """A database with hogbox's tables that no other test sees."""
    create_tables(empty_database.engine)
    return empty_database


def set_version(database: TestDatabase, version: int, oldest_compatible: int | None) -> None:
    """Have the tables say that another version made them."""
    database.execute(
        "UPDATE posthog_schema SET version = :version, oldest_compatible = :oldest",
        version=version,
        oldest=oldest_compatible,
    )


def test_tables_are_made_once(empty_database: TestDatabase) -> None:
    assert create_tables(empty_database.engine) == (0, SCHEMA_VERSION)
    assert create_tables(empty_database.url) == (SCHEMA_VERSION, SCHEMA_VERSION)
    assert empty_database.count("posthog_shards") == 64
    assert [row["version"] for row in empty_database.rows("posthog_schema", "version")] == [SCHEMA_VERSION]
    check_tables(empty_database.engine)


def test_the_client_makes_the_tables_too(empty_database: TestDatabase) -> None:
    with PostHog(empty_database.url, project_token="phc_migrate") as posthog:
        posthog.create_tables()
        posthog.create_tables()
        assert posthog.capture(None, "paid", distinct_id="u1")


def test_making_them_again_keeps_what_they_hold(database: TestDatabase) -> None:
    DeliveryStore(Database(database.engine, "posthog_"), "w1").claim([1], lease=60)
    create_tables(database.engine)
    assert database.rows("posthog_shards", "shard")[1]["owner"] == "w1"


def test_several_processes_make_them_at_once(empty_database: TestDatabase) -> None:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        versions = list(pool.map(create_tables, [empty_database.url] * 4))
    assert (0, SCHEMA_VERSION) in versions
    assert {after for _, after in versions} == {SCHEMA_VERSION}
    assert empty_database.count("posthog_shards") == 64
    assert empty_database.count("posthog_schema") == 1


@pytest.mark.parametrize("level", ["SERIALIZABLE", "AUTOCOMMIT"])
def test_several_threads_make_them_at_once_through_engines_of_any_isolation(
    empty_database: TestDatabase, level: Any
) -> None:
    engine = sa.create_engine(empty_database.url, isolation_level=level)
    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(create_tables, [engine] * 4))
    engine.dispose()
    assert {after for _, after in versions} == {SCHEMA_VERSION}
    assert (empty_database.count("posthog_shards"), empty_database.count("posthog_schema")) == (64, 1)


def test_a_migration_that_was_cut_off_is_finished_by_the_next(empty_database: TestDatabase) -> None:
    tables = Database(empty_database.engine, "posthog_").tables
    tables.schema.create(empty_database.engine)
    tables.outbox.create(empty_database.engine)
    assert create_tables(empty_database.engine) == (0, SCHEMA_VERSION)
    assert empty_database.count("posthog_shards") == 64


@pytest.mark.parametrize("level", ["SERIALIZABLE", "AUTOCOMMIT"])
def test_tables_are_made_through_an_engine_of_any_isolation(empty_database: TestDatabase, level: Any) -> None:
    engine = sa.create_engine(empty_database.url, isolation_level=level)
    assert create_tables(engine) == (0, SCHEMA_VERSION)
    assert create_tables(engine) == (SCHEMA_VERSION, SCHEMA_VERSION)
    engine.dispose()
    assert empty_database.count("posthog_shards") == 64


def test_tables_are_made_through_an_engine_that_begins_transactions_by_an_event(
    request: pytest.FixtureRequest, tmp_path: Any
) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    begin_by_hand(engine)
    assert create_tables(engine) == (0, SCHEMA_VERSION)
    assert create_tables(engine) == (SCHEMA_VERSION, SCHEMA_VERSION)
    check_tables(engine)
    engine.dispose()


@pytest.mark.parametrize("action", ACTIONS)
def test_missing_tables_are_named_with_what_to_do(empty_database: TestDatabase, action: str) -> None:
    with PostHog(empty_database.url, project_token="phc_migrate") as posthog:
        with pytest.raises(TablesMissing) as caught:
            ACTIONS[action](posthog)
    assert str(caught.value) == MISSING


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("version", "kind", "message"),
    [(SCHEMA_VERSION - 1, TablesOutdated, OUTDATED), (SCHEMA_VERSION + 1, TablesNewer, NEWER)],
    ids=["older", "newer"],
)
def test_tables_of_another_version_are_named_with_what_to_do(
    database: TestDatabase, action: str, version: int, kind: type[TablesError], message: str
) -> None:
    set_version(database, version, oldest_compatible=version)
    with PostHog(database.url, project_token="phc_migrate") as posthog:
        with pytest.raises(kind) as caught:
            ACTIONS[action](posthog)
    assert str(caught.value) == message
    with pytest.raises(kind):
        check_tables(database.engine)


@pytest.mark.parametrize("action", ACTIONS)
def test_newer_tables_will_do_where_their_migration_says_so(
    database: TestDatabase, emulator: Emulator, action: str
) -> None:
    set_version(database, SCHEMA_VERSION + 1, oldest_compatible=SCHEMA_VERSION)
    check_tables(database.engine)
    with PostHog(database.url, project_token="phc_migrate", host=emulator.url) as posthog:
        ACTIONS[action](posthog)
    assert create_tables(database.engine) == (SCHEMA_VERSION + 1, SCHEMA_VERSION + 1)


def test_newer_tables_that_do_not_say_so_will_not_do(database: TestDatabase) -> None:
    set_version(database, SCHEMA_VERSION + 1, oldest_compatible=None)
    with pytest.raises(TablesNewer):
        check_tables(database.engine)


def test_newer_tables_are_left_as_they_are(database: TestDatabase) -> None:
    set_version(database, SCHEMA_VERSION + 1, oldest_compatible=SCHEMA_VERSION + 1)
    with pytest.raises(TablesNewer) as caught:
        create_tables(database.engine)
    assert str(caught.value) == NEWER
    assert [row["version"] for row in database.rows("posthog_schema", "version")] == [SCHEMA_VERSION + 1]


def test_tables_that_appear_later_are_found_without_a_new_client(empty_database: TestDatabase) -> None:
    with PostHog(empty_database.url, project_token="phc_migrate") as posthog:
        with pytest.raises(TablesMissing):
            posthog.capture(None, "paid", distinct_id="u1")
        create_tables(empty_database.engine)
        assert posthog.capture(None, "paid", distinct_id="u1")


def test_another_prefix_makes_a_set_of_its_own(database: TestDatabase) -> None:
    assert create_tables(database.engine, table_prefix="shop_hog_") == (0, SCHEMA_VERSION)
    ours = PostHog(database.engine, project_token="phc_one")
    theirs = PostHog(database.engine, project_token="phc_two", table_prefix="shop_hog_")
    ours.capture(None, "ours", distinct_id="u1")
    with database.engine.begin() as connection:
        theirs.capture(connection, "theirs", distinct_id="u1")
        theirs.capture(connection, "dead", distinct_id="u" * 201)
    assert [row["project"] for row in database.rows("posthog_outbox")] == ["phc_one"]
    assert [row["project"] for row in database.rows("shop_hog_outbox")] == ["phc_two"]
    assert (database.count("shop_hog_dead_letters"), database.count("posthog_dead_letters")) == (1, 0)
    DeliveryStore(Database(database.engine, "shop_hog_"), "w1").claim([1], lease=60)
    assert database.rows("shop_hog_shards", "shard")[1]["owner"] == "w1"
    assert database.rows("posthog_shards", "shard")[1]["owner"] is None
