"""Change methods: what a synchronous application calls to react to changed flags. `PostHog` has them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from hogbox._client.argument import GivenPerson
from hogbox._client.flag_change import FlagChanges, FlagResultChange
from hogbox._client.flag_listener import ChangesListener, ResultListener, ThreadCallback
from hogbox._client.flag_reader import FlagReader, require_key
from hogbox._client.flag_stream import FlagChangeStream
from hogbox._client.flag_watch import FlagSubscription, FlagWatch
from hogbox._client.local_flags import FlagState
from hogbox.errors import MissingDistinctId
from hogbox.flags._person import Person


class ChangeMethods:
    """Notices changed flag definitions, by a small query each `interval`, only while somebody listens.

    The `interval` is in seconds, and at least 0.05; default: the client's `definitions_max_age`. Changes that are not
    noticed for some time, because the database fails or a callback takes long, are reported later as one. Definitions
    that can't be read are no change. A client that is disabled notices nothing.
    """

    _reader: FlagReader
    _watch: FlagWatch

    def on_flags_changed(
        self, callback: Callable[[FlagChanges], object], *, interval: float | None = None
    ) -> FlagSubscription:
        """Call `callback` with the `FlagChanges` each time that flag definitions have changed from now on.

        It is called in a thread that all callbacks of the client share. What it raises is logged. A forked child has
        the callbacks too. Raises UsageError for invalid arguments.
        """
        seconds, called = self._watch.interval(interval), ThreadCallback(callback)
        return self._watch.subscribe(ChangesListener(called, self._first(seconds)), seconds)

    def on_flag_changed(
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

        It is evaluated locally at each look, with the arguments of `get_feature_flag` as they are passed now: it
        changes with the definitions, and with the time where a condition has a relative date. The `identify` callback
        is not called. Never an exposure. The rest is as with `on_flags_changed`; raises MissingDistinctId and
        InvalidPerson too.
        """
        given = GivenPerson(distinct_id, groups, person_properties, group_properties, device_id, properties_complete)
        person = listened_for(self._reader, key, given)
        seconds, called = self._watch.interval(interval), ThreadCallback(callback)
        return self._watch.subscribe(ResultListener(called, key, person, self._first(seconds)), seconds)

    def flag_changes(self, *, interval: float | None = None) -> FlagChangeStream:
        """An iterator that waits for changes of flag definitions, until the client is shut down.

        It begins with what this process knows of the flags, or what it finds when it is entered (`with`) or waits for
        the first time. Raises UsageError for an invalid interval.
        """
        return FlagChangeStream(self._watch, self._watch.interval(interval))

    def _first(self, interval: float) -> FlagState | None:
        """What later states are compared with; None where the database fails now."""
        return self._watch.known() or first_state(self._watch, interval)


def first_state(watch: FlagWatch, interval: float) -> FlagState | None:
    """What a look finds; None where it fails, which the watch has logged."""
    outcome = watch.look(interval)
    return None if isinstance(outcome, Exception) else FlagState.of(outcome)


def listened_for(reader: FlagReader, key: str, given: GivenPerson) -> Person:
    """The person whose flag is listened for. Raises UsageError, MissingDistinctId or InvalidPerson."""
    require_key(key)
    person = given.read(None, reader.usual.properties_complete)
    if person is None:
        raise MissingDistinctId()
    return person
