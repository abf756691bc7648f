"""Flag reader: local reads, remote reads, and what both leave behind. The same for every client."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from hogbox._events.exposure import FlagFacts
from hogbox._wire.flags import ERRORS_WHILE_COMPUTING, FLAG_MISSING, FlagsAnswer, RemoteFlag
from hogbox.errors import LocalEvaluationNotConfigured, RemoteEvaluationError, UsageError
from hogbox.exposure import Exposures
from hogbox.flag_cache import FlagCache, Sight
from hogbox.flags import FlagResult
from hogbox.local_flags import LocalFlags, Person
from hogbox.remote import Remote
from hogbox.settings import Settings
from hogbox.snapshot import Flags

log = logging.getLogger("hogbox")

REMOTE: Final = "remote"

_NOT_CONFIGURED: Final = (
    "no flag definitions were ever stored, and no key for them is set: set POSTHOG_PERSONAL_API_KEY for a worker, or "
    "ask PostHog for each flag with evaluate_flag, evaluate_flag_payload or evaluate_all_flags"
)

Result: TypeAlias = FlagResult | RemoteFlag


class FlagValues(NamedTuple):
    """Flags' values and payloads. Flags without a value, and values without a payload, are left out."""

    flags: dict[str, bool | str]
    payloads: dict[str, Any]
    complete: bool
    """Whether every flag that was asked for, and is known, has a value."""


class How(NamedTuple):
    """What a read takes besides the flag and the person."""

    fallback: str | None
    track: bool


