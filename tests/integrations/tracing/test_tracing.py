"""Tracing headers on outgoing requests, with the real clients against a server."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx
import httpx2
import pytest
import requests

from hogbox.context import new_context
from hogbox.emulator import Emulator
from hogbox.errors import ConfigurationError
from hogbox.integrations.tracing import TracingHeaders

PERSON, SESSION = "x-posthog-distinct-id", "x-posthog-session-id"

Get = Callable[[TracingHeaders, str, dict[str, str]], int]


def with_httpx(tracing: TracingHeaders, url: str, headers: dict[str, str], library: Any = httpx) -> int:
    with library.Client(event_hooks={"request": [tracing.add]}, follow_redirects=True, trust_env=False) as client:
        return int(client.get(url, headers=headers).status_code)


def with_httpx2(tracing: TracingHeaders, url: str, headers: dict[str, str]) -> int:
    return with_httpx(tracing, url, headers, httpx2)


def with_async_httpx(tracing: TracingHeaders, url: str, headers: dict[str, str], library: Any = httpx) -> int:
    async def get() -> int:
        hooks = {"request": [tracing.add_async]}
        async with library.AsyncClient(event_hooks=hooks, follow_redirects=True, trust_env=False) as client:
            return int((await client.get(url, headers=headers)).status_code)

    return asyncio.run(get())


def with_async_httpx2(tracing: TracingHeaders, url: str, headers: dict[str, str]) -> int:
    return with_async_httpx(tracing, url, headers, httpx2)


def with_requests(tracing: TracingHeaders, url: str, headers: dict[str, str]) -> int:
    with tracing.attach(requests.Session()) as session:
        session.trust_env = False
        return int(session.get(url, headers=headers, timeout=10).status_code)


def with_aiohttp(tracing: TracingHeaders, url: str, headers: dict[str, str]) -> int:
    async def get() -> int:
        async with (
            aiohttp.ClientSession(middlewares=[tracing.middleware]) as session,
            session.get(url, headers=headers) as answer,
        ):
            return answer.status

    return asyncio.run(get())


CLIENTS = (with_httpx, with_httpx2, with_async_httpx, with_async_httpx2, with_requests, with_aiohttp)


@pytest.fixture(params=CLIENTS, ids=[client.__name__ for client in CLIENTS])
def get(request: pytest.FixtureRequest) -> Get:
    client: Get = request.param
    return client


def received(emulator: Emulator) -> list[tuple[str | None, str | None]]:
    """The person and the session of each request."""
    return [(one.headers.get(PERSON), one.headers.get(SESSION)) for one in emulator.requests()]


def elsewhere(emulator: Emulator) -> str:
    """The same server by another name."""
    return emulator.url.replace("127.0.0.1", "localhost")


LISTED = TracingHeaders(["127.0.0.1"])


def test_a_listed_host_learns_who_it_is(get: Get, emulator: Emulator) -> None:
    with new_context(distinct_id="ada", session_id="s-1"):
        get(LISTED, emulator.url + "/x", {})
        with new_context(distinct_id="bob"):
            get(LISTED, emulator.url + "/x?y", {})
    assert received(emulator) == [("ada", "s-1"), ("bob", "s-1")]


def test_other_hosts_are_sent_what_they_were_sent_before(get: Get, emulator: Emulator) -> None:
    with new_context(distinct_id="ada", session_id="s-1"):
        get(LISTED, elsewhere(emulator), {})
        get(LISTED, elsewhere(emulator), {"X-PostHog-Distinct-Id": "own"})
        get(TracingHeaders(["0.0.1", "example.com"]), emulator.url, {})
    assert received(emulator) == [(None, None), ("own", None), (None, None)]


def test_headers_of_the_call_are_replaced(get: Get, emulator: Emulator) -> None:
    with new_context(distinct_id="ada"):
        get(LISTED, emulator.url, {"X-PostHog-Distinct-Id": "own", "x-posthog-session-id": "kept"})
    assert received(emulator) == [("ada", "kept")]


def test_without_a_context_nothing_is_added(get: Get, emulator: Emulator) -> None:
    get(LISTED, emulator.url, {})
    with new_context():
        get(LISTED, emulator.url, {})
    assert received(emulator) == [(None, None)] * 2


@pytest.mark.parametrize("away", [True, False], ids=["to another host", "from another host"])
def test_a_redirect_is_a_request_to_its_own_host(get: Get, emulator: Emulator, away: bool) -> None:
    first, second = (emulator.url, elsewhere(emulator)) if away else (elsewhere(emulator), emulator.url)
    emulator.fault(status=302, headers={"Location": second + "/there"}, path="/here")
    with new_context(distinct_id="ada", session_id="s-1"):
        get(LISTED, first + "/here", {})
    seen, nothing = ("ada", "s-1"), (None, None)
    assert received(emulator) == ([seen, nothing] if away else [nothing, seen])


def test_an_id_that_fails_to_be_found_or_sent_changes_nothing(get: Get, emulator: Emulator) -> None:
    def fail() -> str:
        raise RuntimeError("no database")

    with new_context(find_distinct_id=fail, session_id="s-1"):
        get(LISTED, emulator.url, {})
    with new_context(distinct_id="größe", session_id="s-1"):
        get(LISTED, emulator.url, {})
    with new_context(distinct_id="a\r\nX-Evil: 1", session_id=" s-1 "):
        get(LISTED, emulator.url, {})
    assert received(emulator) == [(None, None), (None, "s-1"), ("aX-Evil: 1", "s-1")]
    assert not [one for one in emulator.requests() if "x-evil" in one.headers]


@pytest.mark.parametrize("host", ["LOCALHOST", "localhost"])
def test_names_are_compared_without_case(get: Get, emulator: Emulator, host: str) -> None:
    with new_context(distinct_id="ada"):
        get(TracingHeaders([host]), elsewhere(emulator).replace("localhost", "LocalHost"), {})
    assert received(emulator) == [("ada", None)]


@pytest.mark.parametrize(
    "hosts",
    ["example.com", ["https://example.com"], ["example.com:80"], ["*.example.com"], [""], [" a"], [None], ["a/b"]],
)
def test_p8_hosts_that_are_no_names_are_refused(hosts: Any) -> None:
    with pytest.raises(ConfigurationError, match="host name"):
        TracingHeaders(hosts)


@pytest.mark.parametrize("host", ["bücher.example", "::1", "10.0.0.1", "a_b.internal", "example.com."])
def test_names_and_addresses_are_accepted(host: str) -> None:
    TracingHeaders([host])


def test_a_session_is_attached_once_and_remains_a_session(emulator: Emulator) -> None:
    session = LISTED.attach(requests.Session())
    adapters = dict(session.adapters)
    assert LISTED.attach(session).adapters == adapters
    assert session.get_adapter("https://x").max_retries.total == 0  # type: ignore[attr-defined]
    with new_context(distinct_id="ada"), session:
        response = session.post(emulator.url, data=b"body", timeout=10)
    assert response.request.body == b"body"
    assert copy.copy(session).adapters == adapters
    assert pickle.loads(pickle.dumps(adapters["https://"])).poolmanager is not None
