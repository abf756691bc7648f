"""Flag listeners: turn what a watch finds into calls of an application's callback."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Protocol

from hogbox._client.flag_change import FlagResultChange, FlagTracker, is_same_answer
from hogbox._client.flag_watch import ListenerEnded, Outcome
from hogbox._client.local_flags import FlagState
from hogbox._client.snapshot import undecided
from hogbox._events.value import shown
from hogbox.errors import UsageError
from hogbox.flags import FlagResult, Reason
from hogbox.flags._person import Person

log = logging.getLogger("hogbox")


class Callback(Protocol):
    """How the application's callback is called."""

    def ready(self) -> bool:
        """Whether it has returned from its last call. Until then, changes gather."""

    def call(self, change: Any) -> None:
        """Call it. Raises ListenerEnded where it can't be called any more."""


def _require_function(function: object) -> None:
    if not callable(function):
        raise UsageError(f"callback is a function of one argument, the change, not {shown(function)}")


class ThreadCallback:
    """Called in the watch's thread. Raises UsageError for what can't be called there."""

    def __init__(self, function: Callable[[Any], object]) -> None:
        _require_function(function)
        if iscoroutinefunction(function):
            raise UsageError("callback is a coroutine function, and PostHog is synchronous: use AsyncPostHog")
        self._function = function

    def call(self, change: Any) -> None:
        """Call it now."""
        self._function(change)

    def ready(self) -> bool:
        """Always: the thread waits for it."""
        return True


class LoopCallback:
    """Called, and awaited where it returns an awaitable, in the event loop that is running now."""

    def __init__(self, function: Callable[[Any], object]) -> None:
        _require_function(function)
        self._function = function
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Future[Any] | None = None
        self._busy = False

    def ready(self) -> bool:
        """Whether no call is under way."""
        if self._loop.is_closed():
            raise ListenerEnded
        return not self._busy

    def call(self, change: Any) -> None:
        """Have the loop call it."""
        self._busy = True
        try:
            self._loop.call_soon_threadsafe(self._begin, change)
        except RuntimeError as error:
            raise ListenerEnded from error

    def _begin(self, change: Any) -> None:
        try:
            found = self._function(change)
        except Exception:
            log.exception("a callback for changed flags failed")
            self._busy = False
            return
        if not isawaitable(found):
            self._busy = False
            return
        self._task = asyncio.ensure_future(found)
        self._task.add_done_callback(self._end)

    def _end(self, task: asyncio.Future[Any]) -> None:
        self._busy, self._task = False, None
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a callback for changed flags failed", exc_info=error)


class ChangesListener:
    """Calls back with the flags whose definitions have changed."""

    def __init__(self, callback: Callback, known: FlagState | None) -> None:
        self._callback = callback
        self._tracker = FlagTracker(known)

    def __call__(self, outcome: Outcome) -> None:
        if isinstance(outcome, Exception) or not self._callback.ready():
            return
        changes = self._tracker.see(FlagState.of(outcome))
        if changes is not None:
            self._callback.call(changes)


class ResultListener:
    """Calls back when a flag's value or payload for one person has changed. Never an exposure."""

    def __init__(self, callback: Callback, key: str, person: Person, known: FlagState | None) -> None:
        self._callback = callback
        self._key = key
        self._person = person
        self._result = None if known is None else self._evaluate(known)

    def __call__(self, outcome: Outcome) -> None:
        if isinstance(outcome, Exception) or not self._callback.ready():
            return
        state = FlagState.of(outcome)
        new = self._evaluate(state)
        if new is None:
            return
        old, self._result = self._result, new
        if old is not None and not is_same_answer(old, new):
            self._callback.call(FlagResultChange(self._key, self._person.distinct_id, old, new, state.revision))

    def _evaluate(self, state: FlagState) -> FlagResult | None:
        if state.flags is not None:
            return state.flags.evaluate(self._key, self._person)
        return undecided(self._key, Reason.NO_DEFINITIONS) if state.readable else None
