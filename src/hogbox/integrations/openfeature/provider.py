"""Provider: OpenFeature's synchronous API over `PostHog`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagResolutionDetails, FlagType, FlagValueType
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from hogbox import FlagSubscription
from hogbox._client.flag_watch import Outcome
from hogbox._client.snapshot import state_of
from hogbox._settings.client import REMOTE
from hogbox.client import PostHog
from hogbox.errors import ConfigurationError
from hogbox.integrations.openfeature.evaluation import event_of, in_openfeatures_words, subject_of
from hogbox.integrations.openfeature.resolution import resolve
from hogbox.integrations.openfeature.watch import Watch

T = TypeVar("T")

Object = Sequence[FlagValueType] | Mapping[str, FlagValueType]

CurrentCtx = Callable[[], Any]

AT_ONCE: Final = 0.0
"""The interval of a look that another one can't stand in for."""


class HogboxProvider(AbstractProvider):
    """Evaluates flags with a `PostHog`, and writes tracking events into the outbox.

    Arguments:
        posthog: The client. `shutdown` of the provider does not shut it down.
        ctx: A function that returns the current transaction, in which definitions are read, and events and exposures
            are written: `lambda: db.session`. Default: none; hogbox commits in transactions of its own.
        fallback: `"remote"` to ask PostHog for flags that are inconclusive locally.
        track_exposures: Whether evaluations capture `$feature_flag_called`; default: the client's setting.
        watch_seconds: The interval, in seconds, at which a thread checks whether the definitions have changed, from
            `initialize` to `shutdown`: for processes that rarely evaluate flags. Default: no thread; evaluations detect
            changes.

    Evaluations raise OpenFeature's errors, which its client returns as details with the default value. Raises
    ConfigurationError for invalid arguments.
    """

    def __init__(
        self,
        posthog: PostHog,
        *,
        ctx: CurrentCtx | None = None,
        fallback: str | None = None,
        track_exposures: bool | None = None,
        watch_seconds: float | None = None,
    ) -> None:
        super().__init__()
        require_options(ctx, fallback)
        if watch_seconds is not None and not watch_seconds > 0:
            raise ConfigurationError(f"watch_seconds must be a positive number, not {watch_seconds!r}")
        self._posthog = posthog
        self._ctx = ctx or no_ctx
        self._fallback = fallback
        self._track_exposures = track_exposures
        self._watch = Watch(self.emit, remote=fallback == REMOTE)
        self._watch_seconds = None if watch_seconds is None else posthog._watch.interval(watch_seconds)
        self._subscription: FlagSubscription | None = None

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return Metadata("hogbox")

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002
        """Read the definitions. Raises OpenFeatureError if there are none, or the database's errors.

        The provider is in the state ERROR then, and READY as soon as an evaluation or the thread finds definitions.
        """
        self._watch.begin()
        if self._watch_seconds is not None:
            self.shutdown()
            self._subscription = self._posthog._watch.subscribe(self._watch.hear, self._watch_seconds)
        self._watch.accept(self._look())

    def shutdown(self) -> None:
        """Stop checking for changes."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Whether the flag is on, in whatever variant."""
        return self._resolve(FlagType.BOOLEAN, flag_key, default_value, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """The key of the variant; of a flag without variants, the payload that is text."""
        return self._resolve(FlagType.STRING, flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """The payload that is a whole number; without a payload, the key of the variant that reads as one."""
        return self._resolve(FlagType.INTEGER, flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """The payload that is a number; without a payload, the key of the variant that reads as one."""
        return self._resolve(FlagType.FLOAT, flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self, flag_key: str, default_value: Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Object]:
        """The payload that is an object or a list."""
        return self._resolve(FlagType.OBJECT, flag_key, default_value, evaluation_context)

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Capture an event in the transaction of `ctx`; raises what `PostHog.capture` raises."""
        event = event_of(evaluation_context, tracking_event_details)
        self._posthog.capture(self._ctx(), tracking_event_name, **event)

    def look(self) -> None:
        """Check whether the definitions have changed, and emit OpenFeature's events. Never raises."""
        self._watch.hear(self._look())

    def _resolve(
        self, kind: FlagType, key: str, default: T, context: EvaluationContext | None
    ) -> FlagResolutionDetails[T]:
        subject, ctx = subject_of(context), self._ctx()
        with in_openfeatures_words():
            snapshot = self._posthog.flags(ctx, **subject, track_exposures=self._track_exposures)
            if snapshot.distinct_id is not None:
                self._watch.see(state_of(snapshot), committed=ctx is None)
            result = snapshot.result(key)
            if self._fallback and not result.conclusive:
                asked = self._posthog.get_feature_flag_result(
                    ctx, key, **subject, fallback=self._fallback, track_exposures=self._track_exposures
                )
                found = asked or (None if snapshot.revision is None else result)
                return resolve(kind, key, default, found, snapshot)
        return resolve(kind, key, default, result, snapshot)

    def _look(self) -> Outcome:
        return self._posthog._watch.look(AT_ONCE)


def no_ctx() -> None:
    """The default `ctx`: no transaction."""


def require_options(ctx: object, fallback: object) -> None:
    """Raise ConfigurationError for invalid arguments of a provider."""
    if ctx is not None and not callable(ctx):
        raise ConfigurationError(f"ctx must be a function that returns the current transaction, not {ctx!r}")
    if fallback not in (None, REMOTE):
        raise ConfigurationError(f"fallback must be None or 'remote', not {fallback!r}")
