"""Connections of an event loop, which are closed if their exchange is cancelled during a handshake."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

from httpcore2 import SOCKET_OPTION, AnyIOBackend, AsyncNetworkBackend, AsyncNetworkStream


class ClosingBackend(AsyncNetworkBackend):
    """asyncio's connections. The deadline is enforced by the event loop, which cancels the exchange."""

    def __init__(self) -> None:
        self._inner = AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to the host."""
        return _ClosingStream(await self._inner.connect_tcp(host, port, timeout, local_address, socket_options))


class _ClosingStream(AsyncNetworkStream):
    def __init__(self, inner: AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._inner.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> AsyncNetworkStream:
        try:
            return _ClosingStream(await self._inner.start_tls(ssl_context, server_hostname, timeout))
        except BaseException:
            # The library closes it only for its own errors, not if the deadline cancels the handshake.
            await self._inner.aclose()
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
