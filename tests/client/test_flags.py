"""Local reads: what they answer, how fresh, and with how few queries."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from hogbox import PostHog
from hogbox._store.connections.engine import transactional
from hogbox.errors import (
    AsyncHandle,
    ConfigurationError,
    HogboxError,
    InvalidEvent,
    InvalidPerson,
    MissingDistinctId,
    SyncHandle,
    UnsupportedHandle,
    UsageError,
)
from hogbox.testing import CapturedEvents, FlagOverrides
from tests.client.conftest import TOKEN, Client
from tests.emulator.flag_case import definitions, flag, where
from tests.fixtures.colour import open_session
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store

VARIANTS = {"variants": [{"key": "blue", "rollout_percentage": 100}]}
DOCUMENT = definitions(
    flag("on", filters={"payloads": {"true": '{"limit": 5}', "false": "never"}}),
    flag("off", active=False, filters={"payloads": {"true": "[1]"}}),
    flag("blue", filters={"multivariate": VARIANTS, "payloads": {"blue": "text", "red": "3"}}),
    flag("pro", where("plan", "pro")),
    flag("big", where("seats", 10, "gt", "group", group_type_index=0), filters={"aggregation_group_type_index": 0}),
    flag("device", bucketing_identifier="device_id"),
)
OTHER = definitions(flag("on", active=False))

Queries = list[str]


@pytest.fixture
def stored(database: TestDatabase) -> TestDatabase:
    store(database, TOKEN, DOCUMENT)
    return database


@pytest.fixture
def posthog(stored: TestDatabase, client: Client) -> PostHog:
    return client(stored.engine)


@pytest.fixture
def client(database: TestDatabase, colour: type[PostHog]) -> Iterator[Client]:
    """Makes clients over an engine of the test's."""
    made: list[PostHog] = []

    def make(source: Any = None, **arguments: Any) -> PostHog:
        made.append(colour(source or database.engine, **{"project_token": TOKEN, **arguments}))
        return made[-1]

    yield make
    for one in made:
        one.shutdown()


@pytest.fixture
def queries() -> Iterator[Queries]:
    """The queries on the test's engine, and on hogbox's own."""
    seen: Queries = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


def test_the_answers_on_every_database(any_database: TestDatabase, colour: type[PostHog]) -> None:
    store(any_database, TOKEN, DOCUMENT)
    with colour(any_database.engine, project_token=TOKEN) as posthog, open_session(posthog, any_database) as session:
        for ctx in (None, session.handle):
            assert posthog.get_feature_flag(ctx, "on", distinct_id="u1") is True
            assert posthog.get_feature_flag(ctx, "off", distinct_id="u1") is False
            assert posthog.get_feature_flag(ctx, "blue", distinct_id="u1") == "blue"
            assert posthog.get_feature_flag(ctx, "pro", distinct_id="u1") is None
            assert posthog.get_feature_flag(ctx, "pro", distinct_id="u1", person_properties={"plan": "pro"}) is True
            assert posthog.get_all_flags(ctx, distinct_id="u1") == {
                "on": True,
                "off": False,
                "blue": "blue",
                "big": False,
            }


@pytest.mark.parametrize(
    ("key", "arguments", "value"),
    [
        ("on", {}, True),
        ("blue", {}, True),
        ("off", {}, False),
        ("off", {"default": True}, False),
        ("pro", {}, None),
        ("pro", {"default": True}, True),
        ("pro", {"default": False}, False),
        ("pro", {"properties_complete": True}, False),
        ("unknown", {}, None),
        ("unknown", {"default": True}, True),
        ("big", {"groups": {"company": "c"}, "group_properties": {"company": {"seats": 12}}}, True),
        ("big", {"groups": {"company": "c"}, "group_properties": {"company": {"seats": 3}}}, False),
        ("device", {}, None),
        ("device", {"device_id": "d1"}, True),
    ],
)
def test_is_feature_enabled(posthog: PostHog, key: str, arguments: dict[str, Any], value: bool | None) -> None:
    assert posthog.is_feature_enabled(None, key, distinct_id="u1", **arguments) is value
    expected = "blue" if key == "blue" else value
    assert posthog.get_feature_flag(None, key, distinct_id="u1", **arguments) == expected


