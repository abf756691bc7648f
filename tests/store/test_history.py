"""The history of flag definitions, on each database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from hogbox._store.connections.database import Database
from hogbox._store.definition import DefinitionStore
from hogbox._store.history import HistoryStore
from tests.fixtures.database import TestDatabase

PROJECT = "phc_history"
MUCH = 1_000_000


@pytest.fixture
def definitions(own: Database) -> DefinitionStore:
    return DefinitionStore(own, PROJECT)


@pytest.fixture
def history(own: Database) -> HistoryStore:
    return HistoryStore(own, PROJECT)


def put(definitions: DefinitionStore, history: HistoryStore, *texts: str) -> None:
    for text in texts:
        definitions.store(text, None, definitions.read())
        history.record()


def numbers(history: HistoryStore) -> list[int]:
    return [revision.number for revision in history.read_revisions()]


def test_nothing_is_kept_of_nothing(history: HistoryStore) -> None:
    history.record()
    history.trim(20, MUCH)
    assert history.read_revisions() == []
    assert history.read_text(1) is None


def test_each_revision_is_kept_as_it_was(definitions: DefinitionStore, history: HistoryStore) -> None:
    put(definitions, history, '{"a": "\N{PILE OF POO}"}', "{} ", "{}")
    assert numbers(history) == [3, 2, 1]
    stored = ['{"a": "\\ud83d\\udca9"}', "{} ", "{}"]
    assert [history.read_text(number) for number in (1, 2, 3)] == stored


def test_recording_again_changes_nothing(
    definitions: DefinitionStore, history: HistoryStore, database: TestDatabase
) -> None:
    put(definitions, history, "{}")
    database.execute("UPDATE posthog_flag_history SET fetched_at = 1")
    put(definitions, history, "{}")
    assert history.read_revisions() == [(1, 1)]


def test_of_two_refreshers_at_once_the_losers_text_is_not_kept(
    definitions: DefinitionStore, history: HistoryStore
) -> None:
    put(definitions, history, "first")
    seen = definitions.read()
    definitions.store("winner", None, seen)
    definitions.store("loser", None, seen)
    history.record()
    assert (numbers(history), history.read_text(2)) == ([2, 1], "winner")


def test_many_that_record_and_trim_at_once_agree(definitions: DefinitionStore, history: HistoryStore) -> None:
    put(definitions, history, "first")

    def refresh(number: int) -> None:
        definitions.store(f"text {number}", None, definitions.read())
        history.record()
        history.trim(3, MUCH)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(refresh, range(12)))
    history.record()
    current = definitions.read()
    assert current is not None
    assert history.read_text(current.revision) == current.data
    assert len(numbers(history)) <= 4


@pytest.mark.parametrize(("most", "left"), [(2, [4, 3]), (4, [4, 3, 2, 1]), (0, [])])
def test_the_newest_are_kept(definitions: DefinitionStore, history: HistoryStore, most: int, left: list[int]) -> None:
    put(definitions, history, "a", "b", "c", "d")
    history.trim(most, MUCH)
    assert numbers(history) == left


@pytest.mark.parametrize(("size", "left"), [(1, [3]), (180, [3, 2]), (269, [3, 2]), (270, [3, 2, 1])])
def test_they_take_so_many_bytes_but_the_newest_stays_at_any_size(
    definitions: DefinitionStore, history: HistoryStore, size: int, left: list[int]
) -> None:
    put(definitions, history, *(letter * 15 for letter in "äöü"))
    history.trim(20, size)
    assert numbers(history) == left


def test_another_projects_history_is_its_own(
    own: Database, definitions: DefinitionStore, history: HistoryStore
) -> None:
    other = HistoryStore(own, "phc_other")
    put(DefinitionStore(own, "phc_other"), other, "other")
    put(definitions, history, "a", "b")
    history.trim(0, MUCH)
    assert (numbers(history), numbers(other)) == ([], [1])


def test_revisions_of_definitions_that_were_deleted_since_are_replaced(
    definitions: DefinitionStore, history: HistoryStore, database: TestDatabase
) -> None:
    put(definitions, history, "a", "b", "c")
    database.execute("DELETE FROM posthog_flag_definitions")
    put(definitions, history, "anew")
    history.trim(2, MUCH)
    assert (numbers(history), history.read_text(1)) == ([1], "anew")
