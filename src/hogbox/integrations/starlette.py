"""Starlette: a lifespan with a worker thread, and middleware for request contexts and unhandled exceptions.

    app = Starlette(
        lifespan=posthog_lifespan(posthog),
        middleware=[Middleware(HogboxMiddleware, posthog=posthog)],
    )

For FastAPI, use `hogbox.integrations.fastapi`, which adds dependencies.
"""

from __future__ import annotations

import asyncio
import logging
import math
import string
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import Final, TypeAlias, TypeVar
from urllib.parse import quote
from uuid import UUID

from hogbox.aio import AsyncPostHog
from hogbox.client import PostHog
from hogbox.context import identify_context
from hogbox.errors import ConfigurationError, MissingDependency
from hogbox.integrations._request import CLIENT_NAMES, report, report_async, request_context

try:
    from starlette.applications import Starlette
    from starlette.datastructures import URL
    from starlette.requests import ClientDisconnect, HTTPConnection
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from starlette.websockets import WebSocketDisconnect
except ModuleNotFoundError as missing:
    raise MissingDependency(
        "hogbox.integrations.starlette needs Starlette: pip install 'hogbox[starlette]'"
    ) from missing

__all__ = ["FindDistinctId", "HogboxMiddleware", "posthog_lifespan"]

log = logging.getLogger("hogbox")

_T = TypeVar("_T")

_DistinctId: TypeAlias = str | int | UUID | None

FindDistinctId: TypeAlias = Callable[[HTTPConnection], _DistinctId | Awaitable[_DistinctId]]
"""Returns the distinct id of a request's user, or None (a `Request` or a `WebSocket` is an HTTPConnection)."""

_Lifespan: TypeAlias = Callable[[Starlette], AbstractAsyncContextManager[None]]

_GRACE: Final = 1.0
"""Seconds after the timeout until the shutdown stops waiting. Work that is still running continues in its threads."""


def posthog_lifespan(posthog: PostHog | AsyncPostHog, *, worker: bool = True, drain_timeout: float = 5.0) -> _Lifespan:
    """A lifespan that stores this client in `app.state.posthog` (or `.async_posthog`), and runs its worker.

    Pass it as `lifespan=`; in a lifespan of your own, use `async with posthog_lifespan(posthog)(app): ...`.

    Arguments:
        posthog: The client; it is shut down with the application.
        worker: Deliver from a thread of this process, and refresh flag definitions from another one if there is a key.
            False if `hogbox worker` runs separately.
        drain_timeout: Seconds for delivering the waiting events at shutdown; 0 leaves them to the next worker. Shutdown
            takes at most one second more. Without a worker, nothing is delivered.

    Startup raises what `start` raises: TablesError, or the database's errors. Shutdown never raises: errors are logged,
    and events that were not delivered stay in the outbox for the next worker. Raises ConfigurationError for invalid
    arguments.
    """
    name = CLIENT_NAMES[_require_client(posthog)]
    if not 0 <= drain_timeout < math.inf:
        raise ConfigurationError(f"drain_timeout must be a finite number of seconds, at least 0, not {drain_timeout!r}")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        setattr(app.state, name, posthog)
        if worker:
            await _wait(posthog.start)
        try:
            yield
        finally:
            await _end(posthog, drain_timeout if worker else 0.0)

    return lifespan


