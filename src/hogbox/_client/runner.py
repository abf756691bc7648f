"""Runner: runs flows in the calling thread; for the synchronous client, and in hogbox's own transactions."""

from __future__ import annotations

import time
from typing import Any, TypeVar

from hogbox._client.effect import Ask, Compute, Effect, Flow, Pause, Read, Transact, Write
from hogbox._http.flags import FlagsTransport
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit
from hogbox._store.handles.handle import Writer, explained
from hogbox._store.handles.portable import Portable, Rows

T = TypeVar("T")


class Runner:
    """Runs flows in the calling thread. Safe to share between threads and across a fork."""

    def __init__(self, database: Database, transport: FlagsTransport) -> None:
        self.writer = Writer()
        self._database = database
        self._transport = transport

    def run(self, flow: Flow[T]) -> T:
        """The flow's result. Raises what its effects raise, unless the flow handles it."""
        try:
            effect = next(flow)
            while True:
                try:
                    outcome = self.do(effect)
                except BaseException as error:
                    # The flow may handle it, or has to release something: KeyboardInterrupt included.
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration as end:
            result: T = end.value
            return result

    def write(self, ctx: Any, statement: Portable, values: tuple[Any, ...]) -> int:
        """Run the statement in the caller's transaction; if `ctx` is None, in a transaction of its own."""
        if ctx is not None:
            return self.writer.write(ctx, statement, values)
        with self._database.begin() as connection:
            return self.writer.write(connection, statement, values)

    def do(self, effect: Effect) -> Any:
        """The result of the effect."""
        match effect:
            case Read(ctx, statement, values):
                return self._read(ctx, statement, values)
            case Write(ctx, statement, values):
                return self.write(ctx, statement, values)
            case Transact(flow):
                with self._database.begin() as connection:
                    return self.run(flow(connection))
            case Ask(request):
                return self._transport.send(request)
            case Pause(seconds):
                return time.sleep(seconds)
            case Compute(function):
                return function()

    def _read(self, ctx: Any, statement: Portable, values: tuple[Any, ...]) -> Rows:
        if ctx is not None:
            return self.writer.read(ctx, statement, values)
        with explained(), autocommit(self._database.engine).connect() as connection:
            return self.writer.read(connection, statement, values)
