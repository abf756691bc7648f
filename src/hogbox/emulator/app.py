"""The ASGI application: PostHog's endpoints behind one door, where faults wait, and the control API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from email.utils import formatdate
from random import Random
from typing import Literal, TypeAlias

import msgspec
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hogbox.emulator.answer import (
    ALIVE,
    CAPTURE_ANSWERS,
    CLIENT_STOPPED,
    NOT_ALLOWED,
    NOT_FOUND,
    EmulatorResponse,
    Outcome,
    Request,
    too_large,
)
from hogbox.emulator.capture import AI_PATH, PATHS, capture
from hogbox.emulator.control import ControlError, control_routes, refuse
from hogbox.emulator.evaluation import PATHS as FLAGS_PATHS
from hogbox.emulator.evaluation import Project, evaluate
from hogbox.emulator.flag_answer import DEFINITIONS_ANSWERS, FLAGS_ANSWERS, REMOTE_CONFIG_ANSWERS
from hogbox.emulator.guard import Guard
from hogbox.emulator.polling import PATHS as DEFINITIONS_PATHS
from hogbox.emulator.polling import poll
from hogbox.emulator.record import ReceivedRequest
from hogbox.emulator.remote_config import is_remote_config, remote_config
from hogbox.emulator.setting import Limits, Settings
from hogbox.emulator.v1.answer import V1_ANSWERS
from hogbox.emulator.v1.capture import V1_AI_PATH, V1_PATH, capture_v1
from hogbox.emulator.v1.header import REQUEST_ID
from hogbox.emulator.world import World

CUT = "hogbox.cut"  # the scope's extension that cuts the connection

Interrupted: TypeAlias = Literal["too large", "stalled"] | None
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

    `usual` are the answers of faults that name only a status; `counted_as` is its place in the summary; `wire` names
    the limit of a body, `switches` the settings without which the server has no such path, and `echoes` the header
    that every answer repeats. `reads_cut` endpoints answer requests whose body did not arrive as a whole themselves.
    """

    handle: Handler
    is_capture: bool = False
    usual: Mapping[int, EmulatorResponse] = msgspec.field(default_factory=lambda: CAPTURE_ANSWERS)
    counted_as: str | None = None
    wire: str = "wire"
    switches: tuple[str, ...] = ()
    echoes: str | None = None
    reads_cut: bool = False

    def exists(self, settings: Settings) -> bool:
        """Whether the server has it."""
        return all(getattr(settings, switch) for switch in self.switches)


def _alive(request: Request, *_: object) -> Outcome:
    return Outcome(answer=ALIVE if request.method in ("GET", "HEAD") else NOT_ALLOWED)


def _not_found(*_: object) -> Outcome:
    return Outcome(answer=NOT_FOUND)


ENDPOINTS: dict[str, Endpoint] = {
    **{path: Endpoint(capture, is_capture=True) for path in PATHS},
    AI_PATH: Endpoint(capture, is_capture=True, switches=("ai_lane",)),
    **{path: Endpoint(_alive) for path in ("/", "/_readiness", "/_liveness")},
}
"""By path without its trailing slash: PostHog's endpoints answer with and without one."""

_NOWHERE = Endpoint(_not_found)


def flag_endpoints(world: World) -> dict[str, Endpoint]:
    """The endpoints that answer out of the world's flags and profiles, too."""

    def definitions(request: Request, settings: Settings, *_: object) -> Outcome:
        return poll(request, settings, world.source.current(), world.rate_limiter.admit)

    def flags(request: Request, settings: Settings, limits: Limits, random: Random) -> Outcome:
        project = Project(world.source.current(), world.profiles, world.rate_limiter)
        return evaluate(request, settings, limits, project, random)

    polled = Endpoint(definitions, usual=DEFINITIONS_ANSWERS, counted_as="definitions")
    evaluated = Endpoint(flags, usual=FLAGS_ANSWERS, counted_as="flags")
    return {**dict.fromkeys(DEFINITIONS_PATHS, polled), **dict.fromkeys(FLAGS_PATHS, evaluated)}


