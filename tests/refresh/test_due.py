"""A refresh only where it is due, for the jobs of schedulers: any number of them ask once an interval (P5)."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hogbox import PostHog
from hogbox._worker.refresher import Refresh
from hogbox.errors import TablesMissing
from tests.fixtures.database import TestDatabase
from tests.fixtures.definitions_server import DefinitionsServer

DEFINITIONS = '{"flags": []}'


def client(database: TestDatabase, server: DefinitionsServer) -> PostHog:
    return PostHog(database.url, project_token="phc_due", personal_api_key="phs_due", host=server.url)


@pytest.fixture
def posthog(database: TestDatabase, definitions_server: DefinitionsServer) -> Iterator[PostHog]:
    """A client that gets definitions when it asks."""
    definitions_server.say(200, DEFINITIONS)
    with client(database, definitions_server) as posthog:
        yield posthog


def refresh(posthog: PostHog) -> str:
    return str(posthog.refresh_flag_definitions(only_if_due=True))


def test_p5_the_first_one_asks_and_the_next_ones_do_not(
    posthog: PostHog, database: TestDatabase, definitions_server: DefinitionsServer
) -> None:
    assert [refresh(posthog) for _ in range(3)] == ["updated", "skipped/not-due", "skipped/not-due"]
    assert len(definitions_server.asked) == 1
    database.execute("UPDATE posthog_refreshes SET due_at = due_at - 60000")
    assert refresh(posthog) == "updated"
    (row,) = database.rows("posthog_refreshes", "project")
    assert 50_000 < row["due_at"] - row["last_at"] <= 60_000


def test_p5_of_eight_at_once_one_asks(
    posthog: PostHog, database: TestDatabase, definitions_server: DefinitionsServer
) -> None:
    definitions_server.say(200, DEFINITIONS, delay=0.2)
    results: list[Refresh] = []

    def run() -> None:
        with client(database, definitions_server) as other:
            results.append(other.refresh_flag_definitions(only_if_due=True))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(str(result) for result in results) == ["skipped/not-due"] * 7 + ["updated"]
    assert len(definitions_server.asked) == 1


def test_a_refresh_at_once_puts_off_the_one_that_is_due(
    posthog: PostHog, definitions_server: DefinitionsServer
) -> None:
    posthog.refresh_flag_definitions()
    assert refresh(posthog) == "skipped/not-due"
    assert len(definitions_server.asked) == 1


def test_where_polling_is_switched_off_nothing_is_asked(
    posthog: PostHog, definitions_server: DefinitionsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTHOG_DISABLE_LOCAL_EVALUATION", "1")
    assert refresh(posthog) == "skipped/disabled"
    assert definitions_server.asked == []


def test_without_a_key_or_tables_it_says_so(sqlite_database: TestDatabase) -> None:
    with PostHog(sqlite_database.url, project_token="phc_due") as posthog:
        assert refresh(posthog) == "skipped/missing-keys"
    sqlite_database.execute("DROP TABLE posthog_schema")
    with PostHog(sqlite_database.url, project_token="phc_due", personal_api_key="phs_due") as posthog:
        with pytest.raises(TablesMissing):
            refresh(posthog)
