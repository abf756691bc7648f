"""A small HTTP server beside a worker: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever runs it."""

from __future__ import annotations

import io
import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

from hogbox._delivery.health import WorkerHealth, hindrance, illness
from hogbox._operations.metrics.collector import Collector
from hogbox._operations.metrics.text import CONTENT_TYPE, render
from hogbox._store.connections.database import Database
from hogbox.errors import ConfigurationError
from hogbox.telemetry import Telemetry

log = logging.getLogger("hogbox.metrics")

_READ_SECONDS: Final = 10.0
"""For a whole request, and for each write of the answer."""

_PLAIN: Final = "text/plain; charset=utf-8"


_SHORTEST_PATIENCE: Final = 30.0
"""Seconds that a worker's loop may stand still at least: a statement of its own may take long."""


def serve(
    host: str,
    port: int | None,
    database: Database,
    telemetry: Telemetry,
    health: Callable[[], WorkerHealth],
    lease_seconds: float,
) -> AbstractContextManager[object]:
    """The server of one worker's metrics and health; nothing where there is no port."""
    if port is None:
        return nullcontext()
    return MetricsServer(host, port, Collector(database, telemetry), health, max(_SHORTEST_PATIENCE, lease_seconds))


class MetricsResponse(NamedTuple):
    """What a path is answered with."""

    status: int
    body: str
    kind: str = _PLAIN


class MetricsServer:
    """Answers from threads of its own, from `with` to its end.

    `patience` is how long the worker's loop may stand still, in seconds. Port 0 is a free one; `url` says which. Raises
    ConfigurationError, when it is made, where the address can't be listened on.
    """

    def __init__(
        self, host: str, port: int, collector: Collector, health: Callable[[], WorkerHealth], patience: float
    ) -> None:
        paths: dict[str, Callable[[], MetricsResponse]] = {
            "/metrics": lambda: MetricsResponse(200, render(collector.collect()), CONTENT_TYPE),
            "/healthz": lambda: _judged(illness(health(), patience)),
            "/readyz": lambda: _judged(hindrance(health(), patience)),
        }
        try:
            self._server = _Server(host, port, paths)
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"metrics can't be served at {host}, port {port} ({error}): choose another host or port for them"
            ) from error
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="hogbox-metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        log.info("metrics are at %s/metrics", self.url)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _judged(reason: str | None) -> MetricsResponse:
    return MetricsResponse(200, "ok\n") if reason is None else MetricsResponse(503, f"{reason}\n")


def _is_address(host: str | None) -> bool:
    """Whether no foreign DNS server can decide where this Host leads. Who sends none is no browser."""
    if host is None:
        return True
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name) is not None
    except ValueError:
        return False


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    read_seconds = _READ_SECONDS

    def __init__(self, host: str, port: int, paths: Mapping[str, Callable[[], MetricsResponse]]) -> None:
        self.paths = paths
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        address = str(self.server_address[0])
        self.addresses_only = ipaddress.ip_address(address.partition("%")[0]).is_loopback
        """Whether Host has to be an address or localhost.

        On a loopback address only this machine is meant to ask, and a page of another site could have its own name
        lead here. At other addresses Prometheus and probes ask for names that nothing here knows.
        """

    def server_bind(self) -> None:
        # Not HTTPServer's: it asks the network for the name of this machine, which may take seconds.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        """Who asks may go away before the answer: that is nothing to tell."""
        log.debug("a request for metrics failed", exc_info=True)


class _Reading(io.RawIOBase):
    """What a connection sends until a deadline.

    A time-out for each read would start again with every byte.
    """

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes. Raises TimeoutError after the deadline."""
        self._connection.settimeout(max(0.001, self._deadline - time.monotonic()))
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _READ_SECONDS
    server_version = "hogbox"
    sys_version = ""

    def do_GET(self) -> None:
        self.connection.settimeout(self.timeout)
        answer = self._answer()
        body = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def setup(self) -> None:
        """As for all requests, with a deadline for reading this one."""
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Reading(self.connection, time.monotonic() + self.server.read_seconds))

    do_HEAD = do_GET  # noqa: N815 - the name that the standard library looks for

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the standard library's name
        """Scrapes are not worth a line each."""

    def _answer(self) -> MetricsResponse:
        if self.server.addresses_only and not _is_address(self.headers.get("Host")):
            return MetricsResponse(403, "this Host is not allowed: ask for an IP address or localhost\n")
        give = self.server.paths.get(self.path.partition("?")[0])
        if give is None:
            return MetricsResponse(404, f"there are {', '.join(self.server.paths)}\n")
        try:
            return give()
        except Exception:
            log.exception("a request for %s failed in a way that hogbox did not foresee", self.path)
            return MetricsResponse(500, "it failed: see the log of the worker\n")
