"""Asynchronous runner: runs the same flows without ever blocking the event loop.

Statements in the caller's transaction and requests to PostHog are awaited. hogbox's own transactions are synchronous
and run in a thread, so that one database driver, the worker's, is enough.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from hogbox._client.effect import Ask, Effect, Flow, Pause, Read, Write
from hogbox._client.runner import Runner
from hogbox._http.flags import AsyncFlagsTransport
from hogbox._store.handles.async_handle import AsyncWriter
from hogbox._store.handles.portable import Portable

T = TypeVar("T")


class AsyncRunner:
    """Runs flows in the running event loop; one may serve several loops, one after the other or in threads."""

    def __init__(self, own: Runner, transport: AsyncFlagsTransport) -> None:
        self.writer = AsyncWriter()
        self._own = own
        self._transport = transport

    async def run(self, flow: Flow[T]) -> T:
        """The flow's result. Raises what its effects raise, unless the flow handles it."""
        try:
            effect = next(flow)
            while True:
                try:
                    outcome = await self._do(effect)
                except BaseException as error:
                    # The flow may handle it, or has to release something: a cancellation included.
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result

    async def write(self, ctx: Any, statement: Portable, values: tuple[Any, ...]) -> int:
        """Run the statement in the caller's transaction; if `ctx` is None, in a transaction of its own."""
        if ctx is not None:
            return await self.writer.write(ctx, statement, values)
        return await asyncio.to_thread(self._own.write, None, statement, values)

    async def _do(self, effect: Effect) -> Any:
        match effect:
            case Read(ctx, statement, values) if ctx is not None:
                return await self.writer.read(ctx, statement, values)
            case Write(ctx, statement, values):
                return await self.write(ctx, statement, values)
            case Ask(request):
                return await self._transport.send(request)
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case _:
                return await asyncio.to_thread(self._own.do, effect)
