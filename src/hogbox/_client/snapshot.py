"""Snapshot: one person's flags, evaluated when they are asked for, and the same for as long as it is held."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple, Self, cast

from hogbox._client.exposure import NO_TRACKING, Exposure, Tracking, tracking_of
from hogbox._client.local_flags import FlagState, KnownFlags, changed_keys, in_contexts, no_flags, runs_in
from hogbox._client.remote import Filling
from hogbox._client.unresolved import reason_of
from hogbox._events.exposure import LOCAL_INCONCLUSIVE, FlagFacts, flag_properties
from hogbox._events.value import class_name
from hogbox._wire.flags import FLAG_MISSING
from hogbox.errors import InvalidEvent, UsageError
from hogbox.flags import Explanation, FlagResult, Reason
from hogbox.flags._person import Person
from hogbox.flags._result import legacy_form

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
    keys: Sequence[str] | None = None
    """The flags that are asked for; None for all."""
    filling: Filling | None = None
    """What PostHog said of those that are inconclusive here, where it was asked."""
    results: Mapping[str, FlagResult] | None = None
    """Those that are evaluated already."""


class Flags:
    """One person's view of the flags, as they were when it was taken. Made by `PostHog.flags`.

    Later changes of the definitions do not show in it, and the time for relative dates stands still. Pass it to
    `capture(..., flags=snapshot)` to tell an event what the person had. Reading it waits for nothing, unless exposures
    are tracked: then a value's first read writes in the transaction that it was taken in.
    """

    __slots__ = (
        "_accessed",
        "_doubt",
        "_expose",
        "_filling",
        "_keys",
        "_local",
        "_now",
        "_person",
        "_results",
        "_tell",
        "_tracking",
        "readable",
        "revision",
    )

    revision: int | None
    """Counts the changes of the definitions that this was taken of; None where none were ever stored."""

    readable: bool
    """Whether there are definitions that hogbox can read; otherwise no flag is known here."""

    def __init__(self, view: View, expose: Expose | None = None, tracking: Tracking = NO_TRACKING) -> None:
        """`tracking` is which reads are exposures unless a read says otherwise; without `expose` none is."""
        self.revision = view.revision
        self.readable = view.local is not None
        self._local = view.local or no_flags()
        self._person = view.person
        self._now = view.now
        self._expose = expose
        self._tracking = tracking
        self._tell = view.tell
        self._doubt = view.doubt
        self._keys = view.keys
        self._filling = view.filling
        self._results: dict[str, FlagResult] = dict(view.results or {})
        self._accessed: dict[str, None] = {}

    def __repr__(self) -> str:
        return f"Flags({self._person.distinct_id!r}, {len(self.keys)} flags)"

    @property
    def distinct_id(self) -> str | None:
        """Whose flags; None where nobody is named, as in the request of a visitor who is not signed in."""
        return self._person.distinct_id or None

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the flags: all, or those of the snapshot's `flag_keys`, `only` or `only_accessed`."""
        answer = self._filling.answer if self._filling else None
        known = dict.fromkeys((*self._local.keys, *(answer.flags if answer else ())))
        return tuple(known) if self._keys is None else tuple(key for key in dict.fromkeys(self._keys) if key in known)

    @property
    def unresolved(self) -> Mapping[str, str]:
        """The flags that are inconclusive, by key, each with the reason: a `Reason`, or `static_cohort`.

        With `fallback="remote"`, those that PostHog did not decide either.
        """
        results = (self._result(key) for key in self.keys)
        return {result.key: reason_of(result, self._local) for result in results if not result.conclusive}

    def keys_for(self, *, runtime: str = "all", contexts: Iterable[str] = ()) -> tuple[str, ...]:
        """The keys of the stored flags that are meant for a runtime, `server` or `client`, and for these contexts.

        A flag that names no runtime or no contexts is meant for all. `only(keys_for(runtime="client"))` is what a
        backend may hand to its own frontend.
        """
        if runtime not in ("all", "server", "client"):
            raise UsageError(f"runtime is 'server', 'client' or 'all', not {runtime!r}")
        wanted = [contexts] if isinstance(contexts, str) else list(contexts)
        found = ((key, self._local.definitions.get(key, {})) for key in self.keys)
        return tuple(key for key, flag in found if runs_in(flag, runtime) and (not wanted or in_contexts(flag, wanted)))

    def only(self, keys: Iterable[str]) -> Self:
        """The same snapshot, whose `keys`, `all` and `event_properties` are narrowed to these flags."""
        narrowed = copy(self)
        # A text is one key, though it is iterable.
        wanted = {keys} if isinstance(keys, str) else set(keys)
        narrowed._keys = [key for key in self.keys if key in wanted]
        narrowed._accessed = dict(self._accessed)
        return narrowed

    def only_accessed(self) -> Self:
        """The same snapshot, narrowed to the flags whose values were read from it so far, other than by `all`."""
        return self.only(self._accessed)

    def definition(self, key: str) -> Mapping[str, Any] | None:
        """A flag as PostHog defines it, None where there is none. Not to be changed: it is everybody's."""
        return self._local.definitions.get(key)

    def changed_since(self, earlier: Flags) -> tuple[str, ...]:
        """The keys of the flags that are new, gone or defined differently here than in an earlier snapshot.

        Where what flags share has changed, such as cohorts, it is all of them.
        """
        return changed_keys(earlier._local, self._local)

    def is_enabled(
        self, key: str, default: bool | None = None, *, track_exposures: bool | str | None = None
    ) -> bool | None:
        """Whether the flag is on, with whatever value; the default where that is inconclusive.

        `track_exposures` overrides the snapshot's, for this read.
        """
        value = two_valued(self._read(key, track_exposures), default)
        return value if value is None else value is not False

    def get(self, key: str, default: Any = None, *, track_exposures: bool | str | None = None) -> Any:
        """True, False, the key of a variant, or a text; the default where that is inconclusive.

        For a number or an object it is True; `result(key).value` is the typed value.
        """
        return two_valued(self._read(key, track_exposures), default)

    def payload(self, key: str, default: Any = None) -> Any:
        """The payload of the flag's value, decoded; the default where there is none. Never an exposure.

        `result(key).conclusive` says whether there is none, or the flag is inconclusive.
        """
        payload = self._result(key).payload
        return default if payload is None else payload

    def result(self, key: str, *, track_exposures: bool | str | None = None) -> FlagResult:
        """The whole result, with its typed value and its reason; an inconclusive one too."""
        return self._read(key, track_exposures)

    def all(self) -> dict[str, bool | str]:
        """Every flag's value, as `get` gives it; those without one are left out. Never an exposure."""
        results = [self._result(key) for key in self.keys]
        return {result.key: legacy_form(result.value) for result in results if result.value is not None}

    def explain(self, key: str) -> Explanation:
        """Why the flag has its value here: each condition, each property with the value seen, the rollout."""
        if self._doubt is not None:
            return Explanation(
                undecided(key, self._doubt), None, (), None, (), f"Flag {key!r} is inconclusive: {_WORDS[self._doubt]}."
            )
        return self._local.explain(key, self._person, self._now)

    def event_properties(self) -> dict[str, Any]:
        """What an event tells of these flags: `$feature/<key>` of each, and `$active_feature_flags`."""
        return flag_properties(self.all())

    def evaluated(self, keys: Iterable[str]) -> dict[str, FlagResult]:
        """The results of these flags. No exposure, and no access."""
        return {key: self._result(key) for key in keys}

    def _read(self, key: str, track: bool | str | None) -> FlagResult:
        """A read of the value, which is an exposure where those are tracked."""
        result = self._result(key)
        self._accessed[key] = None
        if self._expose is None or not self._person.distinct_id:
            return result
        tracking = self._tracking if track is None else tracking_of(track)
        if tracking.any:
            remote = self._is_remote(key)
            if tracking.remote if remote else tracking.local:
                self._expose(self._exposure_of(result, self._filling if remote else None))
        return result

    def _exposure_of(self, result: FlagResult, filling: Filling | None) -> Exposure:
        if filling is None:
            return exposure_of(result, self._person, self._local if self.readable else None)
        return Exposure(self._person, result.key, result.value, result.payload, filling.facts(result.key))

    def _is_remote(self, key: str) -> bool:
        """Whether PostHog was asked for the flag, because it is inconclusive here."""
        return self._filling is not None and not self._evaluated(key).conclusive

    def _result(self, key: str) -> FlagResult:
        result = self._evaluated(key)
        if result.conclusive or self._filling is None:
            return result
        return self._filling.result(key) or result

    def _evaluated(self, key: str) -> FlagResult:
        """The result here."""
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

    def __init__(
        self,
        view: View,
        write: Callable[[Exposure], Awaitable[None]] | None = None,
        tracking: Tracking = NO_TRACKING,
    ) -> None:
        self._pending: list[Exposure] = []
        self._write = write
        super().__init__(view, self._pending.append if write else None, tracking)

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


