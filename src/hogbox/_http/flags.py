"""Flags requests, which have PostHog evaluate one person's flags, or return one flag's payload."""

from __future__ import annotations

import asyncio
import os
from typing import Final
from weakref import WeakKeyDictionary

from hogbox._http.client import AsyncHttpClient, HttpClient
from hogbox._wire.flags import FlagsRequest

_MAX_BYTES: Final = 16 * 1024 * 1024
"""The maximum size of a response."""


class FlagsTransport:
    """Requests flags from one host. Its connections stay open, and are not shared with child processes.

    Never follows a redirect: a key is for this host only.
    """

    def __init__(self, host: str, timeout: float) -> None:
        self._host = host
        self._timeout = timeout
        self._client = HttpClient(host)
        self._process = os.getpid()

    def send(self, request: FlagsRequest, within: float = float("inf")) -> tuple[int, bytes]:
        """The status and the complete body of the response. Raises NoReply if there is none in time.

        The time is at most `within` seconds.
        """
        seconds = min(self._timeout, within)
        response = self._connected().exchange(
            request.method, request.path, request.headers, request.body or None, seconds=seconds, limit=_MAX_BYTES
        )
        return response.status, response.whole_body()

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

    async def send(self, request: FlagsRequest) -> tuple[int, bytes]:
        """The status and the complete body of the response. Raises NoReply if there is none in time."""
        response = await self._connected().exchange(
            request.method, request.path, request.headers, request.body or None, seconds=self._timeout, limit=_MAX_BYTES
        )
        return response.status, response.whole_body()

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
