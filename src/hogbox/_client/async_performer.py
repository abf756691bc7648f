"""Asynchronous performer: carries out the same plans without ever blocking the event loop.

Callers' transactions and PostHog are awaited. hogbox's own transactions are synchronous, and run in a thread: so one
driver of the database is enough, that of the worker.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from hogbox._client.performer import Performer
from hogbox._client.step import Ask, Pause, Plan, Read, Step, Write
from hogbox._store.handles.async_handle import AsyncWriter
from hogbox._store.handles.portable import Portable
from hogbox.transport import AsyncFlagsTransport

T = TypeVar("T")


class AsyncPerformer:
    """Carries out plans in the running event loop; one may serve several loops, one after the other or in threads."""

    def __init__(self, own: Performer, transport: AsyncFlagsTransport) -> None:
        self.writer = AsyncWriter()
        self._own = own
        self._transport = transport

    async def perform(self, plan: Plan[T]) -> T:
        """The plan's result. Raises what its steps raise, unless the plan makes something else of it."""
        try:
            step = next(plan)
            while True:
                try:
                    outcome = await self._do(step)
                except BaseException as error:
                    step = plan.throw(error)
                else:
                    step = plan.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result

    async def write(self, ctx: Any, statement: Portable, values: tuple[Any, ...]) -> int:
        """Run the statement in the caller's transaction; where `ctx` is None, in one of its own."""
        if ctx is not None:
            return await self.writer.write(ctx, statement, values)
        return await asyncio.to_thread(self._own.write, None, statement, values)

    async def _do(self, step: Step) -> Any:
        match step:
            case Read(ctx, statement, values) if ctx is not None:
                return await self.writer.read(ctx, statement, values)
            case Write(ctx, statement, values):
                return await self.write(ctx, statement, values)
            case Ask(request):
                return await self._transport.post(request)
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case _:
                return await asyncio.to_thread(self._own.do, step)
