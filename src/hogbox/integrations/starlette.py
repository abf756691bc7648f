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
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import quote
from uuid import UUID

from hogbox.aio import AsyncPostHog
from hogbox.client import PostHog
from hogbox.context import identify_context
from hogbox.errors import ConfigurationError, MissingDependency
from hogbox.integrations._request import (
    CLIENT_NAMES,
    Reported,
    empty_context,
    report,
    report_async,
    request_context,
)
from hogbox.integrations._request_option import PropertiesMap, RequestOptions, RequestProperties

try:
    from starlette.applications import Starlette
    from starlette.datastructures import URL
    from starlette.requests import ClientDisconnect, HTTPConnection
    from starlette.routing import Mount
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from starlette.websockets import WebSocketDisconnect
except ModuleNotFoundError as missing:
    raise MissingDependency(
        "hogbox.integrations.starlette needs Starlette: pip install 'hogbox[starlette]'"
    ) from missing

__all__ = ["ExtraProperties", "FindDistinctId", "HogboxMiddleware", "RequestFilter", "posthog_lifespan"]

log = logging.getLogger("hogbox")

_T = TypeVar("_T")

_DistinctId: TypeAlias = str | int | UUID | None

FindDistinctId: TypeAlias = Callable[[HTTPConnection], _DistinctId | Awaitable[_DistinctId]]
"""Returns the distinct id of a request's user, or None (a `Request` or a `WebSocket` is an HTTPConnection)."""

RequestFilter: TypeAlias = Callable[[HTTPConnection], bool | Awaitable[bool]]
"""Returns whether events of a request have its person and its properties, and its exceptions are captured."""

ExtraProperties: TypeAlias = Callable[[HTTPConnection], Mapping[str, Any] | Awaitable[Mapping[str, Any] | None] | None]
"""Returns more properties for the events of a request."""

_Lifespan: TypeAlias = Callable[[Starlette], AbstractAsyncContextManager[None]]

_REPORTED: Final = "hogbox.reported"
"""The key of the scope for the exceptions that were captured."""

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
            block. Called once, before the application. Its result has precedence over the tracing header.
        personless: Without a signed-in user, capture events without a person, and flags are inconclusive. False: raise
            MissingDistinctId instead.
        capture_tracing_headers: Read the distinct id and the session from the headers of PostHog's web client. Anyone
            can send them, with any id.
        capture_url_query: Include the query in `$current_url`; it may contain tokens and names.
        capture_exceptions: Capture unhandled exceptions, with `$response_status_code`, in a transaction of their own.
        request_filter: Returns False for a request that is to be left out: its context is empty, and its exceptions
            are not captured. May be a coroutine function, as `extra_properties`.
        extra_properties: Returns more properties for all events of the request. Called once, before the application.
        properties_map: Receives all properties of the request, and returns those that events are to have.

    Exceptions are always raised again. Disconnects and cancelled tasks are not captured. A callback that raises is
    logged and does not break the request. Raises ConfigurationError for invalid arguments.
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
        request_filter: RequestFilter | None = None,
        extra_properties: ExtraProperties | None = None,
        properties_map: PropertiesMap | None = None,
    ) -> None:
        _require_client(posthog)
        if distinct_id is not None and not callable(distinct_id):
            raise ConfigurationError(f"distinct_id must be a function of the request, not {distinct_id!r}")
        self.app: Final = app
        self._posthog = posthog
        self._distinct_id = distinct_id
        self._options = RequestOptions(
            personless=personless,
            capture_tracing_headers=capture_tracing_headers,
            capture_url_query=capture_url_query,
            capture_exceptions=capture_exceptions,
            request_filter=request_filter,
            extra_properties=extra_properties,
            properties_map=properties_map,
            awaits=True,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        if not await self._options.admits_async(connection):
            with empty_context():
                await self.app(scope, receive, send)
            return
        properties = RequestProperties(self._options, partial(_route, scope, scope.get("root_path", "")))
        with request_context(
            connection.headers.getlist,
            options=self._options,
            properties=properties,
            url=_url(scope),
            method=scope.get("method"),
            path=scope["path"],
            ip=connection.client.host if connection.client else None,
        ):
            await self._identify(connection)
            properties.add_extra(await self._options.properties_of_async(connection))
            await self._run(scope, receive, send)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 500 if scope["type"] == "http" else None
        reported = scope.setdefault(_REPORTED, Reported())

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, note_status)
        except Exception as error:
            if self._options.capture_exceptions and not _is_disconnect(error) and reported.add(self._posthog, error):
                await _report(self._posthog, error, status)
            raise

    async def _identify(self, connection: HTTPConnection) -> None:
        if self._distinct_id is None:
            return
        try:
            found = self._distinct_id(connection)
            person = await found if isawaitable(found) else found
            if person is not None:
                identify_context(person)
        except Exception:
            log.warning("the distinct id of the signed-in user can't be read", exc_info=True)


def _is_disconnect(error: Exception) -> bool:
    """Whether the client went away, which is not an error of the application."""
    if isinstance(error, ExceptionGroup):
        return all(_is_disconnect(one) for one in error.exceptions)
    return isinstance(error, (ClientDisconnect, WebSocketDisconnect))


def _route(scope: Scope, root_path: str) -> object:
    """The template of the path, such as `/orders/{number}`, once Starlette has found the route; None before.

    `root_path` is that of the middleware's scope: an application that is mounted below has a longer one.
    """
    route = scope.get("route")
    mounted: str = scope.get("root_path", "").removeprefix(root_path)
    if isinstance(route, Mount):
        return mounted
    # FastAPI's route of a router that is included elsewhere lacks the prefixes; this one has them.
    included = scope.get("fastapi", {}).get("effective_route_context")
    template = getattr(route if included is None else included, "path", None)
    return mounted + template if isinstance(template, str) else None


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