@pytest.mark.parametrize(
    ("key", "arguments", "payload"),
    [
        ("on", {"distinct_id": "u1"}, {"limit": 5}),
        ("blue", {"distinct_id": "u1"}, "text"),
        ("off", {"distinct_id": "u1"}, None),
        ("pro", {"distinct_id": "u1", "default": 7}, 7),
        ("unknown", {"distinct_id": "u1"}, None),
        ("blue", {"match_value": "red"}, 3),
        ("blue", {"match_value": "green", "default": "none"}, "none"),
        ("on", {"match_value": True}, {"limit": 5}),
        ("on", {"match_value": False}, "never"),
        ("off", {"match_value": True}, [1]),
        ("unknown", {"match_value": True}, None),
    ],
)
def test_payloads(posthog: PostHog, key: str, arguments: dict[str, Any], payload: object) -> None:
    assert posthog.get_feature_flag_payload(None, key, **arguments) == payload


def test_the_payload_of_a_value_does_not_ask_who_it_is(stored: TestDatabase, client: Client) -> None:
    def identify(_: object) -> str:
        raise AssertionError("asked")

    assert client(identify=identify).get_feature_flag_payload(None, "on", match_value=True) == {"limit": 5}


def test_the_whole_result(posthog: PostHog) -> None:
    result = posthog.get_feature_flag_result(None, "blue", distinct_id="u1")
    assert result is not None
    assert (result.key, result.value, result.enabled, result.variant, result.payload, str(result.reason)) == (
        "blue",
        "blue",
        True,
        "blue",
        "text",
        "condition_match",
    )
    assert posthog.get_feature_flag_result(None, "pro", distinct_id="u1") is None
    assert posthog.get_feature_flag_result(None, "unknown", distinct_id="u1") is None


def test_all_flags_with_payloads(posthog: PostHog) -> None:
    everything = posthog.get_all_flags_and_payloads(None, distinct_id="u1")
    assert everything.flags == {"on": True, "off": False, "blue": "blue", "big": False}
    assert everything.payloads == {"on": {"limit": 5}, "blue": "text"}
    assert not everything.complete
    some = posthog.get_all_flags_and_payloads(None, distinct_id="u1", flag_keys=["on", "unknown"])
    assert (some.flags, some.payloads, some.complete) == ({"on": True}, {"on": {"limit": 5}}, True)
    assert posthog.get_all_flags(None, distinct_id="u1", flag_keys=[]) == {}
    assert posthog.get_all_flags(None, distinct_id="u1", flag_keys="on") == {"on": True}


def test_the_identify_callback_wins(stored: TestDatabase, client: Client) -> None:
    store(stored, TOKEN, definitions(flag("me", where("distinct_id", "caller"))))
    posthog = client(identify=lambda _: "caller")
    assert posthog.get_feature_flag(None, "me", distinct_id="other") is True
    assert posthog.get_feature_flag(None, "me") is True
    assert posthog.flags(None).get("me") is True
    assert client(identify=lambda _: None).get_feature_flag(None, "me", distinct_id="other") is False


def test_properties_complete_is_a_choice_of_the_client_and_of_the_call(stored: TestDatabase, client: Client) -> None:
    posthog = client(properties_complete=True)
    assert posthog.get_feature_flag(None, "pro", distinct_id="u1") is False
    assert posthog.get_feature_flag(None, "pro", distinct_id="u1", properties_complete=False) is None


def test_dates_are_meant_in_the_projects_time_zone(stored: TestDatabase, client: Client) -> None:
    store(stored, TOKEN, definitions(flag("early", where("at", "2024-01-01 00:00:00", "is_date_before"))))
    at = {"at": "2023-12-31T20:00:00Z"}
    for zone, expected in (("UTC", True), ("Asia/Tokyo", False)):
        posthog = client(flags_timezone=zone)
        assert posthog.get_feature_flag(None, "early", distinct_id="u1", person_properties=at) is expected


