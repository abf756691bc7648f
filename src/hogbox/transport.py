"""The network: HTTP clients for the requests of a worker, of a refresh, and for flags that PostHog evaluates."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self
from weakref import WeakKeyDictionary

from hogbox import __version__
from hogbox._http.client import AsyncHttpClient, HttpClient
from hogbox._http.response import NoReply, Response, TimedOut
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

CAPTURE_BYTES: Final = 1024 * 1024
"""Of an answer to a capture request, at most: a result for each of a thousand events fits."""

DEFINITIONS_BYTES: Final = 64 * 1024 * 1024
"""Of definitions, at most: a project with ten thousand flags has about 10 MB."""

FLAGS_BYTES: Final = 16 * 1024 * 1024
"""Of one person's flags, at most."""


_SHORTEST: Final = 0.1
"""Seconds that a request has at least, which a sender began just before its time was over."""


class Transport:
    """Sends capture requests to one host and judges the answers; never raises for what the network does.

    A request may take `timeout` seconds, and none outlasts `ends`, a moment on the monotonic clock.
    """

    def __init__(
        self, host: str, timeout: float, connections: int, telemetry: Telemetry, *, ends: float = float("inf")
    ) -> None:
        self._timeout = timeout
        self._ends = ends
        self._client = HttpClient(host, connections=connections)
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
        seconds = min(self._timeout, max(_SHORTEST, self._ends - time.monotonic()))
        try:
            response = self._client.exchange(
                "POST", request.path, request.headers, request.body, seconds=seconds, limit=CAPTURE_BYTES
            )
        except NoReply as error:
            return no_answer(str(error))
        retry_after = parse_retry_after(response.headers.get("retry-after"), datetime.now(UTC))
        where = f" (redirects to {response.location})" if response.location else ""
        return judge(response.status, response.text() + where, retry_after, response.headers.get("content-type"))


def reach(host: str, timeout: float) -> int:
    """The status of whatever the host answers to a plain request for its root. Raises NoReply where nothing comes."""
    client = HttpClient(host, connections=1)
    try:
        # The status alone is wanted, so the body may be cut.
        return client.exchange("GET", "/", {"User-Agent": USER_AGENT}, seconds=timeout, limit=1024).status
    finally:
        client.close()


class DefinitionsTransport:
    """Asks one host for definitions. Never follows a redirect: the key is for this host only."""

    def __init__(self, host: str) -> None:
        self._client = HttpClient(host, connections=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, request: DefinitionsRequest) -> Reply:
        """The whole answer. Raises NoReply where none came in time, or one that is too long or can't be decoded."""
        path = f"{request.path}?{request.query}"
        response = self._client.exchange(
            "GET", path, request.headers, seconds=DEFINITIONS_TIMEOUT, limit=DEFINITIONS_BYTES
        )
        body = _whole(response, DEFINITIONS_BYTES)
        return Reply(response.status, body, response.headers.get("etag"), response.location)


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
        self._client = HttpClient(host)
        self._process = os.getpid()

    def post(self, request: FlagsRequest) -> tuple[int, bytes]:
        """The status and the whole body of the answer. Raises Unanswered where none came in time."""
        try:
            response = self._connected().exchange(
                "POST", request.path, request.headers, request.body, seconds=self._timeout, limit=FLAGS_BYTES
            )
            return response.status, _whole(response, FLAGS_BYTES)
        except NoReply as error:
            raise _unanswered(error) from error

    def close(self) -> None:
        """Close the connections; the next request opens others."""
        if self._process == os.getpid():
            self._client.close()

    def _connected(self) -> HttpClient:
        if self._process != os.getpid():
            # The parent's sockets are left to it: closing them here would end its TLS sessions.
            self._process, self._client = os.getpid(), HttpClient(self._host)
        return self._client


class AsyncFlagsTransport:
    """The same, awaited. Each event loop has connections of its own, which end with the loop or with `close`."""

    def __init__(self, host: str, timeout: float) -> None:
        self._host = host
        self._timeout = timeout
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncHttpClient] = WeakKeyDictionary()

    async def post(self, request: FlagsRequest) -> tuple[int, bytes]:
        """The status and the whole body of the answer. Raises Unanswered where none came in time."""
        try:
            response = await self._connected().exchange(
                "POST", request.path, request.headers, request.body, seconds=self._timeout, limit=FLAGS_BYTES
            )
            return response.status, _whole(response, FLAGS_BYTES)
        except NoReply as error:
            raise _unanswered(error) from error

    async def close(self) -> None:
        """Close the connections of the running event loop; the next request opens others."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    def _connected(self) -> AsyncHttpClient:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = AsyncHttpClient(self._host)
        return client


def _whole(response: Response, limit: int) -> bytes:
    """The body. Raises NoReply where it is not all there."""
    if not response.whole:
        raise NoReply(
            f"HTTP {response.status}, and the body is longer than {limit >> 20} MB or can't be decoded "
            f"(Content-Encoding: {response.headers.get('content-encoding', 'none')})"
        )
    return response.body


def _unanswered(error: NoReply) -> Unanswered:
    return Unanswered(TIMEOUT if isinstance(error, TimedOut) else CONNECTION_ERROR, str(error))