class HogboxMiddleware:
    """Opens a context for each request, and captures unhandled exceptions. Pure ASGI middleware.

    Add it with `app.add_middleware(HogboxMiddleware, posthog=posthog)`. It captures the exceptions that become a 500,
    not those that the application handles, such as an HTTPException. If `distinct_id` needs an authentication
    middleware, add that one after this one, so that it runs first.

    Arguments:
        app: The ASGI application.
        posthog: The client that captures exceptions; a synchronous client does so in a thread.
        distinct_id: Returns the distinct id of the request's user, or None; may be a coroutine function, and must not
            block. Called once, before the application. Its result has precedence over the tracing header. An exception
            in it becomes a 500.
        personless: Without a signed-in user, capture events without a person, and flags are inconclusive. False: raise
            MissingDistinctId instead.
        capture_tracing_headers: Read the distinct id and the session from the headers of PostHog's web client. Anyone
            can send them, with any id.
        capture_url_query: Include the query in `$current_url`; it may contain tokens and names.
        capture_exceptions: Capture unhandled exceptions, with `$response_status_code`, in a transaction of their own.

    Exceptions are always raised again. Disconnects and cancelled tasks are not captured. Raises ConfigurationError for
    invalid arguments.
    """

    def __init__(
        self,
        app: ASGIApp,
        posthog: PostHog | AsyncPostHog,
        *,
        distinct_id: FindDistinctId | None = None,
        personless: bool = True,
        capture_tracing_headers: bool = True,
        capture_url_query: bool = False,
        capture_exceptions: bool = True,
    ) -> None:
        _require_client(posthog)
        if distinct_id is not None and not callable(distinct_id):
            raise ConfigurationError(f"distinct_id must be a function of the request, not {distinct_id!r}")
        self.app: Final = app
        self._posthog = posthog
        self._distinct_id = distinct_id
        self._personless = personless
        self._tracing_headers, self._url_query = capture_tracing_headers, capture_url_query
        self._capture_exceptions = capture_exceptions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        status = 500 if scope["type"] == "http" else None

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        connection = HTTPConnection(scope)
        with request_context(
            connection.headers.get,
            personless=self._personless,
            tracing_headers=self._tracing_headers,
            url_query=self._url_query,
            url=_url(scope),
            method=scope.get("method"),
            path=scope["path"],
            ip=connection.client.host if connection.client else None,
        ):
            try:
                await self._identify(connection)
                await self.app(scope, receive, note_status)
            except (ClientDisconnect, WebSocketDisconnect):
                raise  # the client went away: not an error of the application
            except Exception as error:
                if self._capture_exceptions:
                    await _report(self._posthog, error, status)
                raise

    async def _identify(self, connection: HTTPConnection) -> None:
        found = self._distinct_id(connection) if self._distinct_id else None
        person = await found if isawaitable(found) else found
        if person is not None:
            identify_context(person)


def _url(scope: Scope) -> str:
    """The requested URL. Bytes of the query outside ASCII are quoted: Starlette raises for some of them."""
    query = quote(scope.get("query_string", b""), safe=string.punctuation)
    return str(URL(scope={**scope, "query_string": query.encode()}))


def _require_client(posthog: object) -> type[PostHog | AsyncPostHog]:
    """The class of this client. Raises ConfigurationError if it is not a client."""
    for kind in CLIENT_NAMES:
        if isinstance(posthog, kind):
            return kind
    raise ConfigurationError(f"posthog must be a hogbox.PostHog or AsyncPostHog, not {type(posthog).__name__}")


async def _report(posthog: PostHog | AsyncPostHog, error: Exception, status: int | None) -> None:
    if isinstance(posthog, AsyncPostHog):
        await report_async(posthog, error, status=status)
    else:
        await asyncio.to_thread(report, posthog, error, status=status)


async def _end(posthog: PostHog | AsyncPostHog, timeout: float) -> None:
    """Drain and shut down within this many seconds. Never raises."""
    try:
        async with asyncio.timeout(timeout + _GRACE):
            await _drain(posthog, timeout)
    except TimeoutError:
        log.warning("hogbox did not shut down in time; the next worker delivers the remaining events")
    except Exception:
        log.exception("hogbox failed to shut down; the next worker delivers the remaining events")


async def _drain(posthog: PostHog | AsyncPostHog, timeout: float) -> None:
    """The worker stops first and releases its shards: until then, no other worker may deliver their events."""
    ends = time.monotonic() + timeout
    # At least half of the grace: stopping takes a moment even if nothing is to be drained.
    await _wait(posthog.shutdown, max(timeout, _GRACE / 2))
    if not timeout:
        return
    if (left := ends - time.monotonic()) <= 0:
        raise TimeoutError
    try:
        delivery = await _wait(partial(posthog.deliver, timeout=left))
    except Exception:
        await _wait(posthog.shutdown, 0.0)
        raise
    await _wait(posthog.shutdown, 0.0)
    if delivery.waiting:
        log.warning("%d event%s left for the next worker", delivery.waiting, "" if delivery.waiting == 1 else "s")


async def _wait(method: Callable[..., _T | Awaitable[_T]], *args: object) -> _T:
    """Call a blocking or asynchronous method without blocking the loop."""
    outcome = method(*args) if iscoroutinefunction(method) else await asyncio.to_thread(method, *args)
    return await outcome if isawaitable(outcome) else outcome
