"""Flag reader: local reads, remote reads, and what both leave behind. The same for every client."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from hogbox._client.argument import read_mapping
from hogbox._client.effect import Flow
from hogbox._client.exposure import Exposure, Exposures
from hogbox._client.flag_cache import Sight
from hogbox._client.flag_source import STAND_IN, FlagSource, ProjectFlags
from hogbox._client.local_flags import KnownFlags
from hogbox._client.remote import facts_of, result_of, results_of
from hogbox._client.snapshot import NOBODY, Flags, View, exposure_of, properties_of, undecided
from hogbox._delivery.condition import Condition
from hogbox._events.value import shown
from hogbox._settings.client import ClientSettings
from hogbox._wire.flags import ERRORS_WHILE_COMPUTING, FlagsAnswer
from hogbox._wire.host import shorten
from hogbox.errors import RemoteEvaluationError, UsageError
from hogbox.flags import FlagResult, Reason
from hogbox.flags._flag_set import fast_answer
from hogbox.flags._person import Person
from hogbox.telemetry import INCONCLUSIVE, LOCAL, FlagsEvaluated, Telemetry

log = logging.getLogger("hogbox")

REMOTE: Final = "remote"

_MOST_SAID: Final = 1000
"""Flags of which the log says one by one that PostHog can't evaluate them."""

_NO_DEFINITIONS: Final = (
    "no flag definitions of project %s are stored: flags are inconclusive, and their defaults are given; run `hogbox "
    "worker` or `hogbox refresh` with POSTHOG_PERSONAL_API_KEY and POSTHOG_PROJECT_TOKEN, or ask PostHog for each flag "
    "with evaluate_flag, evaluate_flag_payload or evaluate_all_flags"
)


class FlagValues(NamedTuple):
    """Flags' values and payloads. Flags without a value, and values without a payload, are left out."""

    flags: dict[str, bool | str]
    payloads: dict[str, Any]
    complete: bool
    """Whether every flag that was asked for, and is known, has a value."""


FlagValues.__module__ = "hogbox"


NO_VALUES: Final = FlagValues({}, {}, False)


class Usual(NamedTuple):
    """What holds for the reads of a client, unless a call says otherwise."""

    properties_complete: bool
    track_exposures: bool


