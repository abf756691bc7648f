"""Remote config: the request, and what each response means (wire protocol 8)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox._wire.flag_record import UNKNOWN_ERROR
from hogbox._wire.flags import FlagsFailure
from hogbox._wire.key import Secret
from hogbox._wire.remote_config import RemoteConfig, read_remote_config, remote_config_request

SECRET = "phs_a_secret_key"


def path_of(key: str, token: str = "phc_x") -> str:
    return remote_config_request(token, key, Secret(SECRET), "hogbox/0.1.0").path


def test_the_request_has_the_key_in_a_header_that_is_not_shown() -> None:
    request = remote_config_request("phc_x", "limits", Secret(SECRET), "hogbox/0.1.0")
    assert (request.method, request.body) == ("GET", b"")
    assert request.path == "/api/projects/@current/feature_flags/limits/remote_config?token=phc_x"
    assert request.headers == {"Authorization": f"Bearer {SECRET}", "User-Agent": "hogbox/0.1.0"}
    assert SECRET not in repr(request)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("a/../b", "a%2F%2E%2E%2Fb"),
        ("..", "%2E%2E"),
        ("?token=x#", "%3Ftoken%3Dx%23"),
        ("é\ud800", "%C3%A9%3F"),
        ("", ""),
    ],
)
def test_a_key_is_one_segment_of_the_path(key: str, name: str) -> None:
    assert path_of(key) == f"/api/projects/@current/feature_flags/{name}/remote_config?token=phc_x"


@given(st.text(), st.text())
def test_the_path_is_printable_ascii(key: str, token: str) -> None:
    key, token = (text.encode("utf-8", "replace").decode() for text in (key, token))
    assert all("!" <= character <= "~" for character in path_of(key, token))


@pytest.mark.parametrize(
    ("body", "payload"),
    [(b"", None), (b" \n", None), (b"null", None), (b'"{}"', "{}"), (b"\xef\xbb\xbf[1]", [1]), (b'{"a": 1}', {"a": 1})],
)
def test_a_payload_is_a_json_value_or_nothing(body: bytes, payload: Any) -> None:
    assert read_remote_config(200, body) == RemoteConfig(payload)


@pytest.mark.parametrize("body", [b"<html>", b"NaN", b"\xff", b"[" * 200_000, b"1" * 10_000, b'"half'])
def test_what_is_no_json_is_a_failure(body: bytes) -> None:
    found = read_remote_config(200, body)
    assert isinstance(found, FlagsFailure)
    assert found.reason == UNKNOWN_ERROR
    assert len(found.detail) < 500


@given(st.integers(100, 999), st.binary(max_size=200))
def test_p8_no_response_raises(status: int, body: bytes) -> None:
    found = read_remote_config(status, body + SECRET.encode(), hide=(SECRET,))
    assert isinstance(found, FlagsFailure)
    assert SECRET not in found.detail
    assert status == 200 or found.reason == f"api_error_{status}"
