"""The ASGI application: PostHog's endpoints behind one door, where faults wait, and the control API."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from email.utils import formatdate

import msgspec
from starlette.applications import Starlette
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hogbox.emulator.answer import (
    CLIENT_STOPPED,
    EmulatorResponse,
    Outcome,
    Request,
    too_large,
)
from hogbox.emulator.control import ControlError, control_routes, refuse
from hogbox.emulator.cors import cors_headers
from hogbox.emulator.endpoint import Endpoint, EndpointTable, Interrupted
from hogbox.emulator.guard import Guard
from hogbox.emulator.record import ReceivedRequest
from hogbox.emulator.world import World

CUT = "hogbox.cut"  # the scope's extension that cuts the connection

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
        self._endpoints = EndpointTable(world)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        world = self._world
        path = scope["path"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        record = world.arrive(scope["method"], path, query, kept_headers(headers))
        endpoint = self._endpoints.find(path)
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
        usual = {
            **cors_headers(scope),
            **_echoed(record, endpoint),
            "date": formatdate(world.server_clock(), usegmt=True),
        }
        headers = response_headers(answer, usual)
        world.answer(record, answer, headers, counted_as=endpoint.counted_as)
        await respond(answer, headers, send)


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


def response_headers(answer: EmulatorResponse, usual: Mapping[str, str]) -> dict[str, str]:
    """The headers of an answer; its own have precedence over the usual ones."""
    headers = {**usual, **dict(answer.headers)}
    if answer.content_type is not None:
        headers["content-type"] = answer.content_type
    if answer.status not in (204, 304):
        headers["content-length"] = str(len(answer.body))
    return headers


async def respond(answer: EmulatorResponse, headers: Mapping[str, str], send: Send) -> None:
    """Sends an answer."""
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
    await send({"type": "http.response.body", "body": answer.body})