# Not configured, not fetched, not readable


@pytest.mark.parametrize("key", [None, "phs_key"])
def test_p8_before_the_first_refresh_every_read_is_inconclusive_and_the_log_says_once_what_to_do(
    client: Client, database: TestDatabase, caplog: pytest.LogCaptureFixture, key: str | None
) -> None:
    posthog = client(personal_api_key=key, track_exposures=True, definitions_max_age=0)
    for _ in range(2):
        assert posthog.get_feature_flag(None, "on", distinct_id="u1", default="?") == "?"
        assert posthog.is_feature_enabled(None, "on", distinct_id="u1", default=False) is False
        assert posthog.get_feature_flag_payload(None, "on", distinct_id="u1", default=3) == 3
        assert posthog.get_feature_flag_payload(None, "on", match_value=True, default=4) == 4
        assert posthog.get_feature_flag_result(None, "on", distinct_id="u1") is None
        assert posthog.get_all_flags(None, distinct_id="u1") == {}
        assert posthog.get_all_flags_and_payloads(None, distinct_id="u1", flag_keys=["on"]) == ({}, {}, True)
        snapshot = posthog.flags(None, distinct_id="u1")
        assert (snapshot.all(), snapshot.get("on", "?"), snapshot.revision, snapshot.readable) == ({}, "?", None, False)
        assert snapshot.result("on").reason == "no_definitions"
        assert "no flag definitions are stored" in snapshot.explain("on").sentence
        posthog.capture(None, "paid", distinct_id="u1", flags=snapshot)
        posthog.capture(None, "paid", distinct_id="u1", send_feature_flags=True)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    for word in ("hogbox worker", "hogbox refresh", "POSTHOG_PERSONAL_API_KEY", "evaluate_flag_payload"):
        assert word in warning
    store(database, TOKEN, DOCUMENT)
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") is True