def v1_endpoints(world: World) -> dict[str, Endpoint]:
    """The endpoints of capture v1, which answer for each event, and by the world's scripted results."""

    def handle(request: Request, settings: Settings, limits: Limits, _: Random) -> Outcome:
        return capture_v1(request, settings, limits, world.results)

    def endpoint(wire: str, *switches: str) -> Endpoint:
        return Endpoint(
            handle,
            is_capture=True,
            usual=V1_ANSWERS,
            wire=wire,
            switches=switches,
            echoes=REQUEST_ID,
            reads_cut=True,
        )

    return {V1_PATH: endpoint("v1_wire", "capture_v1"), V1_AI_PATH: endpoint("wire", "capture_v1", "ai_lane")}


def remote_config_endpoint(world: World) -> Endpoint:
    """The endpoint of the payloads of single flags."""

    def handle(request: Request, settings: Settings, *_: object) -> Outcome:
        return remote_config(request, settings, world.source.current(), world.rate_limiter.admit)

    return Endpoint(handle, usual=REMOTE_CONFIG_ANSWERS)


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
        self._remote_config = remote_config_endpoint(world)
        self._endpoints = {**ENDPOINTS, **v1_endpoints(world), **flag_endpoints(world)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        world = self._world
        path = scope["path"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        record = world.arrive(scope["method"], path, query, kept_headers(headers))
        endpoint = self._endpoint(path)
        body, interrupted = await self._read(record, receive, getattr(world.limits, endpoint.wire))
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
            client=(scope.get("client") or ("",))[0],
            interrupted=interrupted,
        )
        if interrupted is not None and not endpoint.reads_cut:
            outcome = Outcome(answer=_cut_short(interrupted, world.limits.wire))
        else:
            outcome = endpoint.handle(request, world.settings, world.limits, world.random)
        await self._finish(record, endpoint, outcome, scope, send)

    def _endpoint(self, path: str) -> Endpoint:
        if is_remote_config(path):
            return self._remote_config
        endpoint = self._endpoints.get(path.removesuffix("/") or "/", _NOWHERE)
        return endpoint if endpoint.exists(self._world.settings) else _NOWHERE

    async def _read(self, record: ReceivedRequest, receive: Receive, limit: int) -> tuple[bytes | None, Interrupted]:
        """The whole body, or None if the client went away; and whether it was too large or stalled."""
        chunks: list[bytes] = []
        more = True
        while more:
            message = await self._chunk(receive)
            if message is None:
                return b"", "stalled"
            if message["type"] == "http.disconnect":
                return None, None
            chunks.append(message.get("body", b""))
            record.body_size += len(chunks[-1])
            if record.body_size > limit:
                return b"", "too large"
            more = message.get("more_body", False)
        return b"".join(chunks), None

    async def _chunk(self, receive: Receive) -> Message | None:
        try:
            async with asyncio.timeout(self._world.settings.body_timeout):
                return await receive()
        except TimeoutError:
            return None

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
        if outcome.settle is not None and (fault is None or fault.leaves_answer()):
            outcome = outcome.settle()
        if fault is None or fault.stores():
            world.store(record, outcome.events)
        if fault is not None and fault.drop is not None:
            world.drop(record)
            scope["extensions"][CUT]()
            return
        answer = (None if fault is None else fault.answer(endpoint.usual)) or outcome.answer
        world.answer(record, answer, counted_as=endpoint.counted_as)
        await respond(
            answer, send, {**_echoed(record, endpoint), "date": formatdate(world.server_clock(), usegmt=True)}
        )


def _cut_short(interrupted: Interrupted, limit: int) -> EmulatorResponse:
    """What older endpoints answer to a body that did not arrive as a whole."""
    if interrupted == "too large":
        return too_large(f"request body exceeds {limit} bytes").answer
    return EmulatorResponse(408, CLIENT_STOPPED.encode())


def _echoed(record: ReceivedRequest, endpoint: Endpoint) -> dict[str, str]:
    name = endpoint.echoes
    return {name: record.headers[name]} if name is not None and name in record.headers else {}


def kept_headers(headers: dict[str, str]) -> dict[str, str]:
    """The headers worth remembering."""
    return {
        name: value
        for name, value in headers.items()
        if name in _HEADERS_KEPT or name.startswith(("posthog-", "x-posthog-"))
    }


async def respond(answer: EmulatorResponse, send: Send, usual: Mapping[str, str]) -> None:
    """Sends an answer. Its own headers have precedence over the usual ones."""
    own = dict(answer.headers)
    pairs = [*((name, value) for name, value in usual.items() if name not in own), *answer.headers]
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    if answer.content_type is not None:
        headers.append((b"content-type", answer.content_type.encode("latin-1")))
    if answer.status not in (204, 304):
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
