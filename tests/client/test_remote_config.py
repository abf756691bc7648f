"""Remote config: the payload of a flag from the stored definitions where they have it, else from PostHog."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from hogbox import PostHog
from hogbox.emulator import Emulator
from hogbox.errors import RemoteEvaluationError, UnsupportedHandle, UsageError
from hogbox.testing import FlagOverrides
from tests.client.conftest import TOKEN, Client
from tests.emulator.flag_case import definitions, flag
from tests.fixtures.database import TestDatabase
from tests.fixtures.port import free_port
from tests.fixtures.stored import store

SECRET, PERSONAL = "phs_a_secret_key", "phx_a_personal_key"
MARKER = '"********* (encrypted)"'


def with_payload(key: str, payload: Any, **fields: Any) -> dict[str, Any]:
    return flag(key, filters={"payloads": {"true": payload}}, **fields)


FLAGS = [
    with_payload("limits", '{"limit": 5}'),
    with_payload("text", "plain"),
    with_payload("quoted", '"quoted"'),
    with_payload("null", "null"),
    with_payload("off", "[1]", active=False),
    with_payload("b ?.é", "7"),
    with_payload("..", "8"),
    with_payload("empty", ""),
    with_payload("hidden", '{"key": "s"}', has_encrypted_payloads=True),
    with_payload("ordinary", '"x"', is_remote_configuration=False),
]
PAYLOADS = {
    "limits": {"limit": 5},
    "text": "plain",
    "quoted": "quoted",
    "null": None,
    "off": [1],
    "b ?.é": 7,
    "..": 8,
}


@pytest.fixture
def posthog(client: Client, emulator: Emulator) -> PostHog:
    emulator.set_flags(definitions(*FLAGS))
    return client(host=emulator.url, personal_api_key=SECRET)


def requests(emulator: Emulator) -> int:
    return len(emulator.requests())


def raised(posthog: PostHog, key: str) -> RemoteEvaluationError:
    with pytest.raises(RemoteEvaluationError) as caught:
        posthog.get_remote_config_payload(None, key)
    return caught.value


@pytest.mark.parametrize(("key", "payload"), PAYLOADS.items())
def test_posthog_is_asked_for_what_is_not_stored(posthog: PostHog, emulator: Emulator, key: str, payload: Any) -> None:
    assert posthog.get_remote_config_payload(None, key) == payload
    assert requests(emulator) == 1


@pytest.mark.parametrize(("key", "payload"), PAYLOADS.items())
def test_what_is_stored_is_returned_without_a_request_or_a_key(
    client: Client, database: TestDatabase, emulator: Emulator, key: str, payload: Any
) -> None:
    store(database, TOKEN, definitions(*FLAGS))
    assert client(host=emulator.url).get_remote_config_payload(None, key) == payload
    assert requests(emulator) == 0


def test_without_a_payload_it_is_the_default(posthog: PostHog) -> None:
    assert posthog.get_remote_config_payload(None, "empty") is None
    assert posthog.get_remote_config_payload(None, "empty", default={"limit": 1}) == {"limit": 1}


def test_an_encrypted_payload_is_decrypted_for_a_personal_key_only(
    posthog: PostHog, client: Client, emulator: Emulator
) -> None:
    assert raised(posthog, "hidden").reason == "encrypted"
    personal = client(host=emulator.url, personal_api_key=PERSONAL)
    assert personal.get_remote_config_payload(None, "hidden") == {"key": "s"}


@pytest.mark.parametrize("payload", [MARKER, MARKER.strip('"')])
def test_the_marker_of_an_encrypted_payload_is_never_returned(
    client: Client, database: TestDatabase, emulator: Emulator, payload: str
) -> None:
    store(database, TOKEN, definitions(with_payload("hidden", payload)))
    emulator.set_flags(definitions(with_payload("hidden", payload)))
    posthog = client(host=emulator.url, personal_api_key=SECRET)
    assert raised(posthog, "hidden").reason == "encrypted"
    assert posthog.get_feature_flag_payload(None, "hidden", distinct_id="u", default=1) == 1
    assert posthog.get_feature_flag_payload(None, "hidden", match_value=True, default=1) == 1
    assert posthog.evaluate_flag_payload(None, "hidden", distinct_id="u", default=1) == 1


@pytest.mark.parametrize("key", ["unknown", "ordinary"])
def test_a_flag_that_posthog_does_not_serve(posthog: PostHog, key: str) -> None:
    error = raised(posthog, key)
    assert (error.reason, "is not a remote config flag" in str(error)) == ("api_error_404", True)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (401, "does not accept the key"),
        (403, "another project"),
        (429, "too many"),
        (500, "decrypt"),
        (302, ""),
        (418, ""),
    ],
)
def test_a_refusal_says_what_it_means_and_shows_no_key(
    posthog: PostHog, emulator: Emulator, status: int, meaning: str
) -> None:
    emulator.fault(
        status=status, body=f"no {SECRET} no", path="/api/projects/@current/feature_flags/limits/remote_config"
    )
    error = raised(posthog, "limits")
    assert error.reason == f"api_error_{status}"
    assert meaning in str(error)
    assert SECRET not in str(error)


def test_no_answer_is_an_error_with_its_reason(client: Client) -> None:
    posthog = client(host=f"http://127.0.0.1:{free_port()}", personal_api_key=SECRET)
    assert raised(posthog, "limits").reason == "connection_error"


def test_without_a_key_posthog_is_not_asked(client: Client, emulator: Emulator) -> None:
    error = raised(client(host=emulator.url), "limits")
    assert (error.reason, requests(emulator)) == ("no_key", 0)
    assert "POSTHOG_PERSONAL_API_KEY" in str(error)


def test_a_disabled_client_asks_for_nothing(client: Client, emulator: Emulator) -> None:
    posthog = client(host=emulator.url, personal_api_key=SECRET, disabled=True)
    assert posthog.get_remote_config_payload(None, "limits", default=1) == 1
    assert requests(emulator) == 0


def test_p8_mistakes_are_refused(posthog: PostHog) -> None:
    with pytest.raises(UsageError, match="a flag's key is text"):
        posthog.get_remote_config_payload(None, 7)  # type: ignore[arg-type]
    with pytest.raises(UnsupportedHandle):
        posthog.get_remote_config_payload("no handle", "limits")


def test_the_definitions_of_the_callers_transaction_count(
    client: Client, database: TestDatabase, emulator: Emulator
) -> None:
    store(database, TOKEN, definitions(*FLAGS))
    posthog = PostHog(database.url, project_token="phc_other", host=emulator.url)
    with pytest.raises(RemoteEvaluationError), database.engine.begin() as connection:
        posthog.get_remote_config_payload(connection, "limits")
    posthog.shutdown()


def test_a_test_may_set_the_payload(posthog: PostHog, posthog_flags: FlagOverrides, emulator: Emulator) -> None:
    posthog_flags.set("limits", True, payload={"limit": 1})
    assert posthog.get_remote_config_payload(None, "limits") == {"limit": 1}
    assert requests(emulator) == 0


def test_requests_are_told_to_handlers(posthog: PostHog, caplog: pytest.LogCaptureFixture) -> None:
    told: list[object] = []
    posthog.telemetry.attach(told.append)
    posthog.get_remote_config_payload(None, "limits")
    raised(posthog, "unknown")
    assert [getattr(one, "outcome", None) or getattr(one, "reason", None) for one in told] == [
        "answered",
        "api_error_404",
    ]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
