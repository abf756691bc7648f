"""Flag reader: local reads, remote reads, and what both leave behind. The same for every client."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from hogbox._client.argument import read_mapping
from hogbox._client.effect import Flow
from hogbox._client.exposure import NO_TRACKING, Exposure, Exposures, Tracking, tracking_of
from hogbox._client.flag_cache import Sight
from hogbox._client.flag_source import STAND_IN, FlagSource, ProjectFlags
from hogbox._client.local_flags import KnownFlags
from hogbox._client.remote import Filling, facts_of, failed_facts, result_of, results_of
from hogbox._client.remote_config import RemoteConfigReader
from hogbox._client.snapshot import NOBODY, Flags, View, exposure_of, properties_of, two_valued, undecided
from hogbox._client.unresolved import Undecidable
from hogbox._delivery.condition import Condition, OnceEach
from hogbox._events.value import shown
from hogbox._settings.client import REMOTE, ClientSettings
from hogbox._wire.flag_record import ERRORS_WHILE_COMPUTING, EVALUATION_FAILED, UNKNOWN_ERROR
from hogbox._wire.flags import FlagsAnswer
from hogbox._wire.host import shorten
from hogbox.context import get_context_device_id
from hogbox.errors import RemoteEvaluationError, UsageError
from hogbox.flags import FlagResult, Reason
from hogbox.flags._flag_set import fast_answer
from hogbox.flags._person import Person
from hogbox.flags._result import legacy_form
from hogbox.telemetry import INCONCLUSIVE, LOCAL, FlagsEvaluated, Telemetry

log = logging.getLogger("hogbox")

_OF_ONE_FLAG: Final = (ERRORS_WHILE_COMPUTING, EVALUATION_FAILED, UNKNOWN_ERROR)
"""Codes with which PostHog answers that it can't evaluate a flag, or answers what can't be read."""

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


AT_DELIVERY: Final[Mapping[str, Any]] = {}
"""Stands for flag values that the worker asks PostHog for when it delivers the event."""

NO_VALUES: Final = FlagValues({}, {}, False)


class StoredFlagDefinitions(NamedTuple):
    """What a transaction sees of the project's flag definitions."""

    data: str | None
    """The document that PostHog served, as JSON; None where none is stored."""
    fetched_at: datetime | None
    """When it was stored."""
    etag: str | None
    """PostHog's ETag of it."""
    revision: int | None
    """Counts its changes, from 1."""
    configured: bool
    """Whether this client could refresh it: it has a token and a secret key, and is not disabled."""


StoredFlagDefinitions.__module__ = "hogbox"


