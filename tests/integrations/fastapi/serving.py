"""An application served over HTTP by uvicorn in a thread; and a WebSocket, for which uvicorn would need more."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import httpx2
import uvicorn
from starlette.types import ASGIApp, Message, Scope
from starlette.websockets import WebSocketDisconnect

from tests.fixtures.waiting import wait_until


@contextmanager
def served(app: ASGIApp) -> Iterator[httpx2.Client]:
    """A client of the application, which has started; afterwards it has ended."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(256)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="uvicorn")
        thread.start()
        try:
            wait_until(lambda: server.started or not thread.is_alive(), "the application to start")
            assert server.started, "the application did not start"
            with httpx2.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


async def converse(app: ASGIApp, path: str, said: Sequence[str], *, headers: dict[str, str]) -> list[Message]:
    """Open a WebSocket, say these texts, and hang up; what the application answered."""
    heard: list[Message] = []
    incoming: list[dict[str, Any]] = [
        {"type": "websocket.connect"},
        *({"type": "websocket.receive", "text": text} for text in said),
        {"type": "websocket.disconnect", "code": 1001},
    ]

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        heard.append(message)

    scope: Scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in {"host": "shop", **headers}.items()],
        "subprotocols": [],
        "client": ("192.0.2.7", 5000),
        "server": ("shop", 80),
        "state": {},
        "extensions": {},
    }
    with suppress(WebSocketDisconnect):  # servers log it
        await app(scope, receive, send)
    return heard
