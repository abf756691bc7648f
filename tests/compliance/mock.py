"""The mock server of PostHog's harness, restated (wire protocol, Appendix B): it answers what a test scripted.

It judges nothing: that an event is what PostHog takes is checked against the emulator, in `test_transcription.py`.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Final, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

_FLAGS: Final = "/flags"
_V1: Final = ("/i/v1/analytics/events", "/i/v1/ai/events")
_DEFINITIONS: Final = ("/flags/definitions", "/api/feature_flag/local_evaluation")
_DETAILS: Final = {"retry": "not_persisted", "drop": "invalid_event", "limited": "person_processing_disabled"}
_NO_FLAGS: Final = {"featureFlags": {}, "featureFlagPayloads": {}, "errorsWhileComputingFlags": False}


@dataclass
class Exchange:
    """A request as it arrived, decoded, and the response that it got."""

    at: float
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    readable: bool
    status: int = 0
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: Any = None

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of a capture request."""
        batch = self.body.get("batch") if isinstance(self.body, dict) else None
        return [event for event in batch if isinstance(event, dict)] if isinstance(batch, list) else []

    @property
    def is_flags(self) -> bool:
        return self.path.rstrip("/") == _FLAGS


class MockServer:
    """Runs in a thread, on a free port, for as long as a `with` block lasts."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.definition_requests = 0
        self._script: list[Mapping[str, Any]] = []
        self._definitions: Mapping[str, Any] = {"flags": [], "cohorts": {}, "group_type_mapping": {}}
        app = Starlette()
        app.add_route("/{path:path}", self._answer, methods=["GET", "POST"])
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def script(self, responses: Sequence[Mapping[str, Any]]) -> None:
        """The responses to the next requests, whatever their paths; after them, every request succeeds."""
        self._script = list(responses)

    def define(self, definitions: Mapping[str, Any]) -> None:
        """What `/flags/definitions` serves."""
        self._definitions = definitions

    async def _answer(self, request: Request) -> Response:
        raw = await request.body()
        path = request.url.path
        if path.rstrip("/") in _DEFINITIONS:
            return self._serve_definitions(request)
        exchange = _received(request, raw)
        planned = self._script.pop(0) if self._script else {}
        body = _body(exchange, planned)
        headers = {"Date": formatdate(usegmt=True), **planned.get("headers", {})}
        if (identifier := exchange.headers.get("posthog-request-id")) is not None:
            headers["PostHog-Request-Id"] = identifier
        if _has_retry(body) or (path.rstrip("/") in _V1 and planned.get("status_code") in (408, 500, 503, 504)):
            headers.setdefault("Retry-After", "1")
        exchange.status, exchange.response_headers, exchange.response_body = (
            planned.get("status_code", 200),
            headers,
            body,
        )
        self.exchanges.append(exchange)
        text = body if isinstance(body, str) else json.dumps(body)
        return Response(text, exchange.status, headers, "application/json")

    def _serve_definitions(self, request: Request) -> Response:
        self.definition_requests += 1
        allowed = request.query_params.get("token") == "phc_test_key"
        if not allowed or request.headers.get("authorization") != "Bearer phx_test_key":
            return Response("{}", 401, media_type="application/json")
        return Response(json.dumps(self._definitions), media_type="application/json")


def _received(request: Request, raw: bytes) -> Exchange:
    readable = True
    try:
        encoding = request.headers.get("content-encoding")
        body = json.loads(gzip.decompress(raw) if encoding == "gzip" else raw) if raw else None
    except (ValueError, OSError, EOFError):
        body, readable = None, False
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Exchange(time.monotonic(), request.url.path, dict(request.query_params), headers, body, readable)


def _body(exchange: Exchange, planned: Mapping[str, Any]) -> Any:
    if (results := planned.get("v1_event_results")) is not None:
        return {
            "results": {event["uuid"]: _result(word) for event, word in zip(exchange.events, results, strict=False)}
        }
    if exchange.is_flags:
        given = planned.get("body")
        return {**_NO_FLAGS, **(json.loads(given) if given else {})}
    if "body" in planned:
        return planned["body"]
    if planned.get("status_code", 200) != 200:
        return {"error": "Mock error"}
    if exchange.path.rstrip("/") in _V1:
        return {"results": {event["uuid"]: {"result": "ok"} for event in exchange.events}}
    return {"status": "Ok"}


def _result(word: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(word, str):
        return word
    return {"result": word, "details": _DETAILS[word]} if word in _DETAILS else {"result": word}


def _has_retry(body: Any) -> bool:
    results = body.get("results") if isinstance(body, dict) else None
    return isinstance(results, dict) and any(one.get("result") == "retry" for one in results.values())
