"""Snapshot: one person's flags, evaluated when they are asked for, and the same for as long as it is held."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from hogbox._client.exposure import Exposure
from hogbox._client.local_flags import FlagState, KnownFlags, changed_keys, no_flags
from hogbox._events.exposure import flag_properties
from hogbox._events.value import class_name
from hogbox.errors import InvalidEvent
from hogbox.flags import Explanation, FlagResult, Reason
from hogbox.flags._person import Person

Expose = Callable[[Exposure], None]
"""Notes that a person was given a flag's value."""

NOBODY: Final = Person("")
"""For whom no flags are read."""


_WORDS: Final = {
    Reason.NOBODY: "nobody is named for whom to evaluate it",
    Reason.NO_DEFINITIONS: "no flag definitions are stored",
    Reason.UNSUPPORTED_DEFINITION: "the stored flag definitions can't be read",
}


class View(NamedTuple):
    """What a snapshot is taken of: flags (None: none can be read), for a person, at a time."""

    local: KnownFlags | None
    person: Person
    now: datetime
    revision: int | None = None
    tell: Callable[[FlagResult], object] | None = None
    """Is told of each flag when it is evaluated."""
    doubt: Reason | None = None
    """Why every flag is inconclusive, where they all are."""


class Flags:
    """One person's view of the flags, as they were when it was taken. Made by `PostHog.flags`.

    Later changes of the definitions do not show in it, and the time for relative dates stands still. Pass it to
    `capture(..., flags=snapshot)` to tell an event what the person had. Reading it waits for nothing, unless exposures
    are tracked: then a value's first read writes in the transaction that it was taken in.
    """

    __slots__ = ("_doubt", "_expose", "_local", "_now", "_person", "_results", "_tell", "readable", "revision")

    revision: int | None
    """Counts the changes of the definitions that this was taken of; None where none were ever stored."""

    readable: bool
    """Whether there are definitions that hogbox can read; otherwise no flag is known."""

    def __init__(self, view: View, expose: Expose | None = None) -> None:
        self.revision = view.revision
        self.readable = view.local is not None
        self._local = view.local or no_flags()
        self._person = view.person
        self._now = view.now
        self._expose = expose
        self._tell = view.tell
        self._doubt = view.doubt
        self._results: dict[str, FlagResult] = {}

    def __repr__(self) -> str:
        return f"Flags({self._person.distinct_id!r}, {len(self._local.keys)} flags)"

    @property
    def distinct_id(self) -> str | None:
        """Whose flags; None where nobody is named, as in the request of a visitor who is not signed in."""
        return self._person.distinct_id or None

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all flags."""
        return self._local.keys

    def definition(self, key: str) -> Mapping[str, Any] | None:
        """A flag as PostHog defines it, None where there is none. Not to be changed: it is everybody's."""
        return self._local.definitions.get(key)

    def changed_since(self, earlier: Flags) -> tuple[str, ...]:
        """The keys of the flags that are new, gone or defined differently here than in an earlier snapshot.

        Where what flags share has changed, such as cohorts, it is all of them.
        """
        return changed_keys(earlier._local, self._local)

    def is_enabled(self, key: str, default: bool | None = None) -> bool | None:
        """Whether the flag is on, in whatever variant; the default where that is inconclusive."""
        enabled = self._read(key).enabled
        return default if enabled is None else enabled

    def get(self, key: str, default: Any = None) -> Any:
        """True, False or the key of a variant; the default where that is inconclusive."""
        value = self._read(key).value
        return default if value is None else value

    def payload(self, key: str, default: Any = None) -> Any:
        """The payload of the flag's value, decoded; the default where there is none. Never an exposure."""
        payload = self._result(key).payload
        return default if payload is None else payload

    def result(self, key: str) -> FlagResult:
        """The whole result, with its reason; an inconclusive one too."""
        return self._read(key)

    def all(self) -> dict[str, bool | str]:
        """Every flag's value; those that are inconclusive are left out. Never an exposure."""
        results = [self._result(key) for key in self.keys]
        values = {result.key: result.legacy_value for result in results if result.value is not None}
        return {key: value for key, value in values.items() if value is not None}

    def explain(self, key: str) -> Explanation:
        """Why the flag has its value: each condition, each property with the value seen, the rollout."""
        if self._doubt is not None:
            return Explanation(
                self._result(key), None, (), None, (), f"Flag {key!r} is inconclusive: {_WORDS[self._doubt]}."
            )
        return self._local.explain(key, self._person, self._now)

    def event_properties(self) -> dict[str, Any]:
        """What an event tells of these flags: `$feature/<key>` of each, and `$active_feature_flags`."""
        return flag_properties(self.all())

    def _read(self, key: str) -> FlagResult:
        """A read of the value, which is an exposure where those are tracked."""
        result = self._result(key)
        if self._expose is not None and result.value is not None:
            self._expose(exposure_of(result, self._person, self._local))
        return result

    def _result(self, key: str) -> FlagResult:
        result = self._results.get(key)
        if result is None:
            result = self._results[key] = (
                self._local.evaluate(key, self._person, self._now)
                if self._doubt is None
                else undecided(key, self._doubt)
            )
            if self._tell is not None:
                self._tell(result)
        return result


Flags.__module__ = "hogbox"


class AsyncFlags(Flags):
    """The same, made by `AsyncPostHog.flags`. Reading it is plain calls, and never waits.

    Where exposures are tracked they gather in it, until it is passed to `capture` or `write_exposures` is awaited. One
    that is dropped before leaves none.
    """

    __slots__ = ("_pending", "_write")

    def __init__(self, view: View, write: Callable[[Exposure], Awaitable[None]] | None = None) -> None:
        self._pending: list[Exposure] = []
        self._write = write
        super().__init__(view, self._pending.append if write else None)

    async def write_exposures(self) -> None:
        """Capture `$feature_flag_called` for the values read so far, in the transaction that it was taken in.

        Nothing is written where exposures are not tracked, or were written before. Raises what `capture` raises.
        """
        while self._pending and self._write:
            await self._write(self._pending[0])
            del self._pending[0]


AsyncFlags.__module__ = "hogbox"


def state_of(flags: Flags) -> FlagState:
    """The flags of a snapshot, whoever's they are."""
    return FlagState(flags.revision, flags._local if flags.readable else None)


def undecided(key: str, reason: Reason) -> FlagResult:
    """An inconclusive result."""
    return FlagResult(key, None, reason)


def exposure_of(result: FlagResult, person: Person, local: KnownFlags) -> Exposure:
    """That this person was given this result."""
    return Exposure(person, result.key, result.legacy_value, result.payload, local.facts(result.key))


def properties_of(flags: object) -> Mapping[str, Any]:
    """The properties that a snapshot adds to an event. InvalidEvent for anything else."""
    if issubclass(type(flags), Flags):
        return cast("Flags", flags).event_properties()
    raise InvalidEvent(f"flags is what PostHog.flags(ctx, ...) returned, not {class_name(flags)}")
