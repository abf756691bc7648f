"""Starlette: a lifespan that delivers from a thread, and middleware that knows whose request it is.

    app = Starlette(
        lifespan=posthog_lifespan(posthog),
        middleware=[Middleware(HogboxMiddleware, posthog=posthog)],
    )

For FastAPI the same, from `hogbox.integrations.fastapi`, which adds dependencies.
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
"""Says who has sent a request (a `Request` or a `WebSocket` is an HTTPConnection), or None."""

_Lifespan: TypeAlias = Callable[[Starlette], AbstractAsyncContextManager[None]]

_GRACE: Final = 1.0
"""Seconds beyond the time-out for what ought to have ended by then. What still runs is left to its threads."""


def posthog_lifespan(posthog: PostHog | AsyncPostHog, *, worker: bool = True, drain_timeout: float = 5.0) -> _Lifespan:
    """The lifespan of an application with this client, which it finds in `app.state.posthog` (or `.async_posthog`).

    Pass it as `lifespan=`; within a lifespan of your own, `async with posthog_lifespan(posthog)(app): ...`.

    Arguments:
        worker: Deliver from a thread of this process, and refresh flag definitions from another where there is a key.
            False where `hogbox worker` runs beside the application.
        drain_timeout: Seconds that delivering what waits may take when the application ends; 0 leaves it to the next
            worker. It holds up the application's end by a second more at most. Without a worker nothing is delivered.

    Starting raises what `start` raises: TablesError, or what the database raises. At the end nothing is raised, and
    what goes wrong is logged: events that were not delivered wait for the next worker.
    """
    name = CLIENT_NAMES[_require_client(posthog)]
    if not 0 <= drain_timeout < math.inf:
        raise ConfigurationError(f"drain_timeout is a number of seconds, 0 or more, not {drain_timeout!r}")

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
    """Opens a request's context around the application, and reports the exceptions that escape it. Pure ASGI.

    Add it with `app.add_middleware(HogboxMiddleware, posthog=posthog)`: there it sees what becomes a 500, and not what
    the application handles, such as an HTTPException. Middleware that says who a user is has to be added after it, to
    stand around it, where `distinct_id` needs it.

    Arguments:
        app: The ASGI application.
        posthog: Reports exceptions; of a synchronous client this is done in a thread.
        distinct_id: Says who has sent a request; may be asynchronous, and must not block. Called once, before the
            application. Its answer wins over the tracing header, which anybody can send. What it raises becomes a 500.
        personless: Where nobody is signed in, capture events without a person, and flags are inconclusive. False: they
            raise MissingDistinctId.
        capture_tracing_headers: Whether the headers of PostHog's web client say whose request it is, and which session.
            Anybody can send them, with anybody's id.
        capture_url_query: Whether `$current_url` keeps its query, which may hold tokens and names.
        capture_exceptions: Report what escapes, with `$response_status_code`, in a transaction of its own.

    An exception is raised again in any case. The end of the connection is none, and neither is a cancelled task.
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
            raise ConfigurationError(f"distinct_id is a function of the request, not {distinct_id!r}")
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
                raise
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
    """The address that was asked for. Bytes of the query that are no ASCII are quoted: Starlette raises for some."""
    query = quote(scope.get("query_string", b""), safe=string.punctuation)
    return str(URL(scope={**scope, "query_string": query.encode()}))


def _require_client(posthog: object) -> type[PostHog | AsyncPostHog]:
    """The kind of client that this is."""
    for kind in CLIENT_NAMES:
        if isinstance(posthog, kind):
            return kind
    raise ConfigurationError(f"posthog is a hogbox.PostHog or AsyncPostHog, not {type(posthog).__name__}")


async def _report(posthog: PostHog | AsyncPostHog, error: Exception, status: int | None) -> None:
    if isinstance(posthog, AsyncPostHog):
        await report_async(posthog, error, status=status)
    else:
        await asyncio.to_thread(report, posthog, error, status=status)


async def _end(posthog: PostHog | AsyncPostHog, timeout: float) -> None:
    """Drain and shut down within so many seconds. Raises nothing."""
    try:
        async with asyncio.timeout(timeout + _GRACE):
            await _drain(posthog, timeout)
    except TimeoutError:
        log.warning("hogbox did not end in time; the next worker delivers what waits")
    except Exception:
        log.exception("hogbox could not end as it should; the next worker delivers what waits")


async def _drain(posthog: PostHog | AsyncPostHog, timeout: float) -> None:
    """The worker ends first, and gives its shards back: nobody else may deliver theirs until then."""
    ends = time.monotonic() + timeout
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
        log.warning("%d events still wait; the next worker delivers them", delivery.waiting)


async def _wait(method: Callable[..., _T | Awaitable[_T]], *args: object) -> _T:
    """Call what blocks or is asynchronous, without blocking the loop."""
    outcome = method(*args) if iscoroutinefunction(method) else await asyncio.to_thread(method, *args)
    return await outcome if isawaitable(outcome) else outcome
