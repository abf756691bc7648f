"""Sockets with one deadline for all operations of an exchange.

Time-outs of HTTP libraries apply to single operations: a server that sends a byte before each expires keeps its client
waiting for ever. Here each operation gets the remaining time of the exchange, and so does name resolution.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any

from httpcore2 import (
    SOCKET_OPTION,
    ConnectError,
    ConnectTimeout,
    NetworkBackend,
    NetworkStream,
    ReadTimeout,
    SyncBackend,
    WriteTimeout,
)

_PIECE = 64 * 1024
"""Bytes per write: the deadline is checked between two pieces, so a slow receiver can't extend it."""


class Deadline(threading.local):
    """The monotonic time by which the exchange of this thread must end."""

    ends: float = float("inf")

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Limit the exchange in this block to a number of seconds."""
        self.ends = time.monotonic() + seconds
        try:
            yield
        finally:
            self.ends = float("inf")

    def left(self, error: type[Exception]) -> float | None:
        """The remaining seconds. Raises the error if there are none."""
        if self.ends == float("inf"):
            return None
        left = self.ends - time.monotonic()
        if left <= 0:
            raise error("the exchange took too long")
        return left


class DeadlineBackend(NetworkBackend):
    """Opens connections on which every operation keeps the deadline of the thread that uses them."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._inner = SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - what is left of the exchange's time is shorter
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        """Connect to the first address of the host that responds; each gets an equal share of the remaining time."""
        options = list(socket_options or ())
        failure: Exception = ConnectError(f"{host} has no address")
        addresses = self._resolve(host, port)
        for number, address in enumerate(addresses):
            left = self._deadline.left(ConnectTimeout)
            # One that drops packets (IPv6 without a route, a server that failed) must leave time for the others.
            share = None if left is None else left / (len(addresses) - number)
            try:
                stream = self._inner.connect_tcp(address, port, share, local_address, options)
            except (ConnectError, ConnectTimeout) as error:
                failure = error
            else:
                return _DeadlineStream(stream, self._deadline)
        raise failure

    def _resolve(self, host: str, port: int) -> list[str]:
        if _is_address(host):
            return [host]
        found: SimpleQueue[list[str] | OSError] = SimpleQueue()
        # The resolver can't be interrupted. If it takes too long, its thread is left to finish by itself.
        threading.Thread(target=_look_up, args=(host, port, found), name="hogbox-resolver", daemon=True).start()
        try:
            answer = found.get(timeout=self._deadline.left(ConnectTimeout))
        except Empty:
            raise ConnectTimeout(f"the name {host} was not resolved in time") from None
        if isinstance(answer, OSError):
            raise ConnectError(f"the name {host} can't be resolved: {answer}") from answer
        return answer


class _DeadlineStream(NetworkStream):
    """A connection that keeps the deadline."""

    def __init__(self, inner: NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left(ReadTimeout) or timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            self._inner.write(buffer[start : start + _PIECE], self._deadline.left(WriteTimeout) or timeout)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> NetworkStream:
        left = self._deadline.left(ConnectTimeout) or timeout
        return _DeadlineStream(self._inner.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _look_up(host: str, port: int, found: SimpleQueue[list[str] | OSError]) -> None:
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        found.put(error if isinstance(error, OSError) else OSError(str(error)))
    else:
        found.put(list(dict.fromkeys(str(row[4][0]) for row in rows)))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
