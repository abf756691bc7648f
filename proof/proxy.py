"""A TCP proxy between a worker and its database or PostHog, whose connections can be cut, hang, or trickle."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Final, Self

_RESET: Final = struct.pack("ii", 1, 0)
_TURNS: Final = 5


class Proxy:
    """Forwards a free port of this machine to another address, in a thread, for as long as a `with` block lasts."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._lost: set[asyncio.StreamWriter] = set()
        self._drip: float | None = None
        self.dripped = 0
        self._open = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def __enter__(self) -> Self:
        listening = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listening,), name="proof-proxy", daemon=True)
        self._thread.start()
        listening.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def cut(self) -> int:
        """Reset every connection that is open; how many there were."""
        return asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result()

    def hold(self) -> None:
        """Let no byte through any more: what a network does whose cable is pulled."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def lose(self) -> int:
        """Swallow whatever the open connections carry from now on, without a reset; how many there are.

        New connections work: what a firewall does that has forgotten its state, or an address that has moved.
        """
        return asyncio.run_coroutine_threadsafe(self._lose(), self._loop).result()

    def drip(self, seconds: float | None) -> None:
        """Pause for these seconds before each byte of the answers that begin from now on; None: don't."""
        self._drip = seconds

    def release(self) -> None:
        """Let bytes through again."""
        self._loop.call_soon_threadsafe(self._open.set)

    def _run(self, listening: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._open.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        listening.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._end(server))
        self._loop.close()

    async def _end(self, server: asyncio.Server) -> None:
        # asyncio opens what it has accepted in later turns of the loop, and leaves it open where the server is closed
        # by then: stop accepting, let it finish, close.
        for listening in server.sockets:
            self._loop.remove_reader(listening.fileno())
        await _turn(_TURNS)
        server.close()
        await self._cut()
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # Transports close their sockets in the turns of the loop after this one.
            await _turn(_TURNS)

    async def _cut(self) -> int:
        writers = [*self._writers]
        for writer in writers:
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        return len(writers) // 2

    async def _lose(self) -> int:
        before = len(self._lost)
        self._lost |= self._writers
        return (len(self._lost) - before) // 2

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(self._forward(reader, far_writer), self._forward(far_reader, writer, answers=True))
        except asyncio.CancelledError:
            pass  # Some versions of asyncio log a handler that ends as cancelled as an error.
        finally:
            self._writers -= {writer, far_writer}
            self._lost -= {writer, far_writer}
            writer.close()
            far_writer.close()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._open.wait()
                if writer in self._lost:
                    continue
                pause = self._drip if answers else None
                for piece in [data] if pause is None else [bytes([byte]) for byte in data]:
                    if pause is not None:
                        self.dripped += 1
                        await asyncio.sleep(pause)
                    writer.write(piece)
                    await writer.drain()
        if writer not in self._lost:
            writer.close()


async def _turn(times: int) -> None:
    for _ in range(times):
        await asyncio.sleep(0)
