"""Performer: carries out plans in the calling thread; for the synchronous client, and in hogbox's own transactions."""

from __future__ import annotations

import time
from typing import Any, TypeVar

from hogbox._client.step import Ask, Compute, Pause, Plan, Read, Step, Transact, Write
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit
from hogbox._store.handles.handle import Writer, explained
from hogbox._store.handles.portable import Portable, Rows
from hogbox.transport import FlagsTransport

T = TypeVar("T")


class Performer:
    """Carries out plans in the calling thread. Safe to share between threads and across a fork."""

    def __init__(self, database: Database, transport: FlagsTransport) -> None:
        self.writer = Writer()
        self._database = database
        self._transport = transport

    def perform(self, plan: Plan[T]) -> T:
        """The plan's result. Raises what its steps raise, unless the plan makes something else of it."""
        try:
            step = next(plan)
            while True:
                try:
                    outcome = self.do(step)
                except BaseException as error:
                    step = plan.throw(error)
                else:
                    step = plan.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result

    def write(self, ctx: Any, statement: Portable, values: tuple[Any, ...]) -> int:
        """Run the statement in the caller's transaction; where `ctx` is None, in one of its own."""
        if ctx is not None:
            return self.writer.write(ctx, statement, values)
        with self._database.begin() as connection:
            return self.writer.write(connection, statement, values)

    def do(self, step: Step) -> Any:
        """What the step comes to."""
        match step:
            case Read(ctx, statement, values):
                return self._read(ctx, statement, values)
            case Write(ctx, statement, values):
                return self.write(ctx, statement, values)
            case Transact(plan):
                with self._database.begin() as connection:
                    return self.perform(plan(connection))
            case Ask(request):
                return self._transport.post(request)
            case Pause(seconds):
                return time.sleep(seconds)
            case Compute(function):
                return function()

    def _read(self, ctx: Any, statement: Portable, values: tuple[Any, ...]) -> Rows:
        if ctx is not None:
            return self.writer.read(ctx, statement, values)
        with explained(), autocommit(self._database.engine).connect() as connection:
            return self.writer.read(connection, statement, values)