def require_known(values: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The flag values, for an event that the worker sends as it is. Raises UsageError where it would have to ask."""
    if values is AT_DELIVERY:
        raise UsageError(
            "send_feature_flags='remote' is for capture only: pass True, or flags=posthog.flags(..., fallback='remote')"
        )
    return values


class Usual(NamedTuple):
    """What holds for the reads of a client, unless a call says otherwise."""

    properties_complete: bool
    track_exposures: bool | str


class Asking(NamedTuple):
    """How PostHog is asked for what is inconclusive here, if at all."""

    fallback: str | None = None
    disable_geoip: bool | None = None


NOT_ASKING: Final = Asking()


def asking_of(fallback: str | None, disable_geoip: bool | None) -> Asking:
    """How the arguments of a call say it; the same object where they say nothing, as nearly always."""
    return NOT_ASKING if fallback is None and disable_geoip is None else Asking(fallback, disable_geoip)


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
        self._remote_config = RemoteConfigReader(settings, telemetry)
        self.disabled = settings.disabled
        self._own = source
        self._cache = source.cache
        self._configured = settings.definitions_key is not None
        self._exposures = exposures
        self._kinds = kinds
        self.usual = usual
        self._usual_tracking = NO_TRACKING if settings.disabled else tracking_of(usual.track_exposures)
        self._telemetry = telemetry
        self._handlers = telemetry.handlers
        self._project = shorten(settings.project_token)
        self._one_local = FlagsEvaluated(self._project, LOCAL, 1)
        self._one_inconclusive = FlagsEvaluated(self._project, INCONCLUSIVE, 1)
        self._unanswered_reads = Condition()
        self._uncomputed = OnceEach()
        self._undecidable = Undecidable(settings.project_token)
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
        if result is not None and result.value is None and get_context_device_id() is not None:
            return None
        if self._handlers and result is not None:
            self._telemetry.emit(self._one_local if result.conclusive else self._one_inconclusive)
        return result

    def old_view(self, result: FlagResult, default: Any) -> Any:
        """What the caller of a plain read is given."""
        if not result.conclusive:
            self._undecidable.tell(result, self._cache.current and self._cache.current.flags)
        return two_valued(result, default)

    def read(
        self, ctx: Any, key: str, person: Person | None, asking: Asking, track: bool | str | None
    ) -> Flow[FlagResult | None]:
        """The flag's result; an inconclusive one where nothing decides it.

        An exposure is noted where the read tracks.
        """
        require_key(key)
        tracking = self.tracking(track)
        sight = yield from self._see(ctx, asking.fallback, key, person)
        if person is None:
            return undecided(key, Reason.NOBODY)
        local = sight.flags
        result = undecided(key, _doubt_of(sight)) if local is None else local.evaluate(key, person)
        self._tell_evaluated(result)
        if not result.conclusive and asking.fallback == REMOTE and not sight.final:
            return (yield from self._fall_back(ctx, key, person, asking, tracking)) or result
        if not result.conclusive:
            self._undecidable.tell(result, local)
        if tracking.local:
            yield from self._exposures.note(ctx, exposure_of(result, person, local))
        return result

    def read_all(self, ctx: Any, person: Person | None, keys: Iterable[str] | None, asking: Asking) -> Flow[FlagValues]:
        """The values and payloads of all flags, or of those with these keys. Never an exposure."""
        wanted = keys_of(keys)
        local = (yield from self._see(ctx, asking.fallback)).flags
        if person is None:
            return NO_VALUES
        results: dict[str, FlagResult] = {}
        if local is not None:
            results.update(local.evaluate_all(person, wanted))
            self._tell_evaluated(*results.values())
        if asking.fallback == REMOTE:
            known = None if local is None else wanted or list(local.keys)
            yield from self._fill(results, person, known, wanted, asking)
        return _values(results)

    def look_up_payload(self, ctx: Any, key: str, match_value: bool | str, fallback: str | None) -> Flow[Any]:
        """The payload that a flag has for a value, whoever asks."""
        require_key(key)
        if not isinstance(match_value, bool | str):
            raise UsageError(f"match_value is True, False or the key of a variant, not {shown(match_value)}")
        local = (yield from self._see(ctx, fallback)).flags
        return None if local is None else local.payload(key, match_value)

    def remote_config(self, ctx: Any, key: str) -> Flow[Any]:
        """The payload of a remote config flag; None if it has none. Raises RemoteEvaluationError."""
        require_key(key)
        sight = yield from self._source.see(ctx, None, None)
        return (yield from self._remote_config.read(sight, key))

    def view(
        self,
        ctx: Any,
        person: Person | None,
        keys: Iterable[str] | None = None,
        asking: Asking = NOT_ASKING,
    ) -> Flow[View]:
        """The person's flags as they are now, or those with these keys.

        With a fallback, one request asks PostHog if one of them is inconclusive here.
        """
        wanted = keys_of(keys)
        sight = yield from self._see(ctx, asking.fallback)
        doubt = Reason.NOBODY if person is None else _doubt_of(sight) if sight.flags is None else None
        tell = self._tell_evaluated if self._handlers else None
        revision = sight.stamp and sight.stamp.revision
        view = View(sight.flags if person else None, person or NOBODY, datetime.now(UTC), revision, tell, doubt, wanted)
        if person is None or asking.fallback != REMOTE or sight.final:
            return view
        flags = Flags(view)
        view = view._replace(results=flags.evaluated(flags.keys if wanted is None else wanted))
        if sight.flags is not None and all(result.conclusive for result in (view.results or {}).values()):
            return view
        try:
            answer = yield from self._answer(person, wanted, asking.disable_geoip)
        except RemoteEvaluationError as error:
            self._unanswered(error)
            return view._replace(filling=Filling(None, error.reason))
        return view if answer is None else view._replace(filling=Filling(answer))

    def event_properties(
        self, ctx: Any, person: str | None, groups: Mapping[str, Any] | None, flags: Flags | None, wanted: bool | str
    ) -> Flow[Mapping[str, Any] | None]:
        """The flag values in an event's properties: of a snapshot, or of the stored definitions if they are wanted.

        `AT_DELIVERY` where the worker is to ask PostHog.
        """
        if flags is not None:
            return properties_of(flags)
        if not isinstance(wanted, bool) and wanted != REMOTE:
            raise UsageError(f"send_feature_flags is True, False or 'remote', not {shown(wanted)}")
        if person is None or not wanted:
            return None
        if wanted == REMOTE:
            return AT_DELIVERY
        about = Person(person, read_mapping("groups", groups))
        return Flags((yield from self.view(ctx, about))).event_properties()

    def ask(
        self,
        ctx: Any,
        key: str,
        person: Person | None,
        track: bool | str | None,
        keys: Iterable[str] | None = None,
        disable_geoip: bool | None = None,
    ) -> Flow[FlagResult | None]:
        """What PostHog says of a flag; None where it knows none. Raises RemoteEvaluationError.

        The request is for this flag alone, or for the flags with these keys too.
        """
        require_key(key)
        tracking = self.tracking(track)
        if person is None:
            return None
        scope = [key] if keys is None else list(dict.fromkeys([*(keys_of(keys) or ()), key]))
        try:
            answer = yield from self._answer(person, scope, disable_geoip)
        except RemoteEvaluationError as error:
            if tracking.remote:
                yield from self._exposures.note(ctx, Exposure(person, key, None, None, failed_facts(error.reason)))
            raise
        if answer is None:
            return None
        record = answer.flags.get(key)
        flag = None if record is None else result_of(record)
        if tracking.remote:
            value, payload = (flag.value, flag.payload) if flag else (None, None)
            yield from self._exposures.note(ctx, Exposure(person, key, value, payload, facts_of(record, answer)))
        if (flag is None and answer.errors) or (flag is not None and flag.failed):
            raise RemoteEvaluationError(
                f"PostHog could not evaluate {key!r}: {flag.description or flag.reason if flag else 'it failed'}",
                reason=(record and record.error) or ERRORS_WHILE_COMPUTING,
            )
        return flag

    def ask_all(
        self, person: Person | None, keys: Iterable[str] | None, disable_geoip: bool | None = None
    ) -> Flow[FlagValues]:
        """What PostHog says of all flags, or of those with these keys. Raises RemoteEvaluationError."""
        if person is None:
            return NO_VALUES
        answer = yield from self._answer(person, keys_of(keys), disable_geoip)
        if answer is None:
            return NO_VALUES
        values = _values(results_of(answer))
        return values._replace(complete=values.complete and not answer.errors)

    def definitions(self, ctx: Any) -> Flow[StoredFlagDefinitions]:
        """The stored definitions, read from the database."""
        rows = () if self.disabled else (yield from self._cache.stored(ctx))
        if not rows:
            return StoredFlagDefinitions(None, None, None, None, self._configured)
        revision, fetched_at, etag, data = rows[0]
        text = data.decode() if isinstance(data, bytes) else data
        stored = datetime.fromtimestamp(fetched_at / 1000, UTC)
        return StoredFlagDefinitions(text, stored, etag, revision, self._configured)

    def note(self, ctx: Any, exposure: Exposure) -> Flow[None]:
        """Capture an exposure of a snapshot, unless it is known."""
        return self._exposures.note(ctx, exposure)

    def tracking(self, choice: bool | str | None) -> Tracking:
        """Which reads are exposures: as the call says, else as is usual. None where the client is disabled."""
        if choice is None:
            return self._usual_tracking
        tracking = tracking_of(choice)
        return NO_TRACKING if self.disabled else tracking

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
        elif fallback is None and not self.disabled and self._without_definitions.begin():
            log.warning(_NO_DEFINITIONS, self._project, extra={"project": self._project})
        return sight

    def _answer(
        self, person: Person, keys: Sequence[str] | None, disable_geoip: bool | None
    ) -> Flow[FlagsAnswer | None]:
        """What PostHog says of the person's flags, or of those with these keys.

        None where the client is disabled. Raises RemoteEvaluationError.
        """
        answer = yield from self._source.ask(person, keys, require_choice(disable_geoip))
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
        if self._uncomputed.begin(key):
            facts = {"project": self._project, "reason": error.reason}
            log.warning("flag %r is inconclusive here, and %s", key, error, extra=facts)

    def _tell_evaluated(self, *results: FlagResult) -> None:
        """Count what was evaluated here."""
        if not self._handlers:
            return
        decided = sum(result.conclusive for result in results)
        for outcome, flags in ((LOCAL, decided), (INCONCLUSIVE, len(results) - decided)):
            if flags:
                self._telemetry.emit(FlagsEvaluated(self._project, outcome, flags))

    def _fall_back(
        self, ctx: Any, key: str, person: Person, asking: Asking, tracking: Tracking
    ) -> Flow[FlagResult | None]:
        """What PostHog says of a flag that is inconclusive here; a failure of it is a warning (P8)."""
        track = tracking.remote
        try:
            return (yield from self.ask(ctx, key, person, track, disable_geoip=asking.disable_geoip))
        except RemoteEvaluationError as error:
            if error.reason in _OF_ONE_FLAG:
                self._not_computed(key, error)
            else:
                self._unanswered(error)
            return None

    def _fill(
        self,
        results: dict[str, FlagResult],
        person: Person,
        known: Sequence[str] | None,
        wanted: Sequence[str] | None,
        asking: Asking,
    ) -> Flow[None]:
        """Ask PostHog for those that are inconclusive here; what is decided here stays."""
        missing = (
            wanted if known is None else [key for key in known if key not in results or not results[key].conclusive]
        )
        if missing is not None and not missing:
            return
        try:
            answer = yield from self._answer(person, missing, asking.disable_geoip)
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


def require_choice(disable_geoip: object) -> bool | None:
    """Raise UsageError for what says neither yes nor no."""
    if disable_geoip is None or isinstance(disable_geoip, bool):
        return disable_geoip
    raise UsageError(f"disable_geoip is True, False or None, not {shown(disable_geoip)}")


def require_key(key: object) -> None:
    """Raise UsageError for what can't be a flag's key."""
    if not issubclass(type(key), str):
        raise UsageError(
            f"a flag's key is text, not {shown(key)}: get_feature_flag(ctx, 'new-checkout', distinct_id=...)"
        )


def _values(results: Mapping[str, FlagResult]) -> FlagValues:
    flags = {key: legacy_form(result.value) for key, result in results.items() if result.value is not None}
    payloads = {key: results[key].payload for key in flags}
    return FlagValues(
        flags, {key: payload for key, payload in payloads.items() if payload is not None}, len(flags) == len(results)
    )
