"""A snapshot that PostHog fills, what it leaves open and why, and what events tell of it."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from hogbox.context import new_context, tag
from hogbox.emulator import Emulator
from hogbox.errors import ConfigurationError, UsageError
from tests.client.conftest import TOKEN, Client
from tests.client.test_remote_flags import PostServer
from tests.emulator.flag_case import definitions, flag, where
from tests.fixtures.colour import write_exposures
from tests.fixtures.database import TestDatabase
from tests.fixtures.definitions_server import DefinitionsServer
from tests.fixtures.stored import store

RULE = "9b1f8a52-5a0e-4c1d-8f43-6f2f6a4f0c11"

DOCUMENT = definitions(
    flag("on"),
    flag("pro", where("plan", "pro")),
    flag("steady", {"properties": [], "rollout_percentage": 50}, ensure_experience_continuity=True),
    flag("members", where("id", 7, "in", "cohort")),
    flag("odd", where("plan", "x", "unheard_of")),
    flag("browser", evaluation_runtime="client"),
    flag("checkout", evaluation_contexts=["checkout", "web"]),
)


@pytest.fixture
def stored(database: TestDatabase) -> TestDatabase:
    store(database, TOKEN, DOCUMENT)
    return database


def asked(emulator: Emulator) -> list[Any]:
    return [request for request in emulator.requests() if request.path.startswith("/flags")]


def test_one_request_fills_what_is_inconclusive(stored: TestDatabase, client: Client, emulator: Emulator) -> None:
    emulator.set_flags(definitions(flag("on", active=False), flag("pro"), flag("only remote")))
    posthog = client(host=emulator.url)
    flags = posthog.flags(None, distinct_id="u1", fallback="remote", disable_geoip=False)
    assert (flags.get("on"), flags.get("pro"), flags.get("only remote"), flags.get("odd")) == (True, True, True, None)
    assert "only remote" in flags.keys
    assert dict(flags.unresolved).keys() >= {"odd", "members"}
    assert len(asked(emulator)) == 1
    assert posthog.flags(None, distinct_id="u1", flag_keys=["on"], fallback="remote").keys == ("on",)
    assert len(asked(emulator)) == 1


def test_why_flags_are_unresolved(stored: TestDatabase, client: Client) -> None:
    assert client().flags(None, distinct_id="u1").unresolved == {
        "pro": "missing_context",
        "steady": "experience_continuity",
        "members": "static_cohort",
        "odd": "unsupported_definition",
    }


def test_a_fallback_that_fails_leaves_them_open_and_says_why(
    stored: TestDatabase, client: Client, emulator: Emulator
) -> None:
    emulator.fault(path="/flags", status=503)
    posthog = client(host=emulator.url, track_exposures="remote")
    flags = posthog.flags(None, distinct_id="u1", fallback="remote")
    assert (flags.get("on"), flags.get("pro", "default")) == (True, "default")
    write_exposures(posthog, flags)
    (event,) = stored.events()
    assert event["properties"]["$feature_flag_error"] == "api_error_503"


def test_what_an_event_tells_is_narrowed(stored: TestDatabase, client: Client) -> None:
    flags = client().flags(None, distinct_id="u1", person_properties={"plan": "pro"})
    assert flags.only_accessed().event_properties() == {}
    flags.get("pro"), flags.payload("on")
    assert flags.only_accessed().event_properties() == {"$feature/pro": True, "$active_feature_flags": ["pro"]}
    narrow = flags.only(["on", "no such flag"])
    assert (narrow.keys, narrow.all(), narrow.get("pro")) == (("on",), {"on": True}, True)
    assert "pro" in flags.keys


def test_a_read_says_whether_it_is_an_exposure(stored: TestDatabase, client: Client) -> None:
    posthog = client()
    flags = posthog.flags(None, distinct_id="u1")
    flags.get("on")
    flags.get("checkout", track_exposures=True)
    write_exposures(posthog, flags)
    tracked = posthog.flags(None, distinct_id="u2", track_exposures=True)
    tracked.get("on", track_exposures=False)
    write_exposures(posthog, tracked)
    assert [event["properties"]["$feature_flag"] for event in stored.events()] == ["checkout"]
    with pytest.raises(UsageError, match="track_exposures"):
        flags.get("on", track_exposures="always")


def test_keys_by_runtime_and_contexts(stored: TestDatabase, client: Client) -> None:
    flags = client().flags(None, distinct_id="u1")
    assert "browser" in flags.keys_for(runtime="client")
    assert "browser" not in flags.keys_for(runtime="server")
    assert "checkout" in flags.keys_for(contexts=["web"])
    assert "checkout" not in flags.keys_for(contexts="blog")
    with pytest.raises(UsageError, match="runtime"):
        flags.keys_for(runtime="phone")


def test_the_contexts_of_a_client_hold_here_and_there(
    stored: TestDatabase, client: Client, definitions_server: DefinitionsServer
) -> None:
    server = PostServer(definitions_server).say(200, '{"flags": {}}')
    blog = client(host=server.url, evaluation_contexts=["blog"])
    assert blog.get_feature_flag(None, "checkout", distinct_id="u1") is None
    assert blog.get_feature_flag(None, "on", distinct_id="u1") is True
    assert "checkout" not in blog.get_all_flags(None, distinct_id="u1")
    assert client(evaluation_contexts=["web"]).get_feature_flag(None, "checkout", distinct_id="u1") is True
    blog.evaluate_all_flags(None, distinct_id="u1")
    assert json.loads(server.bodies[0])["evaluation_contexts"] == ["blog"]
    with pytest.raises(ConfigurationError, match="evaluation_contexts"):
        client(evaluation_contexts="blog")


@pytest.mark.parametrize("key", ["steady", "members", "odd"])
def test_a_flag_that_can_never_be_decided_here_is_named_once(
    stored: TestDatabase, client: Client, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    posthog = client()
    with caplog.at_level(logging.WARNING, "hogbox"):
        for _ in range(3):
            posthog.get_feature_flag(None, key, distinct_id="u1")
            posthog.get_feature_flag(None, "pro", distinct_id="u1")
    assert caplog.text.count("can't be evaluated locally") == 1


def test_how_posthog_is_asked(client: Client, definitions_server: DefinitionsServer) -> None:
    server = PostServer(definitions_server).say(200, '{"flags": {"a": {"value": 7}}}')
    posthog = client(host=server.url)
    posthog.evaluate_flag(None, "a", distinct_id="u1", flag_keys=["b"], disable_geoip=False)
    posthog.evaluate_flag_payload(None, "a", distinct_id="u1", flag_keys="b")
    posthog.get_feature_flag(None, "a", distinct_id="u1", fallback="remote", disable_geoip=False)
    bodies = [json.loads(body) for body in server.bodies]
    assert [body["flag_keys_to_evaluate"] for body in bodies] == [["b", "a"], ["b", "a"], ["a"]]
    assert [body["geoip_disable"] for body in bodies] == [False, True, False]
    with pytest.raises(UsageError, match="disable_geoip"):
        posthog.evaluate_flag(None, "a", distinct_id="u1", disable_geoip="no")  # type: ignore[arg-type]


def test_values_in_the_old_view_and_typed(client: Client, definitions_server: DefinitionsServer) -> None:
    records = {"n": {"value": 0}, "o": {"value": {"a": 1}}, "t": {"value": "x"}, "none": rules(None, "no_rule_match")}
    server = PostServer(definitions_server).say(200, json.dumps({"flags": records}))
    posthog = client(host=server.url)
    assert posthog.evaluate_all_flags(None, distinct_id="u1").flags == {"n": True, "o": True, "t": "x"}
    assert posthog.evaluate_flag_payload(None, "o", distinct_id="u1") == {"a": 1}
    assert posthog.evaluate_flag(None, "none", distinct_id="u1") is False
    assert posthog.evaluate_flag(None, "none", distinct_id="u1", default="d") == "d"
    flags = posthog.flags(None, distinct_id="u1", fallback="remote")
    assert [flags.result(key).value for key in ("n", "o", "t", "none")] == [0, {"a": 1}, "x", None]
    assert (flags.result("none").conclusive, flags.is_enabled("n"), flags.is_enabled("none")) == (True, True, False)


def rules(value: Any, reason: str, **metadata: Any) -> dict[str, Any]:
    given = {"id": 7, "version": 3, "config_version": 2, "has_experiment": True, **metadata}
    return {"value": value, "reason": {"code": reason, "description": "words"}, "metadata": given}


def test_an_assignment_is_exposed_once_whatever_the_value(
    database: TestDatabase, client: Client, definitions_server: DefinitionsServer
) -> None:
    server = PostServer(definitions_server)
    posthog = client(host=server.url, track_exposures=True)
    for value in ({"size": 1}, {"size": 2}):
        record = rules(value, "experiment_split", rule_type="experiment", rule_id=RULE, variant_key="arm")
        server.say(200, json.dumps({"flags": {"a": record}, "requestId": "r"}))
        with new_context():
            tag("team", "blue")
            for name in ("reason", "experiment_id", "forced_variant", "config_version", "rule_type"):
                tag(f"$feature_flag_{name}", "from the context")
            for _ in range(2):
                posthog.evaluate_flag(None, "a", distinct_id="u1")
    events = database.events()
    assert [event["event"] for event in events] == [
        "$feature_flag_called",
        "$experiment_exposure",
        "$feature_flag_called",
    ]
    called, exposed = events[0]["properties"], events[1]["properties"]
    assert (called["$feature_flag_response"], called["$feature/a"]) == ({"size": 1}, {"size": 1})
    assert (called["$feature_flag_config_version"], called["$feature_flag_reason_code"]) == (2, "experiment_split")
    assert (called["$feature_flag_rule_id"], called["$feature_flag_variant_key"]) == (RULE, "arm")
    assert not {"$feature_flag_reason", "$feature_flag_experiment_id", "$feature_flag_forced_variant"} & set(called)
    told = {name: value for name, value in exposed.items() if "feature" in name or "experiment" in name}
    assert told == {
        "$feature_flag": "a",
        "$feature_flag_response": {"size": 1},
        "$feature_flag_variant_key": "arm",
        "$feature_flag_rule_id": RULE,
        "$feature_flag_id": 7,
        "$feature_flag_version": 3,
        "$feature_flag_request_id": "r",
    }
    assert (exposed["locally_evaluated"], exposed["team"]) == (False, "blue")


def test_of_exposures_written_twice_one_is_sent(
    database: TestDatabase, client: Client, definitions_server: DefinitionsServer, emulator: Emulator
) -> None:
    record = rules(True, "experiment_split", rule_type="experiment", rule_id=RULE, variant_key="arm")
    server = PostServer(definitions_server).say(200, json.dumps({"flags": {"a": record}}))
    posthog = client(host=server.url, track_exposures=True)
    for _ in range(2):
        posthog.evaluate_flag(None, "a", distinct_id="u1")
        with database.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM posthog_exposures")
    assert len(database.events()) == 4
    client(host=emulator.url).deliver()
    assert sorted(event.event for event in emulator.events()) == ["$experiment_exposure", "$feature_flag_called"]


def test_the_stored_definitions(stored: TestDatabase, client: Client) -> None:
    found = client(secret_key="phs_a").get_flag_definitions(None)
    assert json.loads(found.data or "")["flags"][0]["key"] == "on"
    assert (found.revision, found.etag, found.configured) == (1, None, True)
    assert found.fetched_at is not None
    assert client(personal_api_key="phs_a").get_flag_definitions(None).configured
    assert not client().get_flag_definitions(None).configured


def test_nothing_is_stored(client: Client) -> None:
    assert client().get_flag_definitions(None) == (None, None, None, None, False)
