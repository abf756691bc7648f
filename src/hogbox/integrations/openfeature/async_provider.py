"""Asynchronous provider: OpenFeature's awaited API over `AsyncPostHog`."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, NoReturn, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import GeneralError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagType
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from hogbox._client.flag_watch import Outcome
from hogbox._client.snapshot import state_of
from hogbox._settings.client import REMOTE
from hogbox.aio import AsyncPostHog
from hogbox.integrations.openfeature.evaluation import event_of, in_openfeatures_words, subject_of
from hogbox.integrations.openfeature.provider import AT_ONCE, CurrentCtx, Object, no_ctx, require_options
from hogbox.integrations.openfeature.resolution import resolve
from hogbox.integrations.openfeature.watch import Watch

T = TypeVar("T")

log = logging.getLogger("hogbox")


class AsyncHogboxProvider(AbstractProvider):
    """Evaluates flags with an `AsyncPostHog`, and writes tracking events into the outbox.

    For the methods of OpenFeature's client that end in `_async`; the others return the default and the error GENERAL.
    OpenFeature's own `track` can't be awaited: it captures in a transaction of its own, from a task. Await
    `track_async` to capture the event in your transaction.

    The arguments are those of `HogboxProvider`, without `watch_seconds`: run `watch` as a task instead.
    """

    def __init__(
        self,
        posthog: AsyncPostHog,
        *,
        ctx: CurrentCtx | None = None,
        fallback: str | None = None,
        track_exposures: bool | None = None,
    ) -> None:
        super().__init__()
        require_options(ctx, fallback)
        self._posthog = posthog
        self._ctx = ctx or no_ctx
        self._fallback = fallback
        self._track_exposures = track_exposures
        self._watch = Watch(self.emit, remote=fallback == REMOTE)
        self._tracking: set[asyncio.Task[None]] = set()

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return Metadata("hogbox")

    async def resolve_boolean_details_async(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Whether the flag is on, in whatever variant."""
        return await self._resolve(FlagType.BOOLEAN, flag_key, default_value, evaluation_context)

    async def resolve_string_details_async(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """The key of the variant; of a flag without variants, the payload that is text."""
        return await self._resolve(FlagType.STRING, flag_key, default_value, evaluation_context)

    async def resolve_integer_details_async(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """The payload that is a whole number; without a payload, the key of the variant that reads as one."""
        return await self._resolve(FlagType.INTEGER, flag_key, default_value, evaluation_context)

    async def resolve_float_details_async(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """The payload that is a number; without a payload, the key of the variant that reads as one."""
        return await self._resolve(FlagType.FLOAT, flag_key, default_value, evaluation_context)

    async def resolve_object_details_async(
        self, flag_key: str, default_value: Object, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Object]:
        """The payload that is an object or a list."""
        return await self._resolve(FlagType.OBJECT, flag_key, default_value, evaluation_context)

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise GeneralError("this provider is asynchronous: use the methods that end in _async, or HogboxProvider")

    resolve_boolean_details = _refuse
    resolve_string_details = _refuse
    resolve_integer_details = _refuse
    resolve_float_details = _refuse
    resolve_object_details = _refuse

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Capture an event in a transaction of its own, from a task of the running loop; a failure is logged."""
        event = event_of(evaluation_context, tracking_event_details)
        task = asyncio.get_running_loop().create_task(self._track_alone(tracking_event_name, event))
        self._tracking.add(task)
        task.add_done_callback(self._tracking.discard)

    async def track_async(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Capture an event in the transaction of `ctx`; raises what `AsyncPostHog.capture` raises."""
        event = event_of(evaluation_context, tracking_event_details)
        await self._posthog.capture(self._ctx(), tracking_event_name, **event)

    async def wait_for_tracked(self) -> None:
        """Wait until the events of all previous calls of `track` are written. Await it before the loop ends."""
        await asyncio.gather(*self._tracking)

    async def look(self) -> None:
        """Check whether the definitions have changed, and emit OpenFeature's events. Never raises."""
        self._watch.hear(await self._look())

    async def watch(self, seconds: float = 1.0) -> NoReturn:
        """Check every `seconds`, until the task is cancelled: for processes that rarely evaluate flags."""
        while True:
            await self.look()
            await asyncio.sleep(seconds)

    async def _resolve(
        self, kind: FlagType, key: str, default: T, context: EvaluationContext | None
    ) -> FlagResolutionDetails[T]:
        subject, ctx = subject_of(context), self._ctx()
        with in_openfeatures_words():
            snapshot = await self._posthog.flags(ctx, **subject, track_exposures=self._track_exposures)
            if snapshot.distinct_id is not None:
                self._watch.see(state_of(snapshot), committed=ctx is None)
            result = snapshot.result(key)
            await snapshot.write_exposures()
            if self._fallback and not result.conclusive:
                asked = await self._posthog.get_feature_flag_result(
                    ctx, key, **subject, fallback=self._fallback, track_exposures=self._track_exposures
                )
                found = asked or (None if snapshot.revision is None else result)
                return resolve(kind, key, default, found, snapshot)
        return resolve(kind, key, default, result, snapshot)

    async def _look(self) -> Outcome:
        return await asyncio.to_thread(self._posthog._watch.look, AT_ONCE)

    async def _track_alone(self, name: str, event: dict[str, Any]) -> None:
        try:
            await self._posthog.capture(None, name, **event)
        except Exception:
            log.exception("a tracking event could not be captured")
