"""Asynchronous change methods: those of `change_methods`, for asyncio. `AsyncPostHog` has them all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from hogbox._client.argument import GivenPerson
from hogbox._client.change_methods import first_state, listened_for
from hogbox._client.flag_change import FlagChanges, FlagResultChange
from hogbox._client.flag_listener import ChangesListener, LoopCallback, ResultListener
from hogbox._client.flag_reader import FlagReader
from hogbox._client.flag_stream import AsyncFlagChangeStream
from hogbox._client.flag_watch import FlagSubscription, FlagWatch
from hogbox._client.local_flags import FlagState


class AsyncChangeMethods:
    """Notices changed flag definitions, by a small query each `interval`, only while somebody listens.

    Arguments, results and what is raised are those of `ChangeMethods`. Callbacks may be coroutine functions, and are
    called in the event loop that was running; a change that comes while one is awaited is reported afterwards. They
    end with their loop, and a forked child has none.
    """

    _reader: FlagReader
    _watch: FlagWatch

    async def on_flags_changed(
        self, callback: Callable[[FlagChanges], object], *, interval: float | None = None
    ) -> FlagSubscription:
        """Call `callback` with the `FlagChanges` each time that flag definitions have changed from now on.

        Arguments, return value and errors are those of `PostHog.on_flags_changed`.
        """
        seconds, called = self._watch.interval(interval), LoopCallback(callback)
        return self._watch.subscribe(ChangesListener(called, await self._first(seconds)), seconds)

    async def on_flag_changed(
        self,
        key: str,
        callback: Callable[[FlagResultChange], object],
        *,
        distinct_id: str | int | UUID | None = None,
        groups: Mapping[str, Any] | None = None,
        person_properties: Mapping[str, Any] | None = None,
        group_properties: Mapping[str, Mapping[str, Any]] | None = None,
        device_id: str | None = None,
        properties_complete: bool | None = None,
        interval: float | None = None,
    ) -> FlagSubscription:
        """Call `callback` with a `FlagResultChange` each time that one person's value or payload of a flag has changed.

        Arguments, return value and errors are those of `PostHog.on_flag_changed`.
        """
        given = GivenPerson(distinct_id, groups, person_properties, group_properties, device_id, properties_complete)
        person = listened_for(self._reader, key, given)
        seconds, called = self._watch.interval(interval), LoopCallback(callback)
        return self._watch.subscribe(ResultListener(called, key, person, await self._first(seconds)), seconds)

    def flag_changes(self, *, interval: float | None = None) -> AsyncFlagChangeStream:
        """An iterator that waits for changes of flag definitions, until the client is shut down.

        Arguments, return value and errors are those of `PostHog.flag_changes`.
        """
        return AsyncFlagChangeStream(self._watch, self._watch.interval(interval))

    async def _first(self, interval: float) -> FlagState | None:
        """What later states are compared with; None where the database fails now."""
        return self._watch.known() or await asyncio.to_thread(first_state, self._watch, interval)