def two_valued(result: FlagResult | None, default: Any) -> Any:
    """The value for code that expects True, False or a text; the default if there is no value.

    Without a default, that is False for a flag that is decided and has no value of its own (wire protocol 6.7, rule 6).
    """
    if result is None:
        return default
    value = result.value
    if value is not None:
        return legacy_form(value)
    return False if default is None and result.conclusive else default


def exposure_of(result: FlagResult, person: Person, local: KnownFlags | None) -> Exposure:
    """That this person was given this result, which was evaluated here."""
    facts = _INCONCLUSIVE if local is None else local.facts(result.key)
    if not result.conclusive:
        error = FLAG_MISSING if result.reason == Reason.UNKNOWN_FLAG else LOCAL_INCONCLUSIVE
        facts = replace(facts, locally_evaluated=False, reason=None, error=error)
    return Exposure(person, result.key, result.value, result.payload, facts)


_INCONCLUSIVE: Final = FlagFacts(locally_evaluated=False)


def properties_of(flags: object) -> Mapping[str, Any]:
    """The properties that a snapshot adds to an event. InvalidEvent for anything else."""
    if issubclass(type(flags), Flags):
        return cast("Flags", flags).event_properties()
    raise InvalidEvent(f"flags is what PostHog.flags(ctx, ...) returned, not {class_name(flags)}")
