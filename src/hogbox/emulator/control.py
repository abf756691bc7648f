"""The control API under `/_emulator/`: inspect requests and events, inject faults, change settings, reset."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hogbox.emulator.definition import read_definitions
from hogbox.emulator.fault import Fault
from hogbox.emulator.record import ReceivedEvent
from hogbox.emulator.script import ScriptedResult
from hogbox.emulator.setting import Settings
from hogbox.emulator.world import EventFilter, RequestFilter, World
from hogbox.errors import DefinitionsError

_INDEX = {
    "GET /_emulator/summary": "counts of requests, events, statuses and faults",
    "GET /_emulator/events": "event, distinct_id, uuid, token, since, limit, unique=true, fields=uuid,...",
    "GET /_emulator/requests": "path, method, since, limit",
    "POST /_emulator/reset": "drop all data, remove the faults and results, restore the initial settings and flags",
    "GET, PATCH, PUT /_emulator/settings": ", ".join(Settings.__struct_fields__),
    "GET, PUT, DELETE /_emulator/flags": "flag definitions, as GET /flags/definitions returns them",
    "GET, POST, DELETE /_emulator/faults": ", ".join(Fault.__struct_fields__),
    "DELETE /_emulator/faults/{id}": "remove one fault",
    "GET, POST, DELETE /_emulator/results": ", ".join(ScriptedResult.__struct_fields__),
    "DELETE /_emulator/results/{id}": "remove one scripted result",
}


Scripted = TypeVar("Scripted", Fault, ScriptedResult)


class ControlError(Exception):
    """An invalid request to the control API; the text says how to fix it."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


def control_routes(world: World) -> list[Route]:
    control = Control(world)
    return [
        Route("/", control.index),
        Route("/summary", control.summary),
        Route("/events", control.events),
        Route("/requests", control.requests),
        Route("/reset", control.reset, methods=["POST"]),
        Route("/settings", control.settings, methods=["GET", "PATCH", "PUT"]),
        Route("/flags", control.flags, methods=["GET", "PUT", "DELETE"]),
        Route("/faults", control.faults, methods=["GET", "POST", "DELETE"]),
        Route("/faults/{fault_id:int}", control.fault, methods=["DELETE"]),
        Route("/results", control.results, methods=["GET", "POST", "DELETE"]),
        Route("/results/{result_id:int}", control.result, methods=["DELETE"]),
        Route("/{path:path}", control.unknown, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
    ]


class Control:
    """The handlers of the control API over one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def index(self, _: Request) -> Response:
        return _json(_INDEX)

    async def unknown(self, request: Request) -> Response:
        return _json({"error": f"no such control: {request.url.path}", "controls": _INDEX}, status=404)

    async def summary(self, _: Request) -> Response:
        return _json(self._world.summary())

    async def events(self, request: Request) -> Response:
        parameters = dict(request.query_params)
        fields = parameters.pop("fields", None)
        wanted = msgspec.convert(parameters, _StrictEventFilter, strict=False)
        events = wanted.apply(self._world.events)
        forgotten = self._world.events_received - len(self._world.events)
        return _json({"events": _pick(events, fields), "forgotten": forgotten})

    async def requests(self, request: Request) -> Response:
        wanted = msgspec.convert(dict(request.query_params), _StrictRequestFilter, strict=False)
        forgotten = self._world.requests_received - len(self._world.requests)
        return _json({"requests": wanted.apply(self._world.requests), "forgotten": forgotten})

    async def reset(self, _: Request) -> Response:
        self._world.reset()
        return _json(self._world.summary())

    async def settings(self, request: Request) -> Response:
        if request.method != "GET":
            changes = await _object(request, self._world.limits.wire)
            current = msgspec.to_builtins(self._world.settings) if request.method == "PATCH" else {}
            self._world.settings = msgspec.convert({**current, **changes}, Settings)
        return _json(self._world.settings)

    async def flags(self, request: Request) -> Response:
        if request.method == "PUT":
            try:
                self._world.source.set(read_definitions(await _body(request, self._world.limits.wire)))
            except DefinitionsError as error:
                raise ControlError(f"these flags cannot be served: {error}") from None
        if request.method == "DELETE":
            self._world.source.set(None)
        return _json(self._world.source.describe())

    async def faults(self, request: Request) -> Response:
        if request.method == "POST":
            return _json(
                self._world.faults.add(read_fault(await _object(request, self._world.limits.wire))), status=201
            )
        if request.method == "DELETE":
            self._world.faults.clear()
        return _json({"faults": list(self._world.faults)})

    async def fault(self, request: Request) -> Response:
        fault_id = request.path_params["fault_id"]
        if not self._world.faults.remove(fault_id):
            return _json({"error": f"there is no fault {fault_id}: GET /_emulator/faults lists them"}, status=404)
        return Response(status_code=204)

    async def results(self, request: Request) -> Response:
        if request.method == "POST":
            fields = await _object(request, self._world.limits.wire)
            return _json(self._world.results.add(read_result(fields)), status=201)
        if request.method == "DELETE":
            self._world.results.clear()
        return _json({"results": list(self._world.results)})

    async def result(self, request: Request) -> Response:
        result_id = request.path_params["result_id"]
        if not self._world.results.remove(result_id):
            return _json({"error": f"there is no result {result_id}: GET /_emulator/results lists them"}, status=404)
        return Response(status_code=204)


class _StrictEventFilter(EventFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event filter out of a query string."""


class _StrictRequestFilter(RequestFilter, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request filter out of a query string."""


def read_fault(fields: dict[str, Any]) -> Fault:
    """A valid fault; raises `ControlError` for an invalid one."""
    return _read_scripted(fields, Fault)


def read_result(fields: dict[str, Any]) -> ScriptedResult:
    """A valid scripted result; raises `ControlError` for an invalid one."""
    return _read_scripted(fields, ScriptedResult)


def _read_scripted(fields: dict[str, Any], kind: type[Scripted]) -> Scripted:
    for own in ("id", "fired"):
        if own in fields:
            raise ControlError(f"`{own}` is assigned by the emulator: leave it out")
    scripted = msgspec.convert(fields, kind)
    if problem := scripted.problem():
        raise ControlError(problem)
    return scripted


def _pick(events: Sequence[ReceivedEvent], fields: str | None) -> Sequence[Any]:
    if not fields:
        return events
    names = [name.strip() for name in fields.split(",") if name.strip()]
    if unknown := [name for name in names if name not in ReceivedEvent.__struct_fields__]:
        known = ", ".join(ReceivedEvent.__struct_fields__)
        raise ControlError(f"an event has no field {unknown[0]!r}: choose `fields` from {known}")
    if len(names) == 1:
        return [{names[0]: getattr(event, names[0])} for event in events]
    values = attrgetter(*names)
    return [dict(zip(names, values(event), strict=True)) for event in events]


async def _body(request: Request, limit: int) -> bytes:
    """The body. Raises ControlError for one without JSON's content type, or longer than `limit` bytes.

    A page of another site can't send JSON without asking first, which the control API never allows.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise ControlError(f"the body is longer than {limit} bytes", 413)
        chunks.append(chunk)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if size and kind != "application/json":
        raise ControlError("send JSON, with Content-Type: application/json", 415)
    return b"".join(chunks)


async def _object(request: Request, limit: int) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(await _body(request, limit) or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ControlError(f"send a JSON object: {error}") from None
    if not isinstance(value, dict):
        raise ControlError("send a JSON object")
    return value


async def refuse(_: Request, error: Exception) -> Response:
    """The response to an invalid control request."""
    return _json({"error": str(error)}, status=getattr(error, "status", 400))


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")
