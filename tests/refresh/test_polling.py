"""The loop beside a worker: it obeys the environment, leaves delivery alone, ends at once, and survives failures."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from hogbox import PostHog
from hogbox._settings.client import ClientSettings
from hogbox._settings.polling import POLLING_SECONDS, polling_disabled, polling_interval
from hogbox._store.connections.database import Database
from hogbox._worker.refresher import GivenUp, Refresher
from tests.fixtures.database import TestDatabase
from tests.fixtures.definitions_server import DefinitionsServer
from tests.fixtures.waiting import wait_until

TOKEN = "phc_polled"
KEY = "phs_for_polling"
DEFINITIONS = '{"flags": []}'
THREAD = "hogbox-refresher"

MakeClient = Callable[..., PostHog]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll every second, and try again without a pause."""
    monkeypatch.setenv("POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS", "1")
    monkeypatch.setenv("POSTHOG_FLAGS_RETRY_DELAY_MS_OVERRIDE", "0")


@pytest.fixture
def make_client(sqlite_database: TestDatabase, definitions_server: DefinitionsServer) -> Iterator[MakeClient]:
    """Clients of the test's database and server; shut down at the end."""
    made: list[PostHog] = []

    def make(**more: Any) -> PostHog:
        arguments = {"project_token": TOKEN, "personal_api_key": KEY, "host": definitions_server.url, **more}
        made.append(PostHog(sqlite_database.url, **arguments))
        return made[-1]

    yield make
    for client in made:
        client.shutdown()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def never(_: float) -> bool:
    return False


def refresher(database: TestDatabase, host: str, **environment: str) -> Refresher:
    settings = ClientSettings.load({}, project_token=TOKEN, personal_api_key=KEY, host=host)
    return Refresher(Database(database.engine, "posthog_"), settings, environment=environment)


def test_a_worker_with_a_key_polls_at_once_and_then_every_interval(
    make_client: MakeClient, definitions_server: DefinitionsServer, sqlite_database: TestDatabase
) -> None:
    definitions_server.say(200, DEFINITIONS, ETag='"1"').then(304)
    make_client().start()
    wait_until(lambda: len(definitions_server.asked) == 3, "three refreshes")
    first, second, third = [asked.at for asked in definitions_server.asked]
    assert 0.9 < second - first < 1.6
    assert 0.9 < third - second < 1.6
    assert sqlite_database.rows("posthog_flag_definitions", "project")[0]["revision"] == 1


@pytest.mark.parametrize("without", [{"personal_api_key": None}, {"disabled": True}], ids=str)
def test_without_a_key_there_is_no_loop_and_no_query(
    make_client: MakeClient,
    definitions_server: DefinitionsServer,
    monkeypatch: pytest.MonkeyPatch,
    without: dict[str, Any],
) -> None:
    monkeypatch.delenv("POSTHOG_PERSONAL_API_KEY", raising=False)
    client = make_client(**without)
    queries: list[str] = []
    sa.event.listen(
        client._components.database.engine,
        "before_cursor_execute",
        lambda _, __, statement, *___: queries.append(statement),
    )
    client.start()
    wait_until(lambda: any("posthog_shards" in query for query in queries), "the worker to be at work")
    assert THREAD not in threads()
    client.shutdown()
    assert definitions_server.asked == []
    assert not [query for query in queries if "posthog_refreshes" in query or "flag_definitions" in query]


def test_the_loop_ends_with_the_worker_and_begins_anew_with_the_next(
    make_client: MakeClient, definitions_server: DefinitionsServer
) -> None:
    definitions_server.say(200, DEFINITIONS)
    client = make_client()
    for _ in range(2):
        client.start()
        wait_until(lambda: threads().count(THREAD) == 1, "one loop")
        client.shutdown()
        assert THREAD not in threads()


