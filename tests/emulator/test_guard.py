"""Web pages of other sites can't use the emulator's control API."""

from __future__ import annotations

from http.client import HTTPConnection
from urllib.parse import urlsplit

import httpx2
import pytest

from hogbox.emulator import Emulator
from hogbox.emulator.setting import Limits


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


def test_control_api_reads_no_more_than_a_bounded_body_and_only_json() -> None:
    with Emulator(limits=Limits(wire=1000)) as emulator:
        url = f"{emulator.url}/_emulator/settings"
        for content, kind, status in (
            (b"{}", "application/json; charset=utf-8", 200),
            (b"{}", "text/plain", 415),
            (b" " * 1001, "application/json", 413),
        ):
            assert httpx2.patch(url, content=content, headers={"Content-Type": kind}).status_code == status
        assert httpx2.put(f"{emulator.url}/_emulator/flags", content=iter([b" " * 600] * 2)).status_code == 413
        assert httpx2.post(f"{emulator.url}/_emulator/reset").status_code == 200


def test_control_api_answers_to_the_names_that_are_allowed() -> None:
    with Emulator(allowed_hosts=["posthog.test"]) as emulator:
        assert reset(emulator, {"Host": "posthog.test:8010"}) == 200
        assert reset(emulator, {"Host": "other.test:8010"}) == 403