class FlagReader:
    """The reads of one project's flags, as flows. Safe to share between threads and across a fork.

    Reads for nobody, as in the request of a visitor who is not signed in, are inconclusive, and make no request.
    """

    def __init__(
        self,
        settings: ClientSettings,
        source: ProjectFlags,
        exposures: Exposures,
        kinds: Container[type],
        usual: Usual,
        telemetry: Telemetry,
    ) -> None:
        self._disabled = settings.disabled
        self._own = source
        self._cache = source.cache
        self._exposures = exposures
        self._kinds = kinds
        self.usual = usual
        self._telemetry = telemetry
        self._handlers = telemetry.handlers
        self._project = shorten(settings.project_token)
        self._one_local = FlagsEvaluated(self._project, LOCAL, 1)
        self._one_inconclusive = FlagsEvaluated(self._project, INCONCLUSIVE, 1)
        self._unanswered_reads = Condition()
        self._uncomputed: set[str] = set()
        self._without_definitions = Condition()

    def read_plain(
        self,
        ctx: Any,
        key: str,
        distinct_id: object,
        properties: Mapping[str, Any] | None,
        complete: bool | None,
    ) -> FlagResult | None:
        """The usual read, without the detours of the others; None where one of them is needed."""
        if type(distinct_id) is not str or type(key) is not str or not distinct_id.isascii() or distinct_id[:1] <= " ":
            return None
        if ctx is not None and type(ctx) not in self._kinds:
            return None
        flag_set = self._cache.fresh()
        if flag_set is None or STAND_IN.replace is not None:
            return None
        known = {} if properties is None else properties
        if type(known) is not dict:
            return None
        result = fast_answer(
            flag_set, key, distinct_id, known, self.usual.properties_complete if complete is None else complete
        )
        if self._handlers and result is not None:
            self._telemetry.emit(self._one_inconclusive if result.value is None else self._one_local)
        return result

    def read(
        self, ctx: Any, key: str, person: Person | None, fallback: str | None, track: bool | None
    ) -> Flow[FlagResult | None]:
        """The flag's result; an inconclusive one where there is no value.

        An exposure is noted where the read has a value and tracks.
        """
        require_key(key)
        sight = yield from self._see(ctx, fallback, key, person)
        if person is None:
            return undecided(key, Reason.NOBODY)
        local = sight.flags
        result = undecided(key, _doubt_of(sight)) if local is None else local.evaluate(key, person)
        self._tell_evaluated(result)
        if result.value is not None:
            if self.tracks(track) and local is not None:
                yield from self._exposures.note(ctx, exposure_of(result, person, local))
            return result
        if fallback == REMOTE and not sight.final:
            return (yield from self._fall_back(ctx, key, person, track)) or result
        return result

    def read_all(
        self, ctx: Any, person: Person | None, keys: Iterable[str] | None, fallback: str | None
    ) -> Flow[FlagValues]:
        """The values and payloads of all flags, or of those with these keys. Never an exposure."""
        wanted = keys_of(keys)
        local = (yield from self._see(ctx, fallback)).flags
        if person is None:
            return NO_VALUES
        results: dict[str, FlagResult] = {}
        if local is not None:
            results.update(local.evaluate_all(person, wanted))
            self._tell_evaluated(*results.values())
        if fallback == REMOTE:
            yield from self._fill(results, person, None if local is None else wanted or list(local.keys), wanted)
        return _values(results)

    def look_up_payload(self, ctx: Any, key: str, match_value: bool | str, fallback: str | None) -> Flow[Any]:
        """The payload that a flag has for a value, whoever asks."""
        require_key(key)
        if not isinstance(match_value, bool | str):
            raise UsageError(f"match_value is True, False or the key of a variant, not {shown(match_value)}")
        local = (yield from self._see(ctx, fallback)).flags
        return None if local is None else local.payload(key, match_value)

    def view(self, ctx: Any, person: Person | None) -> Flow[View]:
        """The person's flags as they are now."""
        sight = yield from self._see(ctx, None)
        doubt = Reason.NOBODY if person is None else _doubt_of(sight) if sight.flags is None else None
        tell = self._tell_evaluated if self._handlers else None
        revision = sight.stamp and sight.stamp.revision
        return View(sight.flags if person else None, person or NOBODY, datetime.now(UTC), revision, tell, doubt)

    def told(
        self, ctx: Any, person: str | None, groups: Mapping[str, Any] | None, flags: Flags | None, wanted: bool
    ) -> Flow[Mapping[str, Any] | None]:
        """The properties by which an event tells of flags: of a snapshot, or of the definitions if that is wanted."""
        if flags is not None:
            return properties_of(flags)
        if person is None or not wanted:
            return None
        about = Person(person, read_mapping("groups", groups))
        return Flags((yield from self.view(ctx, about))).event_properties()

    def ask(self, ctx: Any, key: str, person: Person | None, track: bool | None) -> Flow[FlagResult | None]:
        """What PostHog says of a flag; None where it knows none. Raises RemoteEvaluationError."""
        require_key(key)
        answer = yield from self._answer(person, [key])
        if person is None or answer is None:
            return None
        record = answer.flags.get(key)
        flag = None if record is None else result_of(record)
        if (flag is None and answer.errors) or (flag is not None and flag.value is None):
            raise RemoteEvaluationError(
                f"PostHog could not evaluate {key!r}: {flag.description or flag.reason if flag else 'it failed'}",
                reason=ERRORS_WHILE_COMPUTING,
            )
        if self.tracks(track):
            value, payload = (flag.legacy_value, flag.payload) if flag else (None, None)
            yield from self._exposures.note(ctx, Exposure(person, key, value, payload, facts_of(flag, answer)))
        return flag

    def ask_all(self, person: Person | None, keys: Iterable[str] | None) -> Flow[FlagValues]:
        """What PostHog says of all flags, or of those with these keys. Raises RemoteEvaluationError."""
        answer = yield from self._answer(person, keys_of(keys))
        if answer is None:
            return NO_VALUES
        values = _values(results_of(answer))
        return values._replace(complete=values.complete and not answer.errors)

    def note(self, ctx: Any, exposure: Exposure) -> Flow[None]:
        """Capture an exposure of a snapshot, unless it is known."""
        return self._exposures.note(ctx, exposure)

    def tracks(self, choice: bool | None) -> bool:
        """Whether a read is an exposure: as the call says, else as is usual. Never where the client is disabled."""
        return not self._disabled and (self.usual.track_exposures if choice is None else choice)

    @property
    def _source(self) -> FlagSource:
        """Where flags come from now. All reads ask here, but for `read_plain`."""
        replace = STAND_IN.replace
        return self._own if replace is None else replace(self._own)

    def _see(
        self, ctx: Any, fallback: str | None, key: str | None = None, person: Person | None = None
    ) -> Flow[Sight[KnownFlags]]:
        """The flags that this transaction sees; without flags, none can be read, and everything is inconclusive.

        With a key, only this flag is read, for this person. Logs where nothing is stored, when that begins.
        """
        require_fallback(fallback)
        sight = yield from self._source.see(ctx, key, person)
        if sight.stamp is not None:
            self._without_definitions.end()
        elif fallback is None and not self._disabled and self._without_definitions.begin():
            log.warning(_NO_DEFINITIONS, self._project, extra={"project": self._project})
        return sight

    def _answer(self, person: Person | None, keys: Sequence[str] | None) -> Flow[FlagsAnswer | None]:
        """What PostHog says of the person's flags, or of those with these keys.

        None for nobody, and where the client is disabled. Raises RemoteEvaluationError.
        """
        if person is None:
            return None
        answer = yield from self._source.ask(person, keys)
        if answer is not None and self._unanswered_reads.end():
            log.info("PostHog answers questions for flags again", extra={"project": self._project})
        return answer

    def _unanswered(self, error: RemoteEvaluationError) -> None:
        """Say that reads fall back to PostHog in vain, when that begins; `_answer` says when it is over."""
        if self._unanswered_reads.begin():
            facts = {"project": self._project, "reason": error.reason}
            log.warning("flags are inconclusive here, and their defaults are given: %s", error, extra=facts)

    def _not_computed(self, key: str, error: RemoteEvaluationError) -> None:
        """Say that PostHog answers, but can't evaluate this flag; once for each."""
        if key not in self._uncomputed and len(self._uncomputed) < _MOST_SAID:
            self._uncomputed.add(key)
            facts = {"project": self._project, "reason": error.reason}
            log.warning("flag %r is inconclusive here, and %s", key, error, extra=facts)

    def _tell_evaluated(self, *results: FlagResult) -> None:
        """Count what was evaluated here."""
        if not self._handlers:
            return
        decided = sum(result.value is not None for result in results)
        for outcome, flags in ((LOCAL, decided), (INCONCLUSIVE, len(results) - decided)):
            if flags:
                self._telemetry.emit(FlagsEvaluated(self._project, outcome, flags))

    def _fall_back(self, ctx: Any, key: str, person: Person, track: bool | None) -> Flow[FlagResult | None]:
        """What PostHog says of a flag that is inconclusive here; a failure of it is a warning (P8)."""
        try:
            return (yield from self.ask(ctx, key, person, track))
        except RemoteEvaluationError as error:
            if error.reason == ERRORS_WHILE_COMPUTING:
                self._not_computed(key, error)
            else:
                self._unanswered(error)
            return None

    def _fill(
        self, results: dict[str, FlagResult], person: Person, known: Sequence[str] | None, wanted: Sequence[str] | None
    ) -> Flow[None]:
        """Ask PostHog for those that are inconclusive here; what is decided here stays."""
        missing = (
            wanted if known is None else [key for key in known if key not in results or not results[key].conclusive]
        )
        if missing is not None and not missing:
            return
        try:
            answer = yield from self._answer(person, missing)
        except RemoteEvaluationError as error:
            self._unanswered(error)
            return
        if answer is not None:
            found = results_of(answer)
            results.update({key: one for key, one in found.items() if missing is None or key in missing})


