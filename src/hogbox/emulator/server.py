"""The HTTP server: uvicorn with h11, with connections that can be cut, and a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import Server as UvicornServer

from hogbox.emulator.app import CUT

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with no time: the peer sees a reset, not an orderly end


class CuttableProtocol(H11Protocol):
    """Puts into each request's scope a function that cuts its connection, with no byte of an answer."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._inner: ASGIApp = self.app
        self.app = self._with_cut

    async def _with_cut(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"] = {CUT: self._cut}
        with contextlib.suppress(asyncio.CancelledError):  # the server ends, and this request's connection is gone
            await self._inner(scope, receive, send)

    def _cut(self) -> None:
        self.cycle.disconnected = True
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()


class Server(UvicornServer):
    """Serves until it is stopped. `on_start` is called with the port as soon as it listens."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[int], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start(self.servers[0].sockets[0].getsockname()[1])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
        await asyncio.sleep(0)
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals stop the server and are not raised again, so that the process exits cleanly."""
        yield


@contextlib.contextmanager
def stopping_on_signals(server: Server) -> Iterator[None]:
    """SIGTERM and SIGINT stop the server, for as long as the context lasts. For the main thread only."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def bind(host: str, port: int) -> socket.socket:
    """A bound socket for the server, so that a port in use fails here and not in a thread."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, asyncio knows it for TCP and turns Nagle's delays off.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def create_server(app: ASGIApp, on_start: Callable[[int], None]) -> Server:
    """A server over an application, ready to run on a bound socket."""
    config = uvicorn.Config(
        app,
        http=CuttableProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,  # the emulated PostHog's clock may differ from this machine's
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )
    return Server(config, on_start)
