"""Web pages of other sites can't use the emulator's control API."""

from __future__ import annotations

from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from hogbox.emulator import Emulator


def reset(emulator: Emulator, headers: dict[str, str]) -> int:
    """The status of a reset; `HERE` in a header is the emulator's own host and port."""
    here = urlsplit(emulator.url).netloc
    connection = HTTPConnection(here, timeout=10)
    try:
        sent = {name: value.replace("HERE", here) for name, value in headers.items()}
        connection.request("POST", "/_emulator/reset", headers=sent)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "rebound.example:8010"},
        {"Host": "rebound.example", "Origin": "http://rebound.example"},
        {"Host": "["},
    ],
)
def test_control_api_refuses_pages_of_other_sites(emulator: Emulator, headers: dict[str, str]) -> None:
    assert reset(emulator, headers) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost:8010"},
        {"Host": "[::1]:8010"},
        {"Host": "172.17.0.2:8010"},
        {"Origin": "http://HERE", "Sec-Fetch-Site": "same-origin"},
    ],
)
def test_control_api_answers_tools_and_its_own_pages(emulator: Emulator, headers: dict[str, str]) -> None:
    assert reset(emulator, headers) == 200
