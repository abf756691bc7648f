"""Remote reads against the emulator: the value, or an error that says why there is none."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from hogbox import PostHog
from hogbox.emulator import Emulator
from hogbox.errors import MissingDistinctId, RemoteEvaluationError, UsageError
from hogbox.flags import FlagResult, Reason
from tests.client.conftest import TOKEN, Client
from tests.emulator.flag_case import definitions, flag, where
from tests.fixtures.database import TestDatabase
from tests.fixtures.definitions_server import DefinitionsServer
from tests.fixtures.port import free_port
from tests.fixtures.stored import store

DOCUMENT = definitions(
    flag("on", filters={"payloads": {"true": '{"limit": 5}'}}),
    flag("off", where("plan", "none")),
    flag("blue", filters={"multivariate": {"variants": [{"key": "blue", "rollout_percentage": 100}]}}),
    flag("pro", where("plan", "pro")),
    flag("server", evaluation_runtime="server"),
    flag("client", evaluation_runtime="client"),
    flag("big", where("seats", 10, "gt", "group", group_type_index=0), filters={"aggregation_group_type_index": 0}),
)


@pytest.fixture
def posthog(client: Client, emulator: Emulator) -> PostHog:
    emulator.set_flags(DOCUMENT)
    return client(host=emulator.url)


def asked(emulator: Emulator) -> list[Any]:
    return [request for request in emulator.requests() if request.path.startswith("/flags")]


def test_the_values(posthog: PostHog, emulator: Emulator) -> None:
    assert posthog.evaluate_flag(None, "on", distinct_id="u1") is True
    assert posthog.evaluate_flag(None, "off", distinct_id="u1") is False
    assert posthog.evaluate_flag(None, "blue", distinct_id="u1") == "blue"
    assert posthog.evaluate_flag(None, "pro", distinct_id="u1", person_properties={"plan": "pro"}) is True
    assert posthog.evaluate_flag(None, "server", distinct_id="u1") is True
    big: dict[str, Any] = {"groups": {"company": "c"}, "group_properties": {"company": {"seats": 12}}}
    assert posthog.evaluate_flag(None, "big", distinct_id="u1", **big) is True
    assert posthog.evaluate_flag_payload(None, "on", distinct_id="u1") == {"limit": 5}
    assert posthog.evaluate_flag_payload(None, "blue", distinct_id="u1", default=7) == 7


@pytest.mark.parametrize("key", ["unknown", "client"])
def test_a_flag_that_posthog_does_not_know(posthog: PostHog, key: str) -> None:
    assert posthog.evaluate_flag(None, key, distinct_id="u1") is None
    assert posthog.evaluate_flag(None, key, distinct_id="u1", default="d") == "d"
    assert posthog.evaluate_flag_payload(None, key, distinct_id="u1") is None


def test_all_flags(posthog: PostHog) -> None:
    found = posthog.evaluate_all_flags(None, distinct_id="u1", person_properties={"plan": "pro"})
    assert found.flags == {"on": True, "off": False, "blue": "blue", "pro": True, "server": True, "big": False}
    assert found.payloads == {"on": {"limit": 5}}
    assert found.complete
    assert posthog.evaluate_all_flags(None, distinct_id="u1", flag_keys=["on", "no"]).flags == {"on": True}


def test_the_identify_callback_wins_and_somebody_is_needed(client: Client, emulator: Emulator) -> None:
    emulator.set_flags(definitions(flag("me", where("distinct_id", "caller"))))
    person = {"distinct_id": "caller"}
    posthog = client(host=emulator.url, identify=lambda _: "caller")
    assert posthog.evaluate_flag(None, "me", distinct_id="other", person_properties=person) is True
    for method in ("evaluate_flag", "evaluate_flag_payload"):
        with pytest.raises(MissingDistinctId):
            getattr(client(host=emulator.url), method)(None, "me")
    with pytest.raises(MissingDistinctId):
        client(host=emulator.url).evaluate_all_flags(None)


def test_a_key_is_text(posthog: PostHog) -> None:
    with pytest.raises(UsageError, match="key is text"):
        posthog.evaluate_flag(None, 7, distinct_id="u1")  # type: ignore[arg-type]


def test_values_that_json_has_no_form_for_are_left_out_with_a_warning(
    posthog: PostHog, caplog: pytest.LogCaptureFixture
) -> None:
    properties = {"plan": "pro", "nan": float("nan"), "bytes": object()}
    assert posthog.evaluate_flag(None, "pro", distinct_id="ü\ud800", person_properties=properties) is True
    assert "JSON can't say" in caplog.text


@pytest.mark.parametrize(
    ("status", "reason", "requests"),
    [
        (400, "api_error_400", 1),
        (401, "api_error_401", 1),
        (402, "api_error_402", 1),
        (408, "api_error_408", 1),
        (429, "api_error_429", 1),
        (500, "api_error_500", 1),
        (502, "api_error_502", 2),
        (503, "api_error_503", 1),
        (504, "api_error_504", 2),
    ],
)
def test_a_failure_says_why_and_is_retried_as_the_protocol_allows(
    client: Client, definitions_server: DefinitionsServer, status: int, reason: str, requests: int
) -> None:
    server = PostServer(definitions_server).say(status, f"no {TOKEN} here")
    with pytest.raises(RemoteEvaluationError) as caught:
        client(host=server.url).evaluate_flag(None, "on", distinct_id="u1")
    assert caught.value.reason == reason
    assert TOKEN not in str(caught.value)
    assert len(server.bodies) == requests
    assert len(set(server.bodies)) == 1


class PostServer:
    """Answers POST with what the server of definitions would say."""

    def __init__(self, server: DefinitionsServer) -> None:
        self._server = server
        self.bodies: list[bytes] = []
        self.url = server.url
        handler: Any = server._server.RequestHandlerClass
        owner = self

        def post(request: Any) -> None:
            owner.bodies.append(request.rfile.read(int(request.headers["Content-Length"])))
            request.do_GET()

        handler.do_POST = post

    def say(self, status: int | None, body: str = "", **more: Any) -> PostServer:
        self._server.say(status, body, **more)
        return self


def test_a_second_try_may_succeed(client: Client, definitions_server: DefinitionsServer) -> None:
    server = PostServer(definitions_server).say(502)
    definitions_server.then(200, '{"featureFlags": {"on": "blue"}}')
    assert client(host=server.url).evaluate_flag(None, "on", distinct_id="u1") == "blue"


def test_retries_are_a_setting(
    client: Client, definitions_server: DefinitionsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOGBOX_FLAGS_RETRIES", "0")
    server = PostServer(definitions_server).say(502)
    with pytest.raises(RemoteEvaluationError):
        client(host=server.url).evaluate_flag(None, "on", distinct_id="u1")
    assert len(server.bodies) == 1


def test_a_time_out(client: Client, definitions_server: DefinitionsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOGBOX_FLAGS_TIMEOUT_SECONDS", "0.2")
    server = PostServer(definitions_server).say(200, "{}", delay=1)
    began = time.monotonic()
    with pytest.raises(RemoteEvaluationError) as caught:
        client(host=server.url).evaluate_flag(None, "on", distinct_id="u1")
    assert caught.value.reason == "timeout"
    assert time.monotonic() - began < 1
    assert len(server.bodies) == 2


def test_nobody_listens(client: Client) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(RemoteEvaluationError) as caught:
        client(host=url).evaluate_all_flags(None, distinct_id="u1")
    assert caught.value.reason == "connection_error"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"flags": {}, "quotaLimited": ["feature_flags"]}', "quota_limited"),
        ('{"flags": {}, "errorsWhileComputingFlags": true}', "errors_while_computing_flags"),
        ('{"flags": {"on": {"enabled": false, "failed": true}}}', "evaluation_failed"),
        ('{"flags": {"on": {"value": []}}}', "unknown_error"),
        ("<html>", "unknown_error"),
    ],
)
def test_no_value_is_never_off(client: Client, definitions_server: DefinitionsServer, body: str, reason: str) -> None:
    server = PostServer(definitions_server).say(200, body)
    posthog = client(host=server.url)
    for read in (posthog.evaluate_flag, posthog.evaluate_flag_payload):
        with pytest.raises(RemoteEvaluationError) as caught:
            read(None, "on", distinct_id="u1", default=False)
        assert caught.value.reason == reason
    assert len(server.bodies) == 2


def test_a_partial_answer_is_kept_and_marked(client: Client, definitions_server: DefinitionsServer) -> None:
    body = '{"flags": {"on": {"enabled": true}, "x": {"failed": true}}, "errorsWhileComputingFlags": true}'
    server = PostServer(definitions_server).say(200, body)
    found = client(host=server.url).evaluate_all_flags(None, distinct_id="u1")
    assert (found.flags, found.complete) == ({"on": True}, False)
    assert client(host=server.url).evaluate_flag(None, "on", distinct_id="u1") is True


# The fallback of local reads


def test_what_is_inconclusive_here_is_asked_there(client: Client, emulator: Emulator, database: TestDatabase) -> None:
    emulator.set_flags(definitions(flag("on", active=False), flag("pro"), flag("hidden")))
    store(database, TOKEN, DOCUMENT)
    posthog = client(host=emulator.url)
    assert posthog.get_feature_flag(None, "on", distinct_id="u1", fallback="remote") is True
    assert asked(emulator) == []
    assert posthog.get_feature_flag(None, "pro", distinct_id="u1") is None
    assert posthog.get_feature_flag(None, "pro", distinct_id="u1", fallback="remote") is True
    assert posthog.is_feature_enabled(None, "hidden", distinct_id="u1", fallback="remote") is True
    assert posthog.get_feature_flag(None, "nowhere", distinct_id="u1", fallback="remote", default=3) == 3
    requests = len(asked(emulator))
    assert requests == 3
    found = posthog.get_all_flags_and_payloads(None, distinct_id="u1", fallback="remote")
    assert found.flags == {"on": True, "blue": "blue", "pro": True, "server": True, "client": True, "big": False}
    assert not found.complete
    assert len(asked(emulator)) == requests + 1


def test_the_fallback_needs_no_definitions(posthog: PostHog) -> None:
    assert posthog.get_feature_flag(None, "on", distinct_id="u1") is None
    assert posthog.get_feature_flag(None, "on", distinct_id="u1", fallback="remote") is True
    assert posthog.get_feature_flag_payload(None, "on", distinct_id="u1", fallback="remote") == {"limit": 5}
    assert posthog.get_all_flags(None, distinct_id="u1", fallback="remote")["blue"] == "blue"
    result = posthog.get_feature_flag_result(None, "blue", distinct_id="u1", fallback="remote")
    assert isinstance(result, FlagResult)
    assert (result.variant, result.enabled, result.conclusive, result.payload) == ("blue", True, True, None)
    assert (result.reason, result.condition_index, type(result.reason)) == (Reason.CONDITION_MATCH, 0, str)
    assert (result.description, result.has_experiment) == ("Matched condition set 1", None)
    assert isinstance(result.id, int)
    assert isinstance(result.version, int)


def test_p8_a_fallback_that_fails_gives_the_default(
    client: Client, emulator: Emulator, database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    store(database, TOKEN, DOCUMENT)
    emulator.fault(path="/flags", status=500)
    posthog = client(host=emulator.url)
    reads: list[Callable[..., object]] = [posthog.get_feature_flag, posthog.is_feature_enabled]
    with caplog.at_level(logging.WARNING, "hogbox"):
        for read in reads:
            assert read(None, "pro", distinct_id="u1", fallback="remote", default=True) is True
        assert "api_error_500" in caplog.text
        assert posthog.get_all_flags(None, distinct_id="u1", fallback="remote")["on"] is True


# What remote reads leave behind


def test_a_remote_read_is_an_exposure_only_where_it_is_asked_to(
    posthog: PostHog, database: TestDatabase, emulator: Emulator
) -> None:
    posthog.evaluate_flag(None, "on", distinct_id="u1")
    posthog.evaluate_flag_payload(None, "on", distinct_id="u1")
    posthog.evaluate_all_flags(None, distinct_id="u1")
    assert database.events() == []
    for _ in range(2):
        posthog.evaluate_flag(None, "on", distinct_id="u1", track_exposures=True)
    (event,) = database.events()
    properties = event["properties"]
    assert event["event"] == "$feature_flag_called"
    assert properties["$feature_flag_response"] is True
    assert properties["locally_evaluated"] is False
    assert properties["$feature_flag_reason"] == "Matched condition set 1"
    assert (properties["$feature_flag_id"], properties["$feature_flag_version"]) == (71, 4)
    assert properties["$feature_flag_payload"] == {"limit": 5}
    assert len(properties["$feature_flag_request_id"]) == 36
    assert properties["$feature_flag_evaluated_at"] > 1_700_000_000_000


def test_a_missing_flag_is_told(posthog: PostHog, database: TestDatabase) -> None:
    posthog.evaluate_flag(None, "unknown", distinct_id="u1", track_exposures=True)
    (event,) = database.events()
    assert event["properties"]["$feature_flag_error"] == "flag_missing"
    assert event["properties"]["$feature_flag_response"] is None


def test_a_failed_read_says_why(client: Client, database: TestDatabase, emulator: Emulator) -> None:
    emulator.fault(path="/flags", status=500)
    for tracked in (False, True, True):
        with pytest.raises(RemoteEvaluationError):
            client(host=emulator.url, track_exposures=tracked).evaluate_flag(None, "on", distinct_id="u1")
    (event,) = database.events()
    properties = event["properties"]
    assert (properties["$feature_flag_error"], properties["$feature_flag_response"]) == ("api_error_500", None)
    assert database.count("posthog_exposures") == 1