def _doubt_of(sight: Sight[KnownFlags]) -> Reason:
    """Why there are no flags: none are stored, or what is stored can't be read."""
    return Reason.NO_DEFINITIONS if sight.stamp is None else Reason.UNSUPPORTED_DEFINITION


def keys_of(keys: Iterable[str] | None) -> list[str] | None:
    """The keys asked for; a text is one key, though it is iterable."""
    if keys is None:
        return None
    return [keys] if isinstance(keys, str) else list(keys)


def require_fallback(fallback: object) -> None:
    """Raise UsageError for what can't be fallen back to."""
    if fallback is not None and fallback != REMOTE:
        raise UsageError(f"fallback is None or 'remote', not {shown(fallback)}")


def require_key(key: object) -> None:
    """Raise UsageError for what can't be a flag's key."""
    if not issubclass(type(key), str):
        raise UsageError(
            f"a flag's key is text, not {shown(key)}: get_feature_flag(ctx, 'new-checkout', distinct_id=...)"
        )


def _values(results: Mapping[str, FlagResult]) -> FlagValues:
    values = {key: result.legacy_value for key, result in results.items() if result.value is not None}
    flags = {key: value for key, value in values.items() if value is not None}
    payloads = {key: results[key].payload for key in flags}
    return FlagValues(
        flags, {key: payload for key, payload in payloads.items() if payload is not None}, len(flags) == len(results)
    )
