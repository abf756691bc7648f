"""Fork gate: keeps the threads of a process out of hogbox's own connections while another thread forks.

A child has a copy of every lock as it was at that moment, and not the thread that would release it: SQLite's mutexes
and its table of locks, SQLAlchemy's, the driver's.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, Final

from sqlalchemy import Engine, Pool

_PATIENCE: Final = 1.0
"""Seconds that a fork waits: longer than a transaction of hogbox's own usually takes, short enough for a server that
starts its processes."""


class ForkGate:
    """Knows which threads are inside of connections. A fork waits until they are out, `patience` seconds at most."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self.reset()

    def reset(self) -> None:
        """Forget everything: after a fork the other threads belong to the parent."""
        # Its lock is reentrant: a signal handler may fork, and a garbage collection return a connection, within it.
        self._changed = threading.Condition()
        self._passing: list[int] = []
        self._holders: dict[int, int] = {}
        self._forking: list[int] = []

    def close(self) -> bool:
        """Let no other thread in, and wait until those inside are out; whether they are."""
        me = threading.get_ident()
        with self._changed:
            self._forking.append(me)
            return self._changed.wait_for(lambda: self._alone(me), self._patience)

    def open(self) -> None:
        """Let the other threads in again."""
        with self._changed:
            with suppress(ValueError):
                self._forking.remove(threading.get_ident())
            self._changed.notify_all()

    # Without the lock where nobody forks: who enters says so before it looks, and so does who forks.

    def enter(self) -> None:
        """Be inside until `leave`; waits while another thread forks. A thread that is inside is not stopped."""
        me = threading.get_ident()
        self._passing.append(me)
        if self._forking:
            self._give_way(me)

    def leave(self) -> None:
        """The opposite of `enter`. In the child of a fork nobody is inside."""
        with suppress(ValueError):
            self._passing.remove(threading.get_ident())
        if self._forking:
            self._tell()

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Inside, from here to the end."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def hold(self, key: int) -> None:
        """This thread is inside until the key is released, by whichever thread."""
        self._holders[key] = threading.get_ident()

    def release(self, key: int) -> None:
        """The opposite of `hold`; does nothing for a key that is not held."""
        self._holders.pop(key, None)
        if self._forking:
            self._tell()

    def _alone(self, me: int) -> bool:
        return not {*self._passing, *self._holders.values()} - {me}

    def _give_way(self, me: int) -> None:
        with self._changed:
            if me in self._forking or self._passing.count(me) > 1 or me in self._holders.values():
                return
            self._passing.remove(me)
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._forking)
            self._passing.append(me)

    def _tell(self) -> None:
        with self._changed:
            self._changed.notify_all()


class _Gated(Pool):
    """What a pool does where each connection is used behind a gate."""

    gate: ForkGate

    def connect(self) -> Any:
        gate = self.gate
        gate.enter()
        try:
            return super().connect()
        finally:
            gate.leave()

    def _do_get(self) -> Any:
        record = super()._do_get()
        self.gate.hold(id(record))
        return record

    def _do_return_conn(self, record: Any) -> None:
        try:
            super()._do_return_conn(record)
        finally:
            self.gate.release(id(record))


def put_behind(gate: ForkGate, engine: Engine) -> None:
    """Have the engine's connections opened, used and returned behind the gate; also those of pools made later."""
    # An engine made from one that is behind a gate has a class of that gate.
    kind = next(kind for kind in type(engine.pool).__mro__ if not issubclass(kind, _Gated))
    # A pool recreates itself as one of its own class.
    engine.pool.__class__ = type(kind.__name__, (_Gated, kind), {"gate": gate, "__module__": kind.__module__})


def gated(engine: Engine) -> AbstractContextManager[object]:
    """For what uses a connection that does not belong to the engine's pool any more."""
    pool = engine.pool
    return pool.gate.passing() if isinstance(pool, _Gated) else nullcontext()
