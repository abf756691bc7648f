"""Exchanges with one host: one request and one response, within a time and size limit.

Every failure of the network, a proxy or the environment raises NoReply. Connections are opened by the first exchange
and kept open for the next. Cookies are not stored, and redirects are not followed.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from hogbox._http.address import Address, Proxy, proxy_for
from hogbox._http.body import ACCEPTED, Body
from hogbox._http.response import NoReply, Response, TimedOut

if TYPE_CHECKING:
    from httpcore2 import AsyncConnectionPool, ConnectionPool

_KEPT_OPEN: Final = 5.0
"""Seconds to keep an idle connection open; shorter than the idle time-out of common proxies and load balancers."""

_ASYNC_CONNECTIONS: Final = 100

log = logging.getLogger("hogbox.http")

_LIBRARY: Final = "httpcore2"
"""Imported by the first exchange: a process that only captures events never needs it."""


class HttpClient:
    """Exchanges with one host, from any number of threads."""

    def __init__(self, host: str, *, connections: int = 10) -> None:
        self._host = host
        self._connections = connections
        self._opened: _Opened | None = None

    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        content: bytes | None = None,
        *,
        seconds: float,
        limit: int,
    ) -> Response:
        """The response to a request for a path under the host, within `seconds` and with at most `limit` bytes of body.

        Raises TimedOut if it did not arrive in time, NoReply for any other failure.
        """
        try:
            opened = self._opened or self._open()
            began = time.monotonic()
            with opened.deadline.within(seconds), opened.exchange(method, path, headers, content, seconds) as answer:
                body = Body(_header(answer.headers, b"content-encoding"), limit)
                for piece in answer.iter_stream():
                    if not body.feed(piece):
                        break
                return _noted(_response(answer, body), method, path, began)
        # Not a narrower class: a missing certificate file, a proxy's odd answer and a name that can't be encoded raise
        # errors of their own, and none of them may reach a caller who reads a flag or runs a worker.
        except Exception as error:
            raise _no_reply(error, seconds) from error

    def close(self) -> None:
        """Close the connections; the next exchange opens others."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.pool.close()

    def _open(self) -> _Opened:
        # Two threads may each open a pool here, and one of them is dropped. No lock: a fork could leave it locked.
        self._opened = opened = _Opened(Address.read(self._host), self._connections)
        return opened


class Transport:
    """Requests of one kind to one host. As a context manager it closes the connections at its end."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()


class _Opened:
    """The connections to a host, and their deadline."""

    def __init__(self, address: Address, connections: int) -> None:
        from hogbox._http.deadline import Deadline, DeadlineBackend

        self.address = address
        self.deadline = Deadline()
        options = _options(address, connections, DeadlineBackend(self.deadline))
        self.pool: ConnectionPool = _pool(proxy_for(address), options, "")

    def exchange(
        self, method: str, path: str, headers: Mapping[str, str], content: bytes | None, seconds: float
    ) -> Any:
        complete = _headers(headers, self.address.authorization)
        return self.pool.stream(
            method, _url(self.address, path), headers=complete, content=content, extensions=_waits(seconds)
        )


class AsyncHttpClient:
    """The same, awaited. Belongs to one event loop."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._pool: AsyncConnectionPool | None = None
        self._address: Address | None = None

    async def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        content: bytes | None = None,
        *,
        seconds: float,
        limit: int,
    ) -> Response:
        """The same as `HttpClient.exchange`."""
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(method, path, headers, content, seconds, limit)
        except Exception as error:
            raise _no_reply(error, seconds) from error

    async def close(self) -> None:
        """Close the connections; the next exchange opens others."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.aclose()

    async def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], content: bytes | None, seconds: float, limit: int
    ) -> Response:
        address = self._address or Address.read(self._host)
        if self._pool is None:
            from hogbox._http.async_backend import ClosingBackend

            options = _options(address, _ASYNC_CONNECTIONS, ClosingBackend())
            self._address, self._pool = address, _pool(proxy_for(address), options, "Async")
        complete = _headers(headers, address.authorization)
        request = self._pool.stream(
            method, _url(address, path), headers=complete, content=content, extensions=_waits(seconds)
        )
        began = time.monotonic()
        async with request as answer:
            body = Body(_header(answer.headers, b"content-encoding"), limit)
            async for piece in answer.aiter_stream():
                if not body.feed(piece):
                    break
            return _noted(_response(answer, body), method, path, began)


def _options(address: Address, connections: int, backend: Any) -> dict[str, Any]:
    options: dict[str, Any] = {
        "max_connections": connections,
        "max_keepalive_connections": connections,
        "keepalive_expiry": _KEPT_OPEN,
        "network_backend": backend,
    }
    if address.scheme == "https":
        # Created once for all connections: reading the system's certificates takes longer than a handshake.
        options["ssl_context"] = importlib.import_module(_LIBRARY).default_ssl_context()
    return options


def _pool(proxy: Proxy | None, options: dict[str, Any], prefix: str) -> Any:
    """A connection pool; `prefix` is "Async" for the asynchronous classes of the library."""
    library = importlib.import_module(_LIBRARY)
    if proxy is None:
        return getattr(library, f"{prefix}ConnectionPool")(**options)
    kind = getattr(library, f"{prefix}SOCKSProxy" if proxy.socks else f"{prefix}HTTPProxy")
    return kind(proxy_url=proxy.url, proxy_auth=proxy.auth, **options)


def _url(address: Address, path: str) -> Any:
    return importlib.import_module(_LIBRARY).URL(
        scheme=address.scheme, host=address.host, port=address.port, target=address.path + path
    )


def _headers(headers: Mapping[str, str], authorization: str | None) -> list[tuple[str, str]]:
    complete = {"Accept-Encoding": ACCEPTED, **headers}
    if authorization is not None:
        # A request's own key takes precedence over the user and password in the host's address.
        complete.setdefault("Authorization", authorization)
    return list(complete.items())


def _waits(seconds: float) -> dict[str, Any]:
    return {"timeout": {"pool": seconds, "connect": seconds, "read": seconds, "write": seconds}}


def _header(headers: list[tuple[bytes, bytes]], name: bytes) -> str | None:
    found = [value for key, value in headers if key.lower() == name]
    return found[-1].decode("latin-1") if found else None


def _response(answer: Any, body: Body) -> Response:
    content, whole = body.finish()
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in answer.headers}
    return Response(answer.status, headers, content, whole)


def _noted(response: Response, method: str, path: str, began: float) -> Response:
    """Log the exchange, without the query: it may hold a token."""
    seconds = time.monotonic() - began
    log.debug("%s %s: HTTP %d in %.3f s", method, path.partition("?")[0], response.status, seconds)
    return response


def _no_reply(error: Exception, seconds: float) -> NoReply:
    if isinstance(error, NoReply):
        return error
    described = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, TimeoutError) or type(error).__name__.endswith("Timeout"):
        return TimedOut(f"no response within {seconds:g} s ({described})")
    return NoReply(described)
