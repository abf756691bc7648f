"""Exposures: opt-in, once per person, flag, answer and groups in the fleet, with all that PostHog wants to know."""

from __future__ import annotations

import multiprocessing
from typing import Any

import pytest

from hogbox import PostHog
from hogbox._events.exposure import exposure_id
from hogbox._store.connections.database import Database
from hogbox._store.delivery import DeliveryStore
from hogbox.emulator import Emulator
from hogbox.errors import MissingDistinctId
from tests.client.conftest import TOKEN, Client
from tests.emulator.flag_case import definitions, flag, where
from tests.fixtures.colour import open_session, write_exposures
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store

DOCUMENT = definitions(
    flag("on", filters={"payloads": {"true": '{"limit": 5}'}}, has_experiment=True),
    flag("plain", has_experiment=False),
    flag("unknown-experiment"),
    flag("off", active=False),
    flag("pro", where("plan", "pro")),
)


@pytest.fixture
def stored(database: TestDatabase) -> TestDatabase:
    store(database, TOKEN, DOCUMENT)
    return database


@pytest.fixture
def tracking(stored: TestDatabase, client: Client) -> PostHog:
    return client(track_exposures=True)


def names(database: TestDatabase) -> list[str]:
    return [event["event"] for event in database.events()]


def test_everything_that_posthog_wants_to_know(tracking: PostHog, stored: TestDatabase) -> None:
    tracking.get_feature_flag(None, "on", distinct_id="u1", groups={"company": "c-19"})
    (event,) = stored.events()
    assert (event["event"], event["distinct_id"]) == ("$feature_flag_called", "u1")
    properties = event["properties"]
    told = {name: value for name, value in properties.items() if "feature" in name or name == "locally_evaluated"}
    assert told == {
        "$feature_flag": "on",
        "$feature_flag_response": True,
        "$feature/on": True,
        "$feature_flag_payload": {"limit": 5},
        "$feature_flag_id": 71,
        "$feature_flag_version": 4,
        "$feature_flag_reason": "Evaluated locally",
        "$feature_flag_has_experiment": True,
        "locally_evaluated": True,
    }
    assert properties["$groups"] == {"company": "c-19"}
    assert properties["$lib"] == "hogbox"


def test_it_is_opt_in_per_client_and_per_call(stored: TestDatabase, client: Client) -> None:
    silent, tracking = client(), client(track_exposures=True)
    silent.get_feature_flag(None, "on", distinct_id="u1")
    tracking.get_feature_flag(None, "on", distinct_id="u1", track_exposures=False)
    assert stored.events() == []
    silent.get_feature_flag(None, "on", distinct_id="u1", track_exposures=True)
    tracking.get_feature_flag(None, "on", distinct_id="u2")
    assert [event["distinct_id"] for event in stored.events()] == ["u1", "u2"]


def test_what_is_no_exposure(tracking: PostHog, stored: TestDatabase) -> None:
    tracking.get_feature_flag_payload(None, "on", distinct_id="u1")
    tracking.get_feature_flag_payload(None, "on", match_value=True)
    tracking.get_all_flags(None, distinct_id="u1")
    tracking.get_all_flags_and_payloads(None, distinct_id="u1")
    flags = tracking.flags(None, distinct_id="u1")
    flags.payload("on")
    flags.all()
    flags.explain("on")
    with pytest.raises(MissingDistinctId):
        tracking.get_feature_flag(None, "on")
    assert stored.events() == []
    assert stored.count("posthog_exposures") == 0


@pytest.mark.parametrize(("key", "error"), [("pro", "local_evaluation_inconclusive"), ("no such flag", "flag_missing")])
def test_a_read_without_a_value_says_why(tracking: PostHog, stored: TestDatabase, key: str, error: str) -> None:
    assert tracking.get_feature_flag(None, key, distinct_id="u1", default="default") == "default"
    flags = tracking.flags(None, distinct_id="u1")
    assert flags.get(key, "default") == "default"
    write_exposures(tracking, flags)
    (event,) = stored.events()
    properties = event["properties"]
    assert (properties["$feature_flag_error"], properties["$feature_flag_response"]) == (error, None)
    assert properties["locally_evaluated"] is False
    assert "$feature_flag_reason" not in properties


def test_only_reads_that_posthog_is_asked_for(stored: TestDatabase, client: Client, emulator: Emulator) -> None:
    emulator.set_flags(DOCUMENT)
    posthog = client(host=emulator.url, track_exposures="remote")
    posthog.get_feature_flag(None, "on", distinct_id="u1")
    posthog.get_feature_flag(None, "pro", distinct_id="u1")
    assert stored.events() == []
    posthog.get_feature_flag(None, "pro", distinct_id="u1", fallback="remote")
    posthog.evaluate_flag(None, "on", distinct_id="u1")
    told = [
        (event["properties"]["$feature_flag"], event["properties"]["locally_evaluated"]) for event in stored.events()
    ]
    assert told == [("pro", False), ("on", False)]


def test_every_read_of_a_value_is_one(tracking: PostHog, stored: TestDatabase) -> None:
    tracking.get_feature_flag(None, "on", distinct_id="a")
    tracking.is_feature_enabled(None, "on", distinct_id="b")
    tracking.get_feature_flag_result(None, "on", distinct_id="c")
    flags = tracking.flags(None, distinct_id="d")
    for _ in range(2):
        flags.get("on"), flags.is_enabled("off"), flags.result("plain")
    write_exposures(tracking, flags)
    assert [(event["distinct_id"], event["properties"]["$feature_flag"]) for event in stored.events()] == [
        ("a", "on"),
        ("b", "on"),
        ("c", "on"),
        ("d", "on"),
        ("d", "off"),
        ("d", "plain"),
    ]