def test_a_refresh_under_way_neither_holds_up_delivery_nor_the_end(
    make_client: MakeClient, definitions_server: DefinitionsServer, sqlite_database: TestDatabase
) -> None:
    definitions_server.say(200, DEFINITIONS, delay=5)
    client = make_client()
    client.start()
    wait_until(lambda: definitions_server.asked, "the refresh to be under way")
    client.capture(None, "meanwhile", distinct_id="u1")
    wait_until(lambda: definitions_server.events, "the event to be delivered", timeout=3)
    began = time.monotonic()
    client.shutdown()
    assert time.monotonic() - began < 3
    wait_until(lambda: THREAD not in threads(), "the abandoned refresh to end by itself")
    assert sqlite_database.count("posthog_flag_definitions") == 0


def test_the_end_cuts_the_pauses_between_tries_short(
    make_client: MakeClient, definitions_server: DefinitionsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTHOG_FLAGS_RETRY_DELAY_MS_OVERRIDE", "60000")
    definitions_server.say(503)
    client = make_client()
    client.start()
    wait_until(lambda: definitions_server.asked, "the first try")
    began = time.monotonic()
    client.shutdown()
    assert time.monotonic() - began < 3
    assert THREAD not in threads()


def test_a_refresh_by_hand_moves_the_next_and_adds_no_loop(
    make_client: MakeClient, definitions_server: DefinitionsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS", "2")
    definitions_server.say(200, DEFINITIONS)
    client = make_client()
    client.start()
    wait_until(lambda: len(definitions_server.asked) == 1, "the first tick")
    time.sleep(1)
    assert client.refresh_flag_definitions().status == "updated"
    wait_until(lambda: len(definitions_server.asked) == 4, "two more ticks")
    _, by_hand, third, fourth = [asked.at for asked in definitions_server.asked]
    assert 1.9 < third - by_hand < 2.6
    assert 1.9 < fourth - third < 2.6
    assert threads().count(THREAD) == 1


def test_the_switch_is_obeyed_at_run_time(
    make_client: MakeClient, definitions_server: DefinitionsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions_server.say(200, DEFINITIONS)
    make_client().start()
    wait_until(lambda: len(definitions_server.asked) == 2, "two ticks")
    monkeypatch.setenv("POSTHOG_DISABLE_LOCAL_EVALUATION", "on")
    time.sleep(0.2)
    asked = len(definitions_server.asked)
    time.sleep(2.2)
    assert len(definitions_server.asked) == asked
    monkeypatch.setenv("POSTHOG_DISABLE_LOCAL_EVALUATION", "0")
    wait_until(lambda: len(definitions_server.asked) > asked, "a tick after it was switched on again")


def test_the_interval_is_obeyed_at_run_time(
    sqlite_database: TestDatabase, definitions_server: DefinitionsServer
) -> None:
    definitions_server.say(200, DEFINITIONS)
    environment = {"POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS": "3600"}
    settings = ClientSettings.load({}, project_token=TOKEN, personal_api_key=KEY, host=definitions_server.url)
    one = Refresher(Database(sqlite_database.engine, "posthog_"), settings, environment=environment)
    assert one.tick("w1", never) == 0.0
    assert 3590 < one.tick("w1", never) <= 3600
    environment["POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS"] = "30"
    assert 20 < one.tick("w1", never) <= 30
    assert len(definitions_server.asked) == 2


def test_a_tick_that_is_off_queries_nothing(tmp_path: Any, definitions_server: DefinitionsServer) -> None:
    settings = ClientSettings.load({}, project_token=TOKEN, personal_api_key=KEY, host=definitions_server.url)
    path = tmp_path / "none.db"
    off = {"POSTHOG_DISABLE_LOCAL_EVALUATION": "TRUE"}
    one = Refresher(Database(f"sqlite:///{path}", "posthog_"), settings, environment=off)
    assert one.tick("w1", never) == 60
    assert not path.exists()


def test_a_tick_told_to_give_up_stores_nothing(
    sqlite_database: TestDatabase, definitions_server: DefinitionsServer
) -> None:
    definitions_server.say(200, DEFINITIONS)
    one = refresher(sqlite_database, definitions_server.url)
    one.tick("w1", never)
    with pytest.raises(GivenUp):
        one.tick("w1", lambda _: True)
    assert sqlite_database.count("posthog_flag_definitions") == 0
    assert sqlite_database.rows("posthog_refreshes", "project")[0]["last_status"] is None


def test_only_one_of_several_refreshers_asks(
    sqlite_database: TestDatabase, definitions_server: DefinitionsServer
) -> None:
    definitions_server.say(200, DEFINITIONS)
    for one in [refresher(sqlite_database, definitions_server.url) for _ in range(4)]:
        one.tick("w1", never)
        one.tick("w1", never)
    assert len(definitions_server.asked) == 1


def test_the_same_failure_is_logged_once_and_so_is_its_end(
    sqlite_database: TestDatabase, definitions_server: DefinitionsServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hogbox")
    one = refresher(sqlite_database, definitions_server.url)
    one.tick("w1", never)
    for status in (401, 401, 403, 404, 404, 200, 200):
        definitions_server.say(status, DEFINITIONS, ETag='"1"')
        sqlite_database.execute("UPDATE posthog_refreshes SET due_at = 0")
        one.tick("w1", never)
    said = [record.getMessage() for record in caplog.records if record.name == "hogbox.refresh"]
    assert ["error/auth" in said[0], "error/unexpected-status" in said[1]] == [True, True]
    assert said[2].endswith("refresh succeeds again")
    assert [text.endswith("updated") for text in said[3:]] == [True]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_the_loop_survives_that_the_database_fails(
    database: TestDatabase, definitions_server: DefinitionsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions_server.say(200, DEFINITIONS)
    with PostHog(database.url, project_token=TOKEN, personal_api_key=KEY, host=definitions_server.url) as client:
        client.start()
        wait_until(lambda: definitions_server.asked, "the first tick")
        database.execute("ALTER TABLE posthog_refreshes RENAME TO elsewhere")
        time.sleep(1.5)
        database.execute("ALTER TABLE elsewhere RENAME TO posthog_refreshes")
        asked = len(definitions_server.asked)
        wait_until(lambda: len(definitions_server.asked) > asked, "a tick after the failure")


def test_the_loop_survives_what_nobody_foresaw(
    make_client: MakeClient,
    definitions_server: DefinitionsServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    definitions_server.say(200, DEFINITIONS)
    calls: list[int] = []
    tick = Refresher.tick

    def breaks_once(self: Refresher, worker: str, pause: Any) -> float:
        calls.append(1)
        if len(calls) == 1:
            raise LookupError("nobody foresaw this")
        return tick(self, worker, pause)

    monkeypatch.setattr(Refresher, "tick", breaks_once)
    make_client().start()
    wait_until(lambda: definitions_server.asked, "a tick after the failure")
    assert "unexpected error" in caplog.text


# What the environment says


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 60), ("  ", 60), ("30", 30), (" 5 ", 5), ("1", 1), ("060", 60), ("86400", 86400)]
)
def test_the_interval(text: str, seconds: int) -> None:
    assert polling_interval({"POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS": text}) == (seconds, None)
    assert polling_interval({}) == (60, None)


@pytest.mark.parametrize("text", ["0", "-5", "1.5", "soon", "1e3", "٣", "9" * 40, "inf"])
def test_a_bad_interval_counts_as_60(text: str) -> None:
    seconds, problem = polling_interval({"POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS": text})
    assert seconds == POLLING_SECONDS == 60
    assert problem is not None
    assert repr(text) in problem


def test_a_bad_interval_warns_once(
    sqlite_database: TestDatabase, definitions_server: DefinitionsServer, caplog: pytest.LogCaptureFixture
) -> None:
    one = refresher(sqlite_database, definitions_server.url, POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS="soon")
    assert [one.interval() for _ in range(3)] == [60, 60, 60]
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS='soon'" in caplog.text


@pytest.mark.parametrize(
    ("text", "off"),
    [
        ("1", True),
        ("true", True),
        ("YES", True),
        (" on ", True),
        ("", False),
        ("0", False),
        ("off", False),
        ("2", False),
    ],
)
def test_the_switch(text: str, off: bool) -> None:
    assert polling_disabled({"POSTHOG_DISABLE_LOCAL_EVALUATION": text}) is off
    assert not polling_disabled({})
