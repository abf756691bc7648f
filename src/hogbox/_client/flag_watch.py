"""Flag watch: looks for changed definitions for as long as somebody listens, once for all listeners of a client."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, Self, TypeAlias

from hogbox._client.effect import Flow
from hogbox._client.flag_cache import Sight
from hogbox._client.flag_source import STAND_IN, ProjectFlags
from hogbox._client.local_flags import FlagState, KnownFlags
from hogbox._client.runner import Runner
from hogbox._delivery.condition import Condition
from hogbox._events.value import error_text, shown
from hogbox.errors import UsageError

log = logging.getLogger("hogbox")

LEAST_INTERVAL: Final = 0.05
"""Seconds between two looks at least, whatever is asked for."""

_SHARED_FOR: Final = 0.5
"""Seconds for which a look serves others too, at most: many streams of one process wait at the same time."""

_JOINED_FOR: Final = 5.0
"""Seconds that a shutdown waits at most for a callback, or for a database that does not answer."""

Outcome: TypeAlias = Sight[KnownFlags] | Exception
"""What a look found, or why it failed."""

Listener: TypeAlias = Callable[[Outcome], None]
"""Receives the outcome of every look."""


class ListenerEnded(Exception):
    """A listener can no longer be called."""


class Ending:
    """Happens once: wakes the threads that wait for it, and calls what was entered."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._calls: dict[object, Callable[[], object]] = {}

    @property
    def happened(self) -> bool:
        """Whether it has happened."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait until it happens, at most `seconds`; whether it has."""
        return self._event.wait(seconds)

    def happen(self) -> None:
        """Wake all who wait."""
        self._event.set()
        for call in [*self._calls.values()]:
            with suppress(RuntimeError):  # an event loop that is closed: nobody waits in it
                call()

    @contextmanager
    def calling(self, call: Callable[[], object]) -> Iterator[None]:
        """Have this called when it happens, or now if it has."""
        entry = object()
        self._calls[entry] = call
        try:
            if self.happened:
                call()
            yield
        finally:
            self._calls.pop(entry, None)


class FlagSubscription:
    """A callback that is called when flags change, until this is closed: by `close`, by `with`, or by `shutdown`."""

    def __init__(self, watch: FlagWatch, listener: Listener, interval: float) -> None:
        self._watch = watch
        self._listener = listener
        self._closed = False
        self.interval: Final = interval
        """The seconds between two looks, at most."""

    def __repr__(self) -> str:
        return f"<FlagSubscription, {'closed' if self._closed else 'open'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether the callback is called no more."""
        return self._closed

    def close(self) -> None:
        """Stop calling the callback. May be called twice, and from the callback; does not wait for a running one."""
        self._closed = True
        self._watch.leave(self)

    def notify(self, outcome: Outcome) -> None:
        """Call the listener with what was found. What it raises is logged."""
        if self._closed:
            return
        try:
            self._listener(outcome)
        except ListenerEnded:
            self.close()
        except BaseException:
            # An exit too: the thread goes on for the others.
            log.exception("a callback for changed flags failed")


FlagSubscription.__module__ = "hogbox"


class FlagWatch:
    """Looks for one client. A thread exists only while there are subscriptions; a child of fork starts its own."""

    def __init__(
        self, source: ProjectFlags, runner: Runner, max_age: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.ending = Ending()
        """The shutdown of the client that comes next."""
        self._source = source
        self._runner = runner
        self._interval = max(max_age, LEAST_INTERVAL)
        self._clock = clock
        self._subscriptions: dict[int, FlagSubscription] = {}
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._outcome: tuple[float, Outcome] | None = None
        self._failing = Condition()
        self._follows_forks = False

    def interval(self, seconds: float | None) -> float:
        """The interval that is asked for, or the usual one. Raises UsageError for what is none."""
        if seconds is None:
            return self._interval
        if not _is_interval(seconds):
            raise UsageError(f"interval is a positive number of seconds, or None, not {shown(seconds)}")
        return max(float(seconds), LEAST_INTERVAL)

    def known(self) -> FlagState | None:
        """What the process knows without a look, if anything: what its reads go by."""
        current = None if STAND_IN.replace is not None or self._source.disabled else self._source.cache.current
        return None if current is None else FlagState.of(current)

    def look(self, interval: float) -> Outcome:
        """Look what is committed now; what another thread found just now will do."""
        self._follow_forks()
        with self._looking:
            now = self._clock()
            latest = self._outcome
            if latest is not None and now - latest[0] < min(interval / 2, _SHARED_FOR):
                return latest[1]
            outcome = self._look()
            self._outcome = (now, outcome)
            return outcome

    def subscribe(self, listener: Listener, interval: float) -> FlagSubscription:
        """Call the listener with the outcome of every look from now on, from a thread."""
        subscription = FlagSubscription(self, listener, interval)
        if self._source.disabled:
            return subscription
        self._follow_forks()
        with self._lock:
            self._subscriptions[id(subscription)] = subscription
            self._have_thread()
        self._wake.set()
        return subscription

    def leave(self, subscription: FlagSubscription) -> None:
        """Do not call this one any more; the thread ends with the last."""
        with self._lock:
            self._subscriptions.pop(id(subscription), None)
            is_last = not self._subscriptions
        if is_last:
            self._wake.set()

    def close(self, timeout: float | None) -> None:
        """End all subscriptions and streams, and wait for the thread."""
        with self._lock:
            ended, self._subscriptions = [*self._subscriptions.values()], {}
            ending, self.ending = self.ending, Ending()
            thread = self._thread
        ending.happen()
        for subscription in ended:
            subscription.close()
        self._wake.set()
        if thread is not None and thread is not threading.current_thread() and thread.is_alive():
            thread.join(_JOINED_FOR if timeout is None else min(timeout, _JOINED_FOR))

    def begin_anew(self) -> None:
        """In a child of fork, where the thread is not there, and locks may have been left locked."""
        self._lock, self._looking, self._wake = threading.Lock(), threading.Lock(), threading.Event()
        self._outcome = self._thread = None
        if self._subscriptions:
            self._have_thread()

    def _follow_forks(self) -> None:
        if not self._follows_forks:
            self._follows_forks = True
            _begin_anew_after_fork(weakref.ref(self))

    def _have_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="hogbox-flags", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                subscriptions = [*self._subscriptions.values()]
                if not subscriptions:
                    self._thread = None
                    return
                self._wake.clear()
            interval = min(one.interval for one in subscriptions)
            outcome = self.look(interval)
            for one in subscriptions:
                one.notify(outcome)
            self._wake.wait(interval)

    def _look(self) -> Outcome:
        try:
            sight = self._runner.run(self._read())
        except Exception as error:
            if self._failing.begin():
                log.warning("changed flags are not noticed: the database failed: %s", error_text(error))
            return error.with_traceback(None)
        if self._failing.end():
            log.info("changed flags are noticed again")
        return sight

    def _read(self) -> Flow[Sight[Any]]:
        replace = STAND_IN.replace
        return self._source.look() if replace is None else replace(self._source).see(None, None, None)


def _is_interval(seconds: object) -> bool:
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < math.inf


def _begin_anew_after_fork(watch: weakref.ref[FlagWatch]) -> None:
    def begin_anew() -> None:
        if (kept := watch()) is not None:
            kept.begin_anew()

    os.register_at_fork(after_in_child=begin_anew)