def test_definitions_suffice_without_a_key_and_switched_off(posthog: PostHog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTHOG_DISABLE_LOCAL_EVALUATION", "1")
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") is True


@pytest.mark.parametrize("data", ["{", "[]", "7", '{"flags": {}}', '{"flags": [], "cohorts": 7}'])
def test_what_does_not_parse_warns_once_a_revision_and_is_as_if_not_fetched(
    database: TestDatabase, client: Client, caplog: pytest.LogCaptureFixture, data: str
) -> None:
    posthog = client(definitions_max_age=0)
    store(database, TOKEN, data)
    with caplog.at_level(logging.WARNING, "hogbox"):
        for _ in range(3):
            assert posthog.get_feature_flag(None, "on", distinct_id="u1", default=4) == 4
        assert len(caplog.records) == 1
        assert "revision 1" in caplog.text
        store(database, TOKEN, data + " ")
        assert posthog.get_feature_flag(None, "on", distinct_id="u1") is None
        assert len(caplog.records) == 2
    store(database, TOKEN, DOCUMENT)
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") is True


def test_flags_without_a_key_harm_nobody(database: TestDatabase, client: Client) -> None:
    store(database, TOKEN, {"flags": [7, {"key": 3}, {"active": True}, flag("on"), flag("x", id="a", version=True)]})
    posthog = client(track_exposures=True)
    assert posthog.get_all_flags(None, distinct_id="u1") == {"on": True, "x": True}
    posthog.get_feature_flag(None, "x", distinct_id="u1")
    (event,) = database.events()
    assert not {"$feature_flag_id", "$feature_flag_version"} & set(event["properties"])


def test_a_disabled_client_reads_nothing(client: Client, queries: Queries) -> None:
    posthog = client(disabled=True, project_token=None)
    assert posthog.get_feature_flag(None, "on", distinct_id="u1", default="d") == "d"
    assert posthog.get_all_flags(None, distinct_id="u1") == {}
    assert posthog.evaluate_flag(None, "on", distinct_id="u1") is None
    assert posthog.evaluate_all_flags(None, distinct_id="u1").flags == {}
    assert queries == []


# Bad input


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, MissingDistinctId, "identify="),
        ({"distinct_id": " "}, MissingDistinctId, "identify="),
        ({"distinct_id": 1.5}, InvalidEvent, "1.5"),
        ({"distinct_id": "u", "person_properties": 7}, InvalidPerson, "person_properties"),
        ({"distinct_id": "u", "groups": ["c"]}, InvalidPerson, "groups"),
        ({"distinct_id": "u", "group_properties": {"company": 7}}, InvalidPerson, "company"),
        ({"distinct_id": "u", "device_id": 7}, InvalidPerson, "device_id"),
        ({"distinct_id": "u", "fallback": "local"}, UsageError, "'remote'"),
        ({"distinct_id": "u", "key": 7}, UsageError, "key is text"),
        ({"distinct_id": "u", "key": ["on"]}, UsageError, "key is text"),
        ({"distinct_id": "u", "ctx": object()}, UnsupportedHandle, "Session"),
    ],
)
@pytest.mark.parametrize("warm", [False, True])
def test_bad_input(
    posthog: PostHog, arguments: dict[str, Any], error: type[HogboxError], message: str, warm: bool
) -> None:
    if warm:
        posthog.get_feature_flag(None, "on", distinct_id="u1")
    ctx, key = arguments.pop("ctx", None), arguments.pop("key", "on")
    try:
        for read in (posthog.get_feature_flag, posthog.is_feature_enabled, posthog.get_feature_flag_result):
            with pytest.raises(error, match=message):
                read(ctx, key, **arguments)
    finally:
        arguments.update({"key": key} if key != "on" else {}, **({"ctx": ctx} if ctx is not None else {}))


def test_a_handle_of_the_other_colour_is_refused(posthog: PostHog, colour: type) -> None:
    error: type[Exception] = AsyncHandle if colour is PostHog else SyncHandle
    handle = type("Connection", (), {"__module__": "aiosqlite.core" if error is AsyncHandle else "sqlite3"})()
    with pytest.raises(error):
        posthog.get_feature_flag(handle, "on", distinct_id="u1")
    with pytest.raises(error):
        posthog.get_feature_flag_payload(handle, "on", match_value=True)


