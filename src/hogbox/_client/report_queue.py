"""Report queue: writes that nobody may wait for long, made by a thread that exists while there are any.

For exceptions that nobody caught: the process may be about to end, the event loop must go on, and the database may be
what is broken.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Final

from hogbox._events.token_bucket import TokenBuckets

_MOST_WAITING: Final = 100
"""Reports that wait; further ones are dropped."""

_LOCK_SECONDS: Final = 1.0

Act = Callable[[], object]


class _State:
    """What belongs to one process: in the child of a fork the thread is gone, and the lock may stay locked."""

    def __init__(self, process: int) -> None:
        self.process = process
        self.lock = threading.Lock()
        self.waiting: deque[tuple[Act, threading.Event]] = deque()
        self.buckets = TokenBuckets()
        self.thread: threading.Thread | None = None
        self.last: threading.Event | None = None


class ReportQueue:
    """Safe to share between threads and across a fork, and to call while garbage is collected."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._state = _State(os.getpid())

    def put(self, act: Act, key: Hashable, limited: Act, *, patient: bool = True) -> threading.Event | None:
        """Run `act` soon in another thread, or `limited` here if there were too many reports with this key.

        Returns what is set when it has run; None if it will not. Without `patient` it waits for no lock and does not
        call `limited`, as is needed during a collection of garbage, which may interrupt this method itself.
        """
        state = self._own_state()
        if sys.is_finalizing() or (state.thread is not None and state.thread.ident == threading.get_ident()):
            return None  # a thread that is started now would never run; a report must not cause another one
        if not state.lock.acquire(timeout=_LOCK_SECONDS if patient else 0):
            return None
        try:
            if len(state.waiting) >= _MOST_WAITING:
                return None
            if state.buckets.take(key, self._clock()):
                return _add(state, act)
        finally:
            state.lock.release()
        if patient:
            limited()
        return None

    def settle(self, timeout: float) -> None:
        """Wait until the reports of now are written, at most that many seconds."""
        if (last := self._own_state().last) is not None:
            last.wait(timeout)

    def _own_state(self) -> _State:
        state = self._state
        if state.process != os.getpid():
            state = self._state = _State(os.getpid())
        return state


def _add(state: _State, act: Act) -> threading.Event:
    done = threading.Event()
    state.waiting.append((act, done))
    if state.thread is None or not state.thread.is_alive():
        state.thread = threading.Thread(target=_run, args=(state,), name="hogbox-reports", daemon=True)
        try:
            state.thread.start()
        except BaseException:
            state.thread = None
            state.waiting.pop()
            raise
    state.last = done
    return done


def _run(state: _State) -> None:
    while True:
        with state.lock:
            if not state.waiting:
                state.thread = state.last = None
                return
            act, done = state.waiting.popleft()
        with suppress(BaseException):  # `act` reports its own failures
            act()
        del act
        done.set()
