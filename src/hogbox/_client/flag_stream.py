"""Flag streams: iterators over changes of the flags. Nothing runs but while somebody waits for the next one."""

from __future__ import annotations

import asyncio
import time
from typing import Self

from hogbox._client.flag_change import FlagChanges, FlagTracker
from hogbox._client.flag_watch import FlagWatch, Outcome
from hogbox._client.local_flags import FlagState


class _Stream:
    """What both streams share."""

    def __init__(self, watch: FlagWatch, interval: float) -> None:
        self._watch = watch
        self._ending = watch.ending
        self._interval = interval
        self._tracker = FlagTracker(watch.known())
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether it has ended: it was closed, or the client was shut down."""
        return self._closed or self._ending.happened

    def _see(self, outcome: Outcome) -> FlagChanges | None:
        return None if isinstance(outcome, Exception) else self._tracker.see(FlagState.of(outcome))


class FlagChangeStream(_Stream):
    """Changes of the flags, one after the other: `for change in posthog.flag_changes()`. Made by `PostHog`.

    For one thread. It looks into the database while it waits, and ends when the client is shut down. What changes
    between two looks, or while nobody waits, is one change.
    """

    def __enter__(self) -> Self:
        """Read the current state: all later changes are reported."""
        if not self._tracker.known:
            self._see(self._watch.look(self._interval))
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> FlagChanges:
        change = self.wait()
        if change is None:
            raise StopIteration
        return change

    def wait(self, timeout: float | None = None) -> FlagChanges | None:
        """Wait for the next change, at most `timeout` seconds; None if there is none, or the stream has ended."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.closed:
            change = self._see(self._watch.look(self._interval))
            if change is not None:
                return change
            left = self._interval if deadline is None else min(self._interval, deadline - time.monotonic())
            if left <= 0:
                return None
            self._ending.wait(left)
        return None

    def close(self) -> None:
        """End it, at the next look where another thread waits. May be called twice."""
        self._closed = True


FlagChangeStream.__module__ = "hogbox"


class AsyncFlagChangeStream(_Stream):
    """Changes of the flags, one after the other: `async for change in posthog.flag_changes()`. Made by `AsyncPostHog`.

    For one task. It looks into the database while it waits, from a thread, and ends when the client is shut down. A
    task that is cancelled while it waits leaves nothing behind.
    """

    async def __aenter__(self) -> Self:
        """Read the current state: all later changes are reported."""
        if not self._tracker.known:
            self._see(await asyncio.to_thread(self._watch.look, self._interval))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FlagChanges:
        change = await self.wait()
        if change is None:
            raise StopAsyncIteration
        return change

    async def wait(self, timeout: float | None = None) -> FlagChanges | None:
        """Wait for the next change, at most `timeout` seconds; None if there is none, or the stream has ended."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.closed:
            change = self._see(await asyncio.to_thread(self._watch.look, self._interval))
            if change is not None:
                return change
            left = self._interval if deadline is None else min(self._interval, deadline - time.monotonic())
            if left <= 0:
                return None
            await self._pause(left)
        return None

    def close(self) -> None:
        """End it, at the next look where another task waits. May be called twice."""
        self._closed = True

    async def _pause(self, seconds: float) -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        with self._ending.calling(lambda: loop.call_soon_threadsafe(ended.set)):
            try:
                await asyncio.wait_for(ended.wait(), seconds)
            except TimeoutError:
                return


AsyncFlagChangeStream.__module__ = "hogbox"