class FlagReader:
    """Reads flags for one project. Safe to share between threads and across a fork."""

    def __init__(self, settings: Settings, cache: FlagCache, remote: Remote, exposures: Exposures) -> None:
        self._disabled = settings.disabled
        self._has_key = settings.personal_api_key is not None
        self._cache = cache
        self._remote = remote
        self._exposures = exposures

    def read(self, ctx: Any, key: str, person: Person, how: How) -> Result | None:
        """The flag's result, None or an inconclusive one where there is no value. Raises LocalEvaluationNotConfigured.

        An exposure is noted where the read has a value and tracks.
        """
        _require_key(key)
        local = self._local(ctx, how.fallback)
        result = None if local is None else local.evaluate(key, person)
        if result is not None and result.value is not None:
            if how.track and local is not None:
                self._expose(ctx, result, person, local)
            return result
        if how.fallback == REMOTE and not self._disabled:
            return self._fall_back(ctx, key, person, how.track) or result
        return result

    def read_all(self, ctx: Any, person: Person, keys: Iterable[str] | None, fallback: str | None) -> FlagValues:
        """The values and payloads of all flags, or of those with these keys. Never an exposure."""
        wanted = None if keys is None else list(keys)
        local = self._local(ctx, fallback)
        results: dict[str, Result] = {}
        if local is not None:
            known = set(local.flag_set.keys)
            results.update(
                local.flag_set.evaluate_all(
                    **person._asdict(), keys=None if wanted is None else [key for key in wanted if key in known]
                )
            )
        if fallback == REMOTE and not self._disabled:
            self._fill(results, person, None if local is None else wanted or list(local.flag_set.keys), wanted)
        return _values(results)

    def look_up_payload(self, ctx: Any, key: str, match_value: bool | str, fallback: str | None) -> Any:
        """The payload that a flag has for a value, whoever asks."""
        _require_key(key)
        if not isinstance(match_value, bool | str):
            raise UsageError(f"match_value is True, False or the key of a variant, not {match_value!r}")
        local = self._local(ctx, fallback)
        return None if local is None else local.payload(key, match_value)

    def snapshot(self, ctx: Any, person: Person, track: bool) -> Flags:
        """The person's flags as they are now."""
        expose = partial(self._expose, ctx) if track else None
        return Flags(self._local(ctx, None), person, datetime.now(UTC), expose)

    def snapshot_for_event(self, ctx: Any, person: Person) -> Flags | None:
        """The same for an event that is to tell of flags; None, and a warning, where none were ever stored."""
        try:
            return self.snapshot(ctx, person, track=False)
        except LocalEvaluationNotConfigured as error:
            log.warning("an event tells of no flags: %s", error)
            return None

    def ask(self, ctx: Any, key: str, person: Person, track: bool) -> RemoteFlag | None:
        """What PostHog says of a flag; None where it knows none. Raises RemoteEvaluationError."""
        _require_key(key)
        if self._disabled:
            return None
        answer = self._remote.ask(person, [key])
        flag = answer.flags.get(key)
        if (flag is None and answer.errors) or (flag is not None and flag.value is None):
            raise RemoteEvaluationError(
                f"PostHog could not evaluate {key!r}: {flag.description or flag.reason if flag else 'it failed'}",
                reason=ERRORS_WHILE_COMPUTING,
            )
        if track:
            value, payload = (flag.value, flag.payload) if flag else (None, None)
            self._exposures.note(ctx, person, key, value, payload, _facts(flag, answer))
        return flag

    def ask_all(self, person: Person, keys: Iterable[str] | None) -> FlagValues:
        """What PostHog says of all flags, or of those with these keys. Raises RemoteEvaluationError."""
        if self._disabled:
            return FlagValues({}, {}, False)
        answer = self._remote.ask(person, None if keys is None else list(keys))
        values = _values(answer.flags)
        return values._replace(complete=values.complete and not answer.errors)

    def _local(self, ctx: Any, fallback: str | None) -> LocalFlags | None:
        """The flags that this transaction sees; None where none can be read, and everything is inconclusive."""
        if fallback is not None and fallback != REMOTE:
            raise UsageError(f"fallback is None or 'remote', not {fallback!r}")
        if self._disabled:
            return None
        sight: Sight = self._cache.view(ctx)
        if sight.stamp is None and not self._has_key and fallback is None:
            raise LocalEvaluationNotConfigured(_NOT_CONFIGURED)
        return sight.flags

    def _expose(self, ctx: Any, result: FlagResult, person: Person, local: LocalFlags) -> None:
        key = result.key
        self._exposures.note(ctx, person, key, result.value, result.payload, local.facts(key))

    def _fall_back(self, ctx: Any, key: str, person: Person, track: bool) -> RemoteFlag | None:
        """What PostHog says of a flag that is inconclusive here; a failure of it is a warning (P8)."""
        try:
            return self.ask(ctx, key, person, track)
        except RemoteEvaluationError as error:
            log.warning("flag %r is inconclusive here, and %s", key, error)
            return None

    def _fill(
        self, results: dict[str, Result], person: Person, known: Sequence[str] | None, wanted: Sequence[str] | None
    ) -> None:
        """Ask PostHog for those that are inconclusive here; what is decided here stays."""
        missing = (
            wanted if known is None else [key for key in known if key not in results or not results[key].conclusive]
        )
        if missing is not None and not missing:
            return
        try:
            answer = self._remote.ask(person, missing)
        except RemoteEvaluationError as error:
            log.warning("flags are inconclusive here, and %s", error)
            return
        results.update({key: flag for key, flag in answer.flags.items() if missing is None or key in missing})


def _require_key(key: object) -> None:
    if not isinstance(key, str):
        raise UsageError(f"a flag's key is text, not {key!r}: get_feature_flag(ctx, 'new-checkout', distinct_id=...)")


def _values(results: dict[str, Any] | Any) -> FlagValues:
    decided = {key: result for key, result in results.items() if result.value is not None}
    payloads = {key: result.payload for key, result in decided.items()}
    return FlagValues(
        {key: result.value for key, result in decided.items()},
        {key: payload for key, payload in payloads.items() if payload is not None},
        len(decided) == len(results),
    )


def _facts(flag: RemoteFlag | None, answer: FlagsAnswer) -> FlagFacts:
    error = FLAG_MISSING if flag is None else ERRORS_WHILE_COMPUTING if answer.errors else None
    return FlagFacts(
        locally_evaluated=False,
        id=flag.id if flag else None,
        version=flag.version if flag else None,
        has_experiment=flag.has_experiment if flag else None,
        reason=(flag.description or flag.reason) if flag else None,
        request_id=answer.request_id,
        evaluated_at=answer.evaluated_at,
        error=error,
        minimal=answer.minimal_events,
    )
