"""The ASGI application: PostHog's endpoints behind one door, where faults wait, and the control API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from random import Random

import msgspec
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hogbox.emulator.answer import (
    ALIVE,
    CAPTURE_ANSWERS,
    CLIENT_STOPPED,
    NOT_FOUND,
    EmulatorResponse,
    Outcome,
    Refusal,
    Request,
    too_large,
)
from hogbox.emulator.capture import PATHS, capture
from hogbox.emulator.control import ControlError, control_routes, refuse
from hogbox.emulator.evaluation import PATHS as FLAGS_PATHS
from hogbox.emulator.evaluation import Project, evaluate
from hogbox.emulator.flag_answer import DEFINITIONS_ANSWERS, FLAGS_ANSWERS
from hogbox.emulator.guard import Guard
from hogbox.emulator.polling import PATHS as DEFINITIONS_PATHS
from hogbox.emulator.polling import poll
from hogbox.emulator.record import ReceivedRequest
from hogbox.emulator.setting import Limits, Settings
from hogbox.emulator.world import World

CUT = "hogbox.cut"  # the scope's extension that cuts the connection

Handler = Callable[[Request, Settings, Limits, Random], Outcome]

_HEADERS_KEPT = frozenset(
    (
        "authorization",
        "content-encoding",
        "content-length",
        "content-type",
        "if-none-match",
        "user-agent",
    )
)


class Endpoint(msgspec.Struct, frozen=True):
    """What answers a path, and whether faults without a path are meant for it.

    `usual` are the answers of faults that name only a status; `counted_as` is its place in the summary.
    """

    handle: Handler
    is_capture: bool = False
    usual: Mapping[int, EmulatorResponse] = msgspec.field(default_factory=lambda: CAPTURE_ANSWERS)
    counted_as: str | None = None


def _alive(*_: object) -> Outcome:
    return Outcome(answer=ALIVE)


def _not_found(*_: object) -> Outcome:
    return Outcome(answer=NOT_FOUND)


ENDPOINTS: dict[str, Endpoint] = {
    **{path: Endpoint(capture, is_capture=True) for path in PATHS},
    **{path: Endpoint(_alive) for path in ("/", "/_readiness", "/_liveness")},
}
"""By path without its trailing slash: PostHog's endpoints answer with and without one."""

_NOWHERE = Endpoint(_not_found)


def flag_endpoints(world: World) -> dict[str, Endpoint]:
    """The endpoints that answer out of the world's flags and profiles, too."""

    def definitions(request: Request, settings: Settings, *_: object) -> Outcome:
        return poll(request, settings, world.source.current(), world.rate_limiter.admit)

    def flags(request: Request, settings: Settings, limits: Limits, random: Random) -> Outcome:
        return evaluate(request, settings, limits, Project(world.source.current(), world.profiles), random)

    polled = Endpoint(definitions, usual=DEFINITIONS_ANSWERS, counted_as="definitions")
    evaluated = Endpoint(flags, usual=FLAGS_ANSWERS, counted_as="flags")
    return {**dict.fromkeys(DEFINITIONS_PATHS, polled), **dict.fromkeys(FLAGS_PATHS, evaluated)}


def create_app(world: World, allowed_hosts: Collection[str] = ()) -> ASGIApp:
    """The emulator's application over a world.

    The control API answers to IP addresses, to localhost and to `allowed_hosts`, and to no page of another site.
    """
    return Starlette(
        routes=[
            Route("/_emulator", lambda _: RedirectResponse("/_emulator/")),
            Mount("/_emulator", app=Guard(Router(routes=control_routes(world)), allowed_hosts)),
            Mount("/", app=Door(world)),
        ],
        exception_handlers={ControlError: refuse, msgspec.ValidationError: refuse},
    )


class Door:
    """Reads a request, asks its endpoint, lets a fault interfere, stores the events and answers."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._endpoints = {**ENDPOINTS, **flag_endpoints(world)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        world = self._world
        path = scope["path"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        record = world.arrive(scope["method"], path, query, kept_headers(headers))
        endpoint = self._endpoints.get(path.removesuffix("/") or "/", _NOWHERE)
        try:
            body = await self._read(record, receive)
        except Refusal as refusal:
            outcome = Outcome(answer=refusal.answer)
        else:
            if body is None:
                world.abandon(record)
                return
            request = Request(
                sequence=record.sequence,
                method=record.method,
                path=path,
                query=query,
                headers=headers,
                body=body,
                arrived_at=record.arrived_at,
                now=world.server_clock(),
            )
            outcome = endpoint.handle(request, world.settings, world.limits, world.random)
        await self._finish(record, endpoint, outcome, scope, send)

    async def _read(self, record: ReceivedRequest, receive: Receive) -> bytes | None:
        """The whole body, or None if the client went away; raises `Refusal` if it is too large or stalls."""
        limit = self._world.limits.wire
        chunks: list[bytes] = []
        more = True
        while more:
            message = await self._chunk(receive)
            if message["type"] == "http.disconnect":
                return None
            chunks.append(message.get("body", b""))
            record.body_size += len(chunks[-1])
            if record.body_size > limit:
                raise too_large(f"request body exceeds {limit} bytes")
            more = message.get("more_body", False)
        return b"".join(chunks)

    async def _chunk(self, receive: Receive) -> Message:
        try:
            async with asyncio.timeout(self._world.settings.body_timeout):
                return await receive()
        except TimeoutError:
            raise Refusal(408, CLIENT_STOPPED) from None

    async def _finish(
        self, record: ReceivedRequest, endpoint: Endpoint, outcome: Outcome, scope: Scope, send: Send
    ) -> None:
        world = self._world
        fault = world.faults.choose(
            record.path,
            method=record.method,
            is_capture=endpoint.is_capture,
            token=outcome.token,
            events=outcome.events,
        )
        world.note(record, outcome, fault)
        if fault is not None and fault.delay:
            await asyncio.sleep(fault.delay)
        if fault is None or fault.stores():
            world.store(record, outcome.events)
        if fault is not None and fault.drop is not None:
            world.drop(record)
            scope["extensions"][CUT]()
            return
        answer = (None if fault is None else fault.answer(endpoint.usual)) or outcome.answer
        world.answer(record, answer, counted_as=endpoint.counted_as)
        await respond(answer, send)


def kept_headers(headers: dict[str, str]) -> dict[str, str]:
    """The headers worth remembering."""
    return {
        name: value
        for name, value in headers.items()
        if name in _HEADERS_KEPT or name.startswith(("posthog-", "x-posthog-"))
    }


async def respond(answer: EmulatorResponse, send: Send) -> None:
    """Sends an answer."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
    if answer.content_type is not None:
        headers.append((b"content-type", answer.content_type.encode("latin-1")))
    if answer.status not in (204, 304):
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
