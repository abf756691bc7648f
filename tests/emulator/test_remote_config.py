"""Remote config over real HTTP (wire protocol 8): whose payload, in which form, and who gets it."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from hogbox.emulator import Emulator
from tests.emulator.flag_case import definitions, flag

PERSONAL = {"Authorization": "Bearer phx_personal"}
SECRET = {"Authorization": "Bearer phs_secret"}


def with_payload(key: str, payload: Any, **fields: Any) -> dict[str, Any]:
    return flag(key, filters={"payloads": {"true": payload, "blue": '"other"'}}, **fields)


FLAGS = definitions(
    with_payload("limits", '{"limit": 5}', id=81),
    with_payload("object", {"limit": 5}, id=82),
    with_payload("empty", "", id=83),
    flag("without", id=84),
    with_payload("hidden", '{"key": "s"}', id=85, has_encrypted_payloads=True),
    with_payload("gone", '"x"', id=86, deleted=True),
    with_payload("ordinary", '"x"', id=87, is_remote_configuration=False),
    with_payload("off", '"x"', id=88, active=False),
)


@pytest.fixture(autouse=True)
def flags(emulator: Emulator) -> None:
    emulator.set_flags(FLAGS)


def ask(client: httpx2.Client, key: str = "limits", project: str = "@current", **options: Any) -> httpx2.Response:
    path = f"/api/projects/{project}/feature_flags/{key}/remote_config"
    return client.get(path, **{"params": {"token": "phc_t"}, "headers": PERSONAL, **options})


@pytest.mark.parametrize("headers", [PERSONAL, SECRET])
@pytest.mark.parametrize(
    ("key", "payload"),
    [("limits", '{"limit": 5}'), ("81", '{"limit": 5}'), ("object", {"limit": 5}), ("off", '"x"')],
)
def test_the_payload_of_true_is_a_json_value(
    client: httpx2.Client, headers: dict[str, str], key: str, payload: object
) -> None:
    answer = ask(client, key, headers=headers)
    assert (answer.status_code, answer.json()) == (200, payload)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("key", ["empty", "without"])
def test_no_payload_is_an_empty_body(client: httpx2.Client, key: str) -> None:
    answer = ask(client, key)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"", "application/json")


def test_only_a_personal_key_gets_an_encrypted_payload(client: httpx2.Client) -> None:
    assert json.loads(ask(client, "hidden").json()) == {"key": "s"}
    assert json.loads(ask(client, "hidden", headers=SECRET).json()) == "********* (encrypted)"


@pytest.mark.parametrize("key", ["gone", "ordinary", "unknown", "99"])
def test_what_is_not_there_is_a_404(client: httpx2.Client, key: str) -> None:
    assert ask(client, key).status_code == 404


@pytest.mark.parametrize(
    ("project", "params", "status"),
    [
        ("@current", {}, 404),
        ("acme", {}, 404),
        ("12", {}, 200),
        ("acme", {"token": "phc_t"}, 200),
        ("12", {"token": "phc_other"}, 401),
    ],
)
def test_the_token_selects_the_project(
    emulator: Emulator, client: httpx2.Client, project: str, params: dict[str, str], status: int
) -> None:
    emulator.configure(known_tokens=["phc_t"])
    answer = ask(client, project=project, params=params)
    assert answer.status_code == status
    assert status != 401 or answer.content == b""


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({}, "not_authenticated"),
        ({"Authorization": "Basic x"}, "not_authenticated"),
        ({"Authorization": "Bearer phx_other"}, "authentication_failed"),
        ({"Authorization": "Bearer phs_other"}, "authentication_failed"),
    ],
)
def test_bad_credentials(emulator: Emulator, client: httpx2.Client, header: dict[str, str], code: str) -> None:
    emulator.configure(secret_keys=["phx_personal"])
    answer = ask(client, headers=header)
    assert (answer.status_code, answer.json()["code"]) == (401, code)


def test_personal_keys_are_limited_and_secret_keys_are_not(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.configure(remote_config_per_minute=2)
    assert [ask(client).status_code for _ in range(3)] == [200, 200, 429]
    assert ask(client, headers={"Authorization": "Bearer phx_second"}).status_code == 200
    assert {ask(client, headers=SECRET).status_code for _ in range(3)} == {200}


def test_other_methods(client: httpx2.Client) -> None:
    path = "/api/projects/@current/feature_flags/limits/remote_config"
    assert client.head(path).status_code == 200
    assert client.options(path).status_code == 204
    assert client.post(path).status_code == 405


def test_a_fault_has_the_words_of_remote_config(emulator: Emulator, client: httpx2.Client) -> None:
    emulator.fault(path="/api/projects", status=500)
    assert (ask(client).status_code, ask(client).json()["code"]) == (500, "remote_config_decrypt_failed")
    emulator.clear_faults()
    emulator.fault(path="/api/projects", status=403)
    assert ask(client).json()["code"] == "permission_denied"
