"""The network: HTTP clients for the requests of a worker, of a refresh, and for flags that PostHog evaluates."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self
from weakref import WeakKeyDictionary

import httpx

from hogbox import __version__
from hogbox._wire.backoff import parse_retry_after
from hogbox._wire.batch import Request, batch_request
from hogbox._wire.definitions import DefinitionsRequest, Reply
from hogbox._wire.flags import CONNECTION_ERROR, TIMEOUT, FlagsRequest
from hogbox._wire.host import shorten
from hogbox._wire.verdict import Answer, judge, no_answer
from hogbox.telemetry import RequestDone, Telemetry

USER_AGENT: Final = f"hogbox/{__version__}"

DEFINITIONS_TIMEOUT: Final = 10.0
"""Seconds to wait for definitions."""


class Transport:
    """Sends capture requests to one host and judges the answers; never raises for what the network does."""

    def __init__(self, host: str, timeout: float, connections: int, telemetry: Telemetry) -> None:
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._host = host
        self._client = httpx.Client(timeout=timeout, limits=limits)
        self._telemetry = telemetry

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def send_batch(self, token: str, payloads: list[str], *, historical: bool = False) -> Answer:
        """Send these encoded events, in this order, and judge the answer. `historical`: they are a backfill."""
        now = datetime.now(UTC)
        request = batch_request(token, payloads, sent_at=now.isoformat(), user_agent=USER_AGENT, historical=historical)
        began = time.perf_counter()
        answer = self._post(request)
        seconds = time.perf_counter() - began
        self._telemetry.emit(
            RequestDone(
                shorten(token),
                answer.status,
                answer.verdict.value,
                answer.reason,
                seconds,
                len(payloads),
                len(request.body),
            )
        )
        return answer

    def _post(self, request: Request) -> Answer:
        try:
            response = self._client.post(f"{self._host}{request.path}", content=request.body, headers=request.headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return no_answer(_described(error))
        retry_after = parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
        where = f" (redirects to {response.headers['Location']})" if response.has_redirect_location else ""
        return judge(response.status_code, response.text + where, retry_after, response.headers.get("Content-Type"))


class NoReply(Exception):
    """No answer came; the message says why."""


def reach(host: str, timeout: float) -> int:
    """The status of whatever the host answers to a plain request for its root. Raises NoReply where nothing comes."""
    try:
        return httpx.get(f"{host}/", timeout=timeout, headers={"User-Agent": USER_AGENT}).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoReply(_described(error)) from error


class DefinitionsTransport:
    """Asks one host for definitions. Never follows a redirect: the key is for this host only."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._client = httpx.Client(timeout=DEFINITIONS_TIMEOUT, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, request: DefinitionsRequest) -> Reply:
        """The whole answer. Raises NoReply where none came in time."""
        try:
            url = httpx.URL(self._host + request.path)
            # The query holds the project's token: as an extension it is sent, but kept out of the HTTP library's log.
            target = {"target": url.raw_path + b"?" + request.query.encode()}
            with self._client.stream("GET", url, headers=request.headers, extensions=target) as response:
                body = b"".join(_in_time(response, time.monotonic() + DEFINITIONS_TIMEOUT))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoReply(_described(error)) from error
        location = response.headers["Location"] if response.has_redirect_location else None
        return Reply(response.status_code, body, response.headers.get("ETag"), location)


class Unanswered(Exception):
    """No answer came: `reason` is the code of the wire protocol, the message says more."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class FlagsTransport:
    """Asks one host for flags. Its connections stay open, and are not shared with the children of a fork."""

    def __init__(self, host: str, timeout: float) -> None:
        self._host = host
        self._timeout = timeout
        self._client: httpx.Client | None = None
        self._process = os.getpid()

    def post(self, request: FlagsRequest) -> tuple[int, bytes]:
        """The status and the whole body of the answer. Raises Unanswered where none came in time."""
        ends = time.monotonic() + self._timeout
        url = self._host + request.path
        with (
            _answered(self._timeout),
            self._connected().stream("POST", url, content=request.body, headers=request.headers) as response,
        ):
            return response.status_code, b"".join(_in_time(response, ends))

    def close(self) -> None:
        """Close the connections; the next request opens others."""
        client, self._client = self._client, None
        if client is not None and self._process == os.getpid():
            client.close()

    def _connected(self) -> httpx.Client:
        client = self._client
        if client is None or self._process != os.getpid():
            self._process = os.getpid()
            client = self._client = httpx.Client(timeout=self._timeout, follow_redirects=False)
        return client


class AsyncFlagsTransport:
    """The same, awaited. Each event loop has connections of its own, which end with the loop or with `close`."""

    def __init__(self, host: str, timeout: float) -> None:
        self._host = host
        self._timeout = timeout
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()

    async def post(self, request: FlagsRequest) -> tuple[int, bytes]:
        """The status and the whole body of the answer. Raises Unanswered where none came in time."""
        url = self._host + request.path
        try:
            with _answered(self._timeout):
                async with asyncio.timeout(self._timeout):
                    response = await self._connected().post(url, content=request.body, headers=request.headers)
        except TimeoutError as error:
            raise Unanswered(TIMEOUT, f"no answer within {self._timeout:g} s") from error
        return response.status_code, response.content

    async def close(self) -> None:
        """Close the connections of the running event loop; the next request opens others."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _connected(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = httpx.AsyncClient(timeout=self._timeout, follow_redirects=False)
        return client


@contextmanager
def _answered(timeout: float) -> Iterator[None]:
    """Raise Unanswered in place of the HTTP library's errors."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise Unanswered(TIMEOUT, f"no answer within {timeout:g} s ({_described(error)})") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unanswered(CONNECTION_ERROR, _described(error)) from error


def _in_time(response: httpx.Response, ends: float) -> Iterator[bytes]:
    """The body, piece by piece; the HTTP library's time-out is for each piece, this one is for all of them."""
    for piece in response.iter_bytes():
        yield piece
        if time.monotonic() >= ends:
            raise httpx.ReadTimeout("the body does not come to an end")


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")
