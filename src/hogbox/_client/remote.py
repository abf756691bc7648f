"""Remote evaluation: the flow that asks PostHog for one person's flags, as often as the wire protocol allows."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from hogbox._client.effect import Ask, Flow, Pause
from hogbox._events.exposure import FlagFacts
from hogbox._events.value import clean_properties, clean_text
from hogbox._http.response import NoReply
from hogbox._settings.client import ClientSettings
from hogbox._wire.flags import (
    ERRORS_WHILE_COMPUTING,
    FLAG_MISSING,
    RETRY_DELAY,
    FlagRecord,
    FlagsAnswer,
    FlagsFailure,
    FlagsRequest,
    flags_request,
    read_answer,
    worth_retrying,
)
from hogbox._wire.host import shorten
from hogbox._wire.library import USER_AGENT
from hogbox.errors import RemoteEvaluationError
from hogbox.flags import FlagResult
from hogbox.flags._person import Person
from hogbox.telemetry import ANSWERED, REMOTE, FlagsAsked, FlagsEvaluated, Telemetry

log = logging.getLogger("hogbox")


class Remote:
    """Evaluates flags at PostHog for one project. Safe to share between threads and across a fork."""

    def __init__(self, settings: ClientSettings, telemetry: Telemetry) -> None:
        self._settings = settings
        self._project = shorten(settings.project_token)
        self._telemetry = telemetry

    def ask(self, person: Person, keys: Sequence[str] | None) -> Flow[FlagsAnswer]:
        """The person's flags, or those of them with these keys. Raises RemoteEvaluationError."""
        began = time.perf_counter()
        try:
            answer = yield from self._ask(person, keys)
        except RemoteEvaluationError as error:
            self._telemetry.emit(FlagsAsked(self._project, error.reason, time.perf_counter() - began))
            raise
        self._telemetry.emit(FlagsAsked(self._project, ANSWERED, time.perf_counter() - began))
        if decided := sum(flag.value is not None for flag in answer.flags.values()):
            self._telemetry.emit(FlagsEvaluated(self._project, REMOTE, decided))
        return answer

    def _ask(self, person: Person, keys: Sequence[str] | None) -> Flow[FlagsAnswer]:
        request = self._request(person, keys)
        found = yield from self._once(request)
        for attempt in range(self._settings.flags_retries):
            if isinstance(found, FlagsAnswer) or not found[1]:
                break
            yield Pause(RETRY_DELAY * 2**attempt)
            found = yield from self._once(request)
        if isinstance(found, FlagsAnswer):
            return found
        failure = found[0]
        raise RemoteEvaluationError(
            f"PostHog did not evaluate the flags of project {self._project}: {failure.reason}: {failure.detail}",
            reason=failure.reason,
        )

    def _once(self, request: FlagsRequest) -> Flow[FlagsAnswer | tuple[FlagsFailure, bool]]:
        """An answer, or why there is none and whether to try again."""
        try:
            status, body = yield Ask(request)
        except NoReply as error:
            return FlagsFailure(error.reason, str(error)), True
        found = read_answer(status, body, hide=(self._settings.project_token,))
        return found if isinstance(found, FlagsAnswer) else (found, worth_retrying(status))

    def _request(self, person: Person, keys: Sequence[str] | None) -> FlagsRequest:
        parts = {
            "groups": dict(person.groups or {}),
            "person_properties": dict(person.person_properties or {}),
            "group_properties": {name: dict(one) for name, one in (person.group_properties or {}).items()},
        }
        cleaned, problems = clean_properties(parts)
        if problems:
            log.warning("flags are asked for with properties that JSON can't say: %s", "; ".join(problems[:5]))
        return flags_request(
            self._settings.project_token,
            clean_text(person.distinct_id),
            **cleaned,
            device_id=person.device_id,
            disable_geoip=self._settings.disable_geoip,
            keys=keys,
            sent_at=datetime.now(UTC).isoformat(),
            user_agent=USER_AGENT,
        )


def results_of(answer: FlagsAnswer) -> dict[str, FlagResult]:
    """The results of an answer, by key."""
    return {key: result_of(record) for key, record in answer.flags.items()}


def result_of(record: FlagRecord) -> FlagResult:
    """What PostHog says of one flag."""
    return FlagResult(
        record.key,
        record.value,
        record.reason,
        record.condition_index,
        record.payload,
        description=record.description,
        id=record.id,
        version=record.version,
        has_experiment=record.has_experiment,
    )


def facts_of(flag: FlagResult | None, answer: FlagsAnswer) -> FlagFacts:
    """What an exposure includes of a flag that PostHog evaluated, besides its value."""
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
