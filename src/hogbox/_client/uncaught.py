"""Uncaught exceptions: hooks of Python and asyncio that report what nobody caught, then go on as without hogbox.

Each hook calls the one that it replaced, whatever happens to the report, and is taken away at `close`. The process ends
with the same exit code and the same traceback; a database that does not respond delays it by `WAIT_SECONDS` at most.
"""

from __future__ import annotations

import asyncio
import atexit
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any, Final, NamedTuple

from hogbox._client.report_queue import ReportQueue
from hogbox._events.exception import recurrence_key
from hogbox._events.stamp import is_exception

WAIT_SECONDS: Final = 3.0
"""How long the end of a process or thread waits for the report of its exception."""

_NO_ERRORS: Final = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)

Write = Callable[[BaseException, str, str | None], None]
"""Writes an exception of a level and a source to the database. Never raises."""

Wait = Callable[[], object]


class UncaughtHook:
    """A function in place of another one, which it calls."""

    __slots__ = ("_notice", "closed", "previous")

    def __init__(self, previous: Callable[..., Any], notice: Callable[..., Wait | None]) -> None:
        self.previous = previous
        self.closed = False
        self._notice = notice

    def __call__(self, *args: Any) -> None:
        """Report, call the previous hook, and then wait: what it prints should not wait for the database."""
        wait = None
        if not self.closed:
            with suppress(BaseException):
                wait = self._notice(*args)
        try:
            self.previous(*args)
        finally:
            if wait is not None:
                with suppress(BaseException):  # a second Ctrl-C ends the waiting
                    wait()


class _Place(NamedTuple):
    """An attribute that holds a hook."""

    owner: Any
    name: str
    notice: Callable[..., Wait | None]


class Uncaught:
    """The hooks of one client."""

    def __init__(self, queue: ReportQueue, write: Write, limited: Callable[[], None]) -> None:
        self._queue = queue
        self._write = write
        self._limited = limited
        self._lock = threading.Lock()
        self._installed: list[tuple[_Place, UncaughtHook]] = []
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, UncaughtHook] = weakref.WeakKeyDictionary()
        self._closed = False

    def install(self) -> None:
        """Put the hooks in place, and the one of the event loop that is running here."""
        for place in (
            _Place(sys, "excepthook", self._at_the_end),
            _Place(threading, "excepthook", self._in_a_thread),
            _Place(sys, "unraisablehook", self._unraisable),
        ):
            hook = UncaughtHook(getattr(place.owner, place.name), place.notice)
            self._installed.append((place, hook))
            setattr(place.owner, place.name, hook)
        atexit.register(self._settle)
        self.watch_loop()

    def watch_loop(self) -> None:
        """Put a hook in place for the event loop that is running here, if any. Repeated calls change nothing."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        with self._lock:
            if self._closed or not self._installed or loop in self._loops:
                return
            before = loop.get_exception_handler()
            hook = UncaughtHook(before or _default_handler, self._in_a_loop)
            loop.set_exception_handler(hook)
            self._loops[loop] = hook

    def close(self, timeout: float | None) -> None:
        """Take the hooks away, and wait a little for reports. A hook that others have replaced only passes on."""
        with self._lock:
            self._closed = True
            loops = list(self._loops.items())
            self._loops.clear()
        for place, hook in self._installed:
            hook.closed = True
            if getattr(place.owner, place.name) is hook:
                setattr(place.owner, place.name, _open(hook))
        for loop, hook in loops:
            hook.closed = True
            if loop.get_exception_handler() is hook:
                found = _open(hook)
                loop.set_exception_handler(None if found is _default_handler else found)
        atexit.unregister(self._settle)
        self._queue.settle(WAIT_SECONDS if timeout is None else min(timeout, WAIT_SECONDS))

    def _settle(self) -> None:
        """For reports that nobody waits for, such as those of finalizers, when the process ends."""
        with suppress(BaseException):
            self._queue.settle(WAIT_SECONDS)

    def _at_the_end(self, kind: object, error: object, traceback: object) -> Wait | None:  # noqa: ARG002
        return self._report(error, "fatal", "python.sys_excepthook")

    def _in_a_thread(self, args: Any) -> Wait | None:
        return self._report(args.exc_value, "error", "python.threading_excepthook")

    def _unraisable(self, unraisable: Any) -> None:
        self._report(unraisable.exc_value, "error", "python.sys_unraisablehook", patient=False)

    def _in_a_loop(self, loop: object, context: Any) -> None:  # noqa: ARG002
        self._report(context.get("exception"), "error", "python.asyncio_exception_handler")

    def _report(self, error: object, level: str, source: str, *, patient: bool = True) -> Wait | None:
        if not is_exception(error) or issubclass(type(error), _NO_ERRORS):
            return None
        # With the context of this thread: it names the person and the span.
        act = partial(copy_context().run, self._write, error, level, source)
        done = self._queue.put(act, recurrence_key(error), self._limited, patient=patient)
        return None if done is None else partial(done.wait, WAIT_SECONDS)


def _default_handler(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    loop.default_exception_handler(context)


def _open(hook: Any) -> Any:
    """The nearest hook before this one that was not closed: clients may be shut down in any order."""
    while type(hook) is UncaughtHook and hook.closed:
        hook = hook.previous
    return hook