@pytest.mark.parametrize("value", [1.5, ["blue"], 3])
def test_a_match_value_that_is_none(posthog: PostHog, value: Any) -> None:
    with pytest.raises(UsageError, match="match_value"):
        posthog.get_feature_flag_payload(None, "on", match_value=value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"flags_timezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"definitions_max_age": -1}, "HOGBOX_DEFINITIONS_MAX_AGE_SECONDS"),
        ({"definitions_max_age": float("nan")}, "HOGBOX_DEFINITIONS_MAX_AGE_SECONDS"),
    ],
)
def test_bad_options(client: Client, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        client(**arguments)


def test_strange_ids_and_values_are_evaluated(posthog: PostHog) -> None:
    for person in ("ü", "x" * 500, 17):
        assert posthog.get_feature_flag(None, "on", distinct_id=person) is True
    huge = {"plan": "x" * 1_000_000, "nan": float("nan"), "object": object()}
    assert posthog.get_feature_flag(None, "pro", distinct_id="u1", person_properties=huge) is False


# Freshness


def test_p6_at_most_one_small_read_per_max_age(posthog: PostHog, queries: Queries) -> None:
    ends = time.monotonic() + 2.5
    reads = 0
    while time.monotonic() < ends:
        assert posthog.get_feature_flag(None, "on", distinct_id="u1") is True
        reads += 1
    small = [query for query in queries if ".data" not in query]
    assert reads > 1000
    assert 2 <= len(small) <= 3
    assert len(queries) - len(small) == 1


@pytest.mark.parametrize("colour", [PostHog])
def test_p6_with_several_threads_and_sessions(stored: TestDatabase, posthog: PostHog, queries: Queries) -> None:
    posthog.get_feature_flag(None, "on", distinct_id="u1")
    queries.clear()
    ends = time.monotonic() + 2.2

    def work() -> None:
        while time.monotonic() < ends:
            with Session(stored.engine) as session:
                assert posthog.get_feature_flag(session, "on", distinct_id="u1") is True

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(queries) == 2


def test_a_new_revision_is_seen_within_the_max_age(stored: TestDatabase, client: Client) -> None:
    posthog = client(definitions_max_age=0.3)
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") is True
    store(stored, TOKEN, OTHER)
    changed = time.monotonic()
    while posthog.get_feature_flag(None, "on", distinct_id="u1") is True:
        assert time.monotonic() - changed < 1
    assert time.monotonic() - changed < 0.5


def test_a_new_revision_seen_by_one_session_is_seen_by_the_next(stored: TestDatabase, client: Client) -> None:
    posthog = client(definitions_max_age=0.2)
    with open_session(posthog, stored) as one, open_session(posthog, stored) as two:
        assert posthog.get_feature_flag(one.handle, "on", distinct_id="u1") is True
        one.rollback()
        store(stored, TOKEN, OTHER)
        time.sleep(0.25)
        assert posthog.get_feature_flag(one.handle, "on", distinct_id="u1") is False
        assert posthog.get_feature_flag(two.handle, "on", distinct_id="u1") is False
        assert posthog.get_feature_flag(None, "on", distinct_id="u1") is False


@pytest.mark.parametrize("colour", [PostHog])
def test_an_older_snapshot_is_served_to_its_own_transaction(emptied: Any, client: Client) -> None:
    database = emptied("postgresql")
    store(database, TOKEN, DOCUMENT)
    posthog = client(database.engine, definitions_max_age=0)
    frozen = database.engine.execution_options(isolation_level="REPEATABLE READ")
    with frozen.connect() as old, transactional(database.engine).connect() as new:
        assert posthog.get_feature_flag(old, "on", distinct_id="u1") is True
        store(database, TOKEN, OTHER)
        for _ in range(3):
            assert posthog.get_feature_flag(new, "on", distinct_id="u1") is False
            assert posthog.get_feature_flag(old, "on", distinct_id="u1") is True
            assert posthog.get_feature_flag(None, "on", distinct_id="u1") is False


def test_the_flags_of_a_revision_are_compiled_once(stored: TestDatabase, client: Client) -> None:
    posthog = client(definitions_max_age=0)
    first = posthog.flags(None, distinct_id="u1")
    stored.execute("UPDATE posthog_flag_definitions SET fetched_at = fetched_at + 1")
    assert posthog.flags(None, distinct_id="u1")._local is first._local


def test_a_failing_read_is_tried_again(database: TestDatabase, client: Client) -> None:
    posthog = client(definitions_max_age=0.05)
    store(database, TOKEN, DOCUMENT)
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") is True
    database.execute("ALTER TABLE posthog_flag_definitions RENAME TO elsewhere")
    time.sleep(0.1)
    for _ in range(2):
        with pytest.raises(HogboxError, match="hogbox migrate"):
            posthog.get_feature_flag(None, "on", distinct_id="u1")
    database.execute("ALTER TABLE elsewhere RENAME TO posthog_flag_definitions")
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") is True


def test_a_child_of_fork_reads_by_itself(stored: TestDatabase, client: Client) -> None:
    posthog = client(stored.url, definitions_max_age=0.1)
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") is True
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()

    def child() -> None:
        values = [posthog.get_feature_flag(None, "on", distinct_id="u1")]
        theirs.send(os.getpid())
        theirs.recv()
        time.sleep(0.2)
        theirs.send([*values, posthog.get_feature_flag(None, "on", distinct_id="u1")])
        os._exit(0)

    with posthog._reader._cache._lock:  # as if another thread were looking at that moment
        process = context.Process(target=child)
        process.start()
    ours.recv()
    store(stored, TOKEN, OTHER)
    ours.send("changed")
    assert ours.recv() == [True, False]
    process.join()
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") is False


# Snapshots, and events that tell of flags


def test_a_snapshot_stays_as_it_is(stored: TestDatabase, client: Client) -> None:
    posthog = client(definitions_max_age=0)
    flags = posthog.flags(None, distinct_id="u1", person_properties={"plan": "pro"})
    store(stored, TOKEN, OTHER)
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") is False
    assert flags.get("on") is True
    assert flags.get("pro") is True
    assert flags.is_enabled("blue") is True
    assert flags.payload("blue") == "text"
    assert flags.result("blue").variant == "blue"
    assert flags.get("unknown", "d") == "d"
    assert flags.is_enabled("unknown", True) is True
    assert flags.is_enabled("off", True) is False
    assert flags.payload("off", "d") == "d"
    assert flags.keys == ("on", "off", "blue", "pro", "big", "device")
    assert flags.all() == {"on": True, "off": False, "blue": "blue", "pro": True, "big": False}
    assert "plan" in str(flags.explain("pro"))
    assert repr(flags) == "Flags('u1', 6 flags)"


def test_an_event_tells_what_the_snapshot_holds(posthog: PostHog, stored: TestDatabase) -> None:
    flags = posthog.flags(None, distinct_id="u1", person_properties={"plan": "pro"})
    posthog.capture(None, "paid", distinct_id="u1", flags=flags)
    properties = stored.events()[0]["properties"]
    assert properties["$active_feature_flags"] == ["blue", "on", "pro"]
    assert {name: value for name, value in properties.items() if name.startswith("$feature/")} == {
        "$feature/on": True,
        "$feature/off": False,
        "$feature/blue": "blue",
        "$feature/pro": True,
        "$feature/big": False,
    }


def test_an_event_tells_of_flags_without_a_snapshot(posthog: PostHog, stored: TestDatabase) -> None:
    posthog.capture(None, "paid", distinct_id="u1", send_feature_flags=True)
    properties = stored.events()[0]["properties"]
    assert properties["$active_feature_flags"] == ["blue", "on"]
    assert "$feature/pro" not in properties


def test_properties_of_the_callers_win(posthog: PostHog, stored: TestDatabase) -> None:
    own = {"$feature/on": "mine", "$active_feature_flags": ["mine"]}
    posthog.capture(None, "paid", distinct_id="u1", properties=own, flags=posthog.flags(None, distinct_id="u1"))
    properties = stored.events()[0]["properties"]
    assert (properties["$feature/on"], properties["$active_feature_flags"]) == ("mine", ["mine"])
    assert properties["$feature/blue"] == "blue"


def test_no_active_flag_no_list(
    database: TestDatabase, client: Client, posthog_flags: FlagOverrides, captured_events: CapturedEvents
) -> None:
    posthog_flags.set("off", False)
    client().capture(None, "paid", distinct_id="u1", send_feature_flags=True)
    assert captured_events.only(database.engine).given == {"$feature/off": False}


def test_an_event_is_captured_though_no_flags_are_known(
    database: TestDatabase, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client().capture(None, "paid", distinct_id="u1", send_feature_flags=True)
    assert len(database.events()) == 1
    assert "no flag definitions" in caplog.text


def test_flags_must_be_a_snapshot(posthog: PostHog) -> None:
    with pytest.raises(InvalidEvent, match=r"PostHog\.flags"):
        posthog.capture(None, "paid", distinct_id="u1", flags={"on": True})  # type: ignore[arg-type]


def test_stored_text_is_read_as_it_is(database: TestDatabase, client: Client) -> None:
    store(database, TOKEN, json.dumps(definitions(flag("ключ 🦔")), ensure_ascii=False))
    assert client().get_all_flags(None, distinct_id="u1") == {"ключ 🦔": True}
