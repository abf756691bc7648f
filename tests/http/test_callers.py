"""What a server does that never comes to an end is bounded for every caller; no host's password is shown (P9)."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest

from hogbox import AsyncPostHog, PostHog
from hogbox._wire.host import normalize_host, without_password
from hogbox.errors import ConfigurationError, RemoteEvaluationError
from hogbox.settings import DeliverySettings
from tests.http.raw_server import raw_server
from tests.http.test_bounds import drip, once

DRIPPING = drip(b'Content-Type: application/json\r\nContent-Length: 9999\r\n\r\n{"flags":')
SLACK = 4.0
"""Seconds for the machine; the servers here would go on for ever."""


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'app.db'}"


@pytest.fixture(autouse=True)
def short_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOGBOX_FLAGS_TIMEOUT_SECONDS", "0.5")
    monkeypatch.setenv("HOGBOX_FLAGS_RETRIES", "0")


def test_p8_a_remote_read_ends_at_its_time_out(tmp_path: Path) -> None:
    with raw_server(DRIPPING) as server:
        posthog = PostHog(url(tmp_path), project_token="phc_t", host=server.url)
        began = time.monotonic()
        with pytest.raises(RemoteEvaluationError) as raised:
            posthog.evaluate_flag(None, "key", distinct_id="ada")
        assert raised.value.reason == "timeout"
        assert time.monotonic() - began < SLACK


def test_p8_an_awaited_remote_read_ends_at_its_time_out(tmp_path: Path) -> None:
    async def read(host: str) -> None:
        posthog = AsyncPostHog(url(tmp_path), project_token="phc_t", host=host)
        try:
            await posthog.evaluate_flag(None, "key", distinct_id="ada")
        finally:
            await posthog.shutdown()

    with raw_server(DRIPPING) as server:
        began = time.monotonic()
        with pytest.raises(RemoteEvaluationError) as raised:
            asyncio.run(read(server.url))
        assert raised.value.reason == "timeout"
        assert time.monotonic() - began < SLACK


def test_p8_deliver_ends_at_its_time_out_though_a_request_is_under_way(tmp_path: Path) -> None:
    with raw_server(DRIPPING) as server:
        posthog = PostHog(url(tmp_path), project_token="phc_t", host=server.url)
        posthog.create_tables()
        posthog.capture(None, "a", distinct_id="ada")
        began = time.monotonic()
        delivery = posthog.deliver(timeout=1.0)
        assert time.monotonic() - began < 1.0 + SLACK
        assert (delivery.delivered, delivery.waiting) == (0, 1)


def test_p8_a_worker_that_is_stopped_ends_within_the_time_out_of_a_request(tmp_path: Path) -> None:
    settings = DeliverySettings(request_timeout_seconds=1.0)
    with raw_server(DRIPPING) as server:
        posthog = PostHog(url(tmp_path), project_token="phc_t", host=server.url, delivery=settings)
        posthog.create_tables()
        posthog.start()
        posthog.capture(None, "a", distinct_id="ada")
        for _ in range(200):
            if server.requests:
                break
            time.sleep(0.02)
        began = time.monotonic()
        posthog.shutdown()
        assert time.monotonic() - began < 1.0 + SLACK


def test_p9_the_password_of_a_host_is_neither_logged_nor_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    moved = b"HTTP/1.1 302 Found\r\nLocation: /batch/\r\nContent-Length: 0\r\n\r\n"
    with raw_server(once(moved)) as server:
        host = server.url.replace("http://", "http://proxy:Pa55word@")
        posthog = PostHog(url(tmp_path), project_token="phc_t", host=host)
        posthog.create_tables()
        posthog.capture(None, "a", distinct_id="ada")
        posthog.deliver(timeout=1.0)
        assert b"asic cHJveHk6UGE1NXdvcmQ=" in server.requests[0]
    assert "/batch/" in caplog.text
    told = caplog.text + repr(posthog) + "".join(str(vars(record)) for record in caplog.records)
    assert "Pa55word" not in told


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://user:secret@ph.example/path", "https://ph.example/path"),
        ("https://user:sec@ret@ph.example", "https://ph.example"),
        ("https://ph.example/a@b", "https://ph.example/a@b"),
        ("https://ph.example:8000/a@b", "https://ph.example:8000/a@b"),
        ("https://[::1]/a@b", "https://[::1]/a@b"),
        ("https://user:sec/ret@ph.example/path", "https://ph.example/path"),
        ("user:secret@ph.example", "ph.example"),
        ("https://ph.example/path?key=secret", "https://ph.example/path?…"),
        ("https://user:what?secret@ph.example", "https://ph.example"),
    ],
)
def test_p9_an_address_is_shown_without_user_and_password(address: str, shown: str) -> None:
    assert without_password(address) == shown


def test_p9_an_address_that_is_refused_is_repeated_without_its_password() -> None:
    with pytest.raises(ConfigurationError) as raised:
        normalize_host("ftp://user:secret@ph.example")
    assert "secret" not in str(raised.value)
