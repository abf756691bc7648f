"""Definitions and the claim of their refreshes, on each database."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import time_machine

from hogbox._events.escape import unescape
from hogbox._store.connections.database import Database
from hogbox._store.definition import DefinitionStore, StoredDefinitions
from hogbox._store.dialects.element import epoch_ms
from tests.fixtures.database import TestDatabase

MINUTE = 60.0


@pytest.fixture
def of(own: Database) -> Callable[[str], DefinitionStore]:
    """The store of a project."""
    return lambda project: DefinitionStore(own, project)


@pytest.fixture
def store(own: Database) -> DefinitionStore:
    return DefinitionStore(own, "phc_one")


def read(store: DefinitionStore) -> StoredDefinitions:
    found = store.read()
    assert found is not None
    return found


def put(store: DefinitionStore, data: str, etag: str | None = None) -> StoredDefinitions:
    store.store(data, etag, store.read())
    return read(store)


def sooner(database: TestDatabase, seconds: float) -> None:
    """Let the next refreshes be due that much sooner."""
    database.execute("UPDATE posthog_refreshes SET due_at = due_at - :ms", ms=round(seconds * 1000))


def test_nothing_is_stored_at_first(store: DefinitionStore) -> None:
    assert store.read() is None
    assert store.read_revision() == 0
    assert store.read_wait() is None


def test_what_is_stored_is_read_as_it_was(store: DefinitionStore) -> None:
    data = '{"flags":[{"key":"\N{PILE OF POO}","name":"' + "x" * 200_000 + '"\'% :a \\\\"}]}'
    stored = put(store, data, 'W/"3f2a"')
    assert unescape(stored.data) == data
    assert (stored.etag, stored.revision) == ('W/"3f2a"', 1)
    assert 0 <= stored.age < 10
    assert store.read_revision() == 1


def test_the_revision_counts_changes_of_the_text_only(store: DefinitionStore) -> None:
    assert put(store, "{}", "a").revision == 1
    same = put(store, "{}", "b")
    assert (same.revision, same.etag) == (1, "b")
    changed = put(store, "[]", None)
    assert (changed.data, changed.etag, changed.revision) == ("[]", None, 2)


def test_text_that_differs_by_case_or_blanks_only_is_a_change(store: DefinitionStore) -> None:
    for number, data in enumerate(["{}", "{} ", '"a"', '"A"'], start=1):
        stored = put(store, data)
        assert (stored.data, stored.revision) == (data, number)


def test_each_project_has_its_own(of: Callable[[str], DefinitionStore]) -> None:
    put(of("phc_one"), "1")
    put(of("phc_One"), "2")
    assert (read(of("phc_one")).data, read(of("phc_One")).data) == ("1", "2")


def test_late_definitions_never_replace_what_was_stored_after_they_were_asked_for(store: DefinitionStore) -> None:
    store.store("late", "l", None)
    seen = store.read()
    put(store, "newer", "n")
    store.store("late again", "l", seen)
    store.store("late too", "l", None)
    stored = read(store)
    assert (stored.data, stored.etag, stored.revision) == ("newer", "n", 2)


def test_definitions_are_as_old_as_posthogs_last_word_on_them(store: DefinitionStore, database: TestDatabase) -> None:
    store.move_due("w1", MINUTE)
    put(store, "{}")
    database.execute("UPDATE posthog_flag_definitions SET fetched_at = fetched_at - 400000")
    assert 400 <= read(store).age < 410
    store.note("stale", None, unchanged="unchanged")
    assert 400 <= read(store).age < 410
    store.note("unchanged", None, unchanged="unchanged")
    assert 0 <= read(store).age < 10
    store.note("error", "auth", unchanged="unchanged")
    assert 0 <= read(store).age < 10


def test_what_became_of_a_refresh_is_kept(store: DefinitionStore, database: TestDatabase) -> None:
    store.move_due("w1", MINUTE)
    store.note("error", "rate-limited", unchanged="unchanged")
    (row,) = database.rows("posthog_refreshes", "project")
    assert (row["holder"], row["last_status"], row["last_reason"]) == ("w1", "error", "rate-limited")
    assert row["unchanged_at"] is None
    assert 0 <= row["due_at"] - row["last_at"] <= MINUTE * 1000
    store.note("updated", None, unchanged="unchanged")
    (row,) = database.rows("posthog_refreshes", "project")
    assert (row["last_status"], row["last_reason"]) == ("updated", None)


def test_a_project_is_refreshed_at_once_when_it_is_entered(store: DefinitionStore) -> None:
    assert not store.claim("w1", MINUTE)
    store.enter()
    assert (store.read_wait() or 0.0) <= 0
    assert store.claim("w1", MINUTE)


def test_entering_a_project_again_changes_nothing(store: DefinitionStore, database: TestDatabase) -> None:
    store.enter()
    store.claim("w1", MINUTE)
    before = database.rows("posthog_refreshes", "project")
    store.enter()
    assert database.rows("posthog_refreshes", "project") == before


def test_a_refresh_is_claimed_once_an_interval(store: DefinitionStore, database: TestDatabase) -> None:
    store.enter()
    assert [store.claim(f"w{number}", MINUTE) for number in range(3)] == [True, False, False]
    assert MINUTE - 10 < (store.read_wait() or 0.0) <= MINUTE
    sooner(database, MINUTE - 10)
    assert not store.claim("w2", MINUTE)
    sooner(database, 10)
    assert [store.claim(f"w{number}", MINUTE) for number in range(3)] == [True, False, False]
    assert database.rows("posthog_refreshes", "project")[0]["holder"] == "w0"


def test_of_many_that_claim_at_once_one_succeeds(store: DefinitionStore, database: TestDatabase) -> None:
    store.enter()
    for _ in range(10):
        sooner(database, 2 * MINUTE)
        with ThreadPoolExecutor(6) as pool:
            assert sum(pool.map(lambda number: store.claim(f"w{number}", MINUTE), range(12))) == 1


def test_a_claim_of_one_project_is_none_of_another(of: Callable[[str], DefinitionStore]) -> None:
    for project in ("phc_one", "phc_two"):
        of(project).enter()
    assert of("phc_one").claim("w1", MINUTE)
    assert of("phc_two").claim("w1", MINUTE)


def test_a_shorter_interval_need_not_wait_for_the_end_of_a_much_longer_one(store: DefinitionStore) -> None:
    store.enter()
    store.claim("w1", 60 * MINUTE)
    assert store.claim("w2", MINUTE)
    assert (store.read_wait() or 0.0) <= MINUTE


def test_a_refresh_by_hand_moves_the_next(store: DefinitionStore, database: TestDatabase) -> None:
    store.move_due("by hand", MINUTE)
    assert not store.claim("w1", MINUTE)
    sooner(database, MINUTE / 2)
    store.move_due("by hand", MINUTE)
    assert not store.claim("w1", MINUTE)
    assert MINUTE - 10 < (store.read_wait() or 0.0) <= MINUTE
    assert database.count("posthog_refreshes") == 1


@pytest.mark.parametrize("year", [2001, 2124])
def test_the_clock_of_the_process_has_no_say(store: DefinitionStore, year: int) -> None:
    with time_machine.travel(datetime(year, 1, 1, tzinfo=UTC), tick=True):
        store.move_due("w1", MINUTE)
        assert put(store, "{}").age < 10
        assert not store.claim("w2", MINUTE)
        assert MINUTE - 10 < (store.read_wait() or 0.0) <= MINUTE


def test_times_are_the_databases(store: DefinitionStore, own: Database, database: TestDatabase) -> None:
    put(store, "{}")
    with own.engine.connect() as connection:
        now = connection.scalar(epoch_ms().select()) or 0
    assert 0 <= now - database.rows("posthog_flag_definitions", "project")[0]["fetched_at"] < 10_000
