"""A server that only counts: a process of its own, as cheap as possible, the same for every client.

It takes any POST, plain or compressed, and answers as PostHog does: hogbox counts no other answer as a delivery. Events
are counted by a mark that each of them has once; while `keep` is set, bodies are kept, and `exact` parses them.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import multiprocessing
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

MARK: Final = b'"distinct_id":'
ACCEPTED: Final = b'{"status":"Ok"}'

_EVENTS, _REQUESTS, _LAST_ARRIVAL, _KEEP, _PORT = range(5)
_PATIENCE: Final = 600.0


class Exact(NamedTuple):
    """The events in the kept bodies, parsed, and how many uuids they have."""

    events: int
    unique: int


class CountingServer:
    """The running server, seen from the process that measures. Times are on the monotonic clock, which all share."""

    def __init__(self, shared: Any) -> None:
        self._shared = shared
        self.port = int(shared[_PORT])
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def events(self) -> int:
        """How many events have arrived since the server began."""
        return int(self._shared[_EVENTS])

    @property
    def requests(self) -> int:
        """How many requests have arrived since the server began."""
        return int(self._shared[_REQUESTS])

    @property
    def last_arrival(self) -> float:
        """When the newest request had arrived."""
        return float(self._shared[_LAST_ARRIVAL])

    def wait_for(self, events: int, seconds: float = _PATIENCE) -> float:
        """Wait until so many have arrived since the server began; when the last request of them had arrived."""
        deadline = time.monotonic() + seconds
        while self.events < events:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.events} of {events} events arrived within {seconds:.0f} s")
            time.sleep(0.0005)
        return self.last_arrival

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Keep bodies meanwhile, for `exact`."""
        self._shared[_KEEP] = 1
        try:
            yield
        finally:
            self._shared[_KEEP] = 0

    def exact(self) -> Exact:
        """Parse the kept bodies, and forget them."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", "/exact")
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return Exact(**answer)


@contextmanager
def counting_server() -> Iterator[CountingServer]:
    """A server for as long as the block lasts."""
    context = multiprocessing.get_context("spawn")
    shared: Any = context.RawArray("d", 5)
    process = context.Process(target=_serve, args=(shared,), daemon=True)
    process.start()
    try:
        while not shared[_PORT]:
            if not process.is_alive():
                raise RuntimeError("the counting server has ended")
            time.sleep(0.01)
        yield CountingServer(shared)
    finally:
        process.terminate()
        process.join()


def _serve(shared: Any) -> None:
    asyncio.run(_listen(shared))


async def _listen(shared: Any) -> None:
    kept: list[bytes] = []
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(shared, kept), "127.0.0.1", 0)
    shared[_PORT] = server.sockets[0].getsockname()[1]
    await server.serve_forever()


class _Connection(asyncio.Protocol):
    """One connection, kept alive: request after request."""

    def __init__(self, shared: Any, kept: list[bytes]) -> None:
        self._shared = shared
        self._kept = kept
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._take_request():
            pass

    def _take_request(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._buffer[:end]).lower()
        whole = end + 4 + _content_length(head)
        if len(self._buffer) < whole:
            return False
        body = bytes(self._buffer[end + 4 : whole])
        del self._buffer[:whole]
        self._answer(head, body)
        return True

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get /exact"):
            text = json.dumps(_parse(self._kept)._asdict()).encode()
            self._kept.clear()
            self._transport.write(_ok(text))
            return
        arrived = time.monotonic()
        self._transport.write(_ok(ACCEPTED))
        if b"content-encoding: gzip" in head:
            body = zlib.decompress(body, 16 + zlib.MAX_WBITS)
        if self._shared[_KEEP]:
            self._kept.append(body)
        self._shared[_LAST_ARRIVAL] = arrived
        self._shared[_REQUESTS] += 1
        self._shared[_EVENTS] += body.count(MARK)


def _ok(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


def _content_length(head: bytes) -> int:
    _, found, rest = head.partition(b"content-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def _parse(bodies: list[bytes]) -> Exact:
    events = [event for body in bodies for event in json.loads(body)["batch"]]
    return Exact(len(events), len({event["uuid"] for event in events}))