def test_once_per_person_flag_answer_and_groups(tracking: PostHog, stored: TestDatabase) -> None:
    for _ in range(2):
        tracking.get_feature_flag(None, "on", distinct_id="u1")
        tracking.get_feature_flag(None, "on", distinct_id="u2")
        tracking.get_feature_flag(None, "off", distinct_id="u1")
        tracking.get_feature_flag(None, "on", distinct_id="u1", groups={"a": 1, "b": "2"})
        tracking.get_feature_flag(None, "on", distinct_id="u1", groups={"b": 2, "a": "1"})
        for plan in ("pro", "free"):
            tracking.get_feature_flag(None, "pro", distinct_id="u1", person_properties={"plan": plan})
    assert len(stored.events()) == 6


def test_a_snapshots_exposures_share_its_transaction(tracking: PostHog, stored: TestDatabase) -> None:
    with open_session(tracking, stored) as session:
        flags = tracking.flags(session.handle, distinct_id="u1")
        flags.get("on")
        write_exposures(tracking, flags)
        session.rollback()
        assert stored.events() == []
        flags.get("on")
        write_exposures(tracking, flags)
        session.commit()
    assert names(stored) == ["$feature_flag_called"]


def test_a_hook_may_refuse_an_exposure(stored: TestDatabase, client: Client) -> None:
    posthog = client(track_exposures=True, before_send=lambda _: None)
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") is True
    assert stored.events() == []


@pytest.mark.parametrize(
    ("gate", "key", "short"),
    [
        (True, "plain", True),
        (True, "on", False),
        (True, "unknown-experiment", False),
        (False, "plain", False),
        (None, "plain", False),
    ],
)
def test_the_short_form(database: TestDatabase, client: Client, gate: bool | None, key: str, short: bool) -> None:
    store(database, TOKEN, {**DOCUMENT, "minimal_flag_called_events": gate})
    client(track_exposures=True).get_feature_flag(None, key, distinct_id="u1", groups={"company": "c"})
    properties = database.events()[0]["properties"]
    assert (f"$feature/{key}" not in properties) is short
    assert {"$feature_flag", "$feature_flag_response", "$groups", "$lib", "$os", "$geoip_disable"} <= set(properties)


def test_a_hook_may_add_to_the_short_form(database: TestDatabase, client: Client) -> None:
    def hook(event: Any) -> Any:
        assert "$feature/plain" not in event["properties"]
        event["properties"]["extra"] = 1
        return event

    store(database, TOKEN, {**DOCUMENT, "minimal_flag_called_events": True})
    client(track_exposures=True, before_send=hook).get_feature_flag(None, "plain", distinct_id="u1")
    assert database.events()[0]["properties"]["extra"] == 1


def test_the_ids_of_exposures_keep_their_parts_apart() -> None:
    ids = {
        exposure_id("p", "u", "k", True, None),
        exposure_id("p", "u", "k", "true", None),
        exposure_id("p", "u", "k", None, {}),
        exposure_id("p", "uk", "", True, None),
        exposure_id("p", "u", "k", True, {"a": "b"}),
        exposure_id("p2", "u", "k", True, None),
    }
    assert len(ids) == 6
    assert all(len(one) == 64 for one in ids)
    assert exposure_id("p", "\ud800", "k", True, {"a": 1, "b": "x"}) == exposure_id(
        "p", "\ud800", "k", True, {"b": "x", "a": "1"}
    )


def test_an_exposure_lasts_as_long_as_the_setting_says(
    stored: TestDatabase, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOGBOX_EXPOSURE_SECONDS", "3600")
    client(track_exposures=True).get_feature_flag(None, "on", distinct_id="u1")
    (row,) = stored.rows("posthog_exposures")
    with stored.engine.connect() as connection:
        now = connection.exec_driver_sql("SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)").scalar()
    assert now is not None
    assert 3_590_000 < row["expires_at"] - now <= 3_600_000


def test_a_worker_removes_what_has_expired(any_database: TestDatabase) -> None:
    for name, moment in (("old", 1), ("new", 99_999_999_999_999)):
        any_database.execute("INSERT INTO posthog_exposures VALUES (:id, :at)", id=name, at=moment)
    store_ = DeliveryStore(Database(any_database.engine, "posthog_"), "w1")
    store_.announce("host", 1, "0")
    store_.heartbeat(30, 60)
    assert [row["id"] for row in any_database.rows("posthog_exposures")] == ["new"]


PEOPLE = 25
PROCESSES = 4


def _read_everything(url: str, barrier: Any) -> None:
    with PostHog(url, project_token=TOKEN, track_exposures=True) as posthog:
        barrier.wait()
        for number in range(PEOPLE):
            for key in ("on", "plain", "off"):
                posthog.get_feature_flag(None, key, distinct_id=f"u{number}")


def test_once_in_the_whole_fleet(any_database: TestDatabase) -> None:
    store(any_database, TOKEN, DOCUMENT)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    url = any_database.engine.url.render_as_string(hide_password=False)
    fleet = [context.Process(target=_read_everything, args=(url, barrier)) for _ in range(PROCESSES)]
    for process in fleet:
        process.start()
    for process in fleet:
        process.join(60)
        assert process.exitcode == 0
    with Emulator() as emulator, PostHog(url, project_token=TOKEN, host=emulator.url) as posthog:
        posthog.deliver(timeout=30)
        events = emulator.events()
    assert any_database.events() == []
    told = {(event.distinct_id, event.properties["$feature_flag"]) for event in events}
    assert len(events) == len(told) == PEOPLE * 3
