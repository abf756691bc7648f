"""Remote evaluation: the flow that asks PostHog for one person's flags, as often as the wire protocol allows."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from hogbox._client.effect import Ask, Flow, Pause
from hogbox._events.attribution import RULES, Attribution, attribute
from hogbox._events.exposure import FlagFacts
from hogbox._events.value import clean_properties, clean_text
from hogbox._http.response import NoReply
from hogbox._settings.client import ClientSettings
from hogbox._wire.flag_record import ERRORS_WHILE_COMPUTING, UNKNOWN_ERROR, FlagRecord
from hogbox._wire.flags import (
    FLAG_MISSING,
    RETRY_DELAY,
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

    def ask(self, person: Person, keys: Sequence[str] | None, disable_geoip: bool | None = None) -> Flow[FlagsAnswer]:
        """The person's flags, or those of them with these keys. Raises RemoteEvaluationError."""
        began = time.perf_counter()
        try:
            answer = yield from self._ask(self._request(person, keys, disable_geoip))
        except RemoteEvaluationError as error:
            self._telemetry.emit(FlagsAsked(self._project, error.reason, time.perf_counter() - began))
            raise
        self._telemetry.emit(FlagsAsked(self._project, ANSWERED, time.perf_counter() - began))
        if decided := sum(flag.decided for flag in answer.flags.values()):
            self._telemetry.emit(FlagsEvaluated(self._project, REMOTE, decided))
        return answer

    def _ask(self, request: FlagsRequest) -> Flow[FlagsAnswer]:
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

    def _request(self, person: Person, keys: Sequence[str] | None, disable_geoip: bool | None) -> FlagsRequest:
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
            disable_geoip=self._settings.disable_geoip if disable_geoip is None else disable_geoip,
            keys=keys,
            contexts=self._settings.evaluation_contexts,
            sent_at=datetime.now(UTC).isoformat(),
            user_agent=USER_AGENT,
        )


class Filling(NamedTuple):
    """What PostHog said when it was asked for the flags that are inconclusive here: an answer, or why there is none."""

    answer: FlagsAnswer | None
    error: str | None = None

    def result(self, key: str) -> FlagResult | None:
        """The flag's result, where PostHog decided it."""
        record = self.answer.flags.get(key) if self.answer else None
        return result_of(record) if record is not None and record.decided else None

    def facts(self, key: str) -> FlagFacts:
        """What an exposure includes of the flag in addition to its value."""
        if self.answer is None:
            return failed_facts(self.error or UNKNOWN_ERROR)
        return facts_of(self.answer.flags.get(key), self.answer)


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
        conclusive=record.decided,
        config_version=record.config_version or 1,
        rule_type=record.rule_type,
        rule_id=record.rule_id,
        variant_key=record.variant_key,
        failed=record.failed or record.malformed,
        description=record.description,
        id=record.id,
        version=record.version,
        has_experiment=record.has_experiment,
    )


def facts_of(record: FlagRecord | None, answer: FlagsAnswer) -> FlagFacts:
    """What an exposure includes of a flag that PostHog evaluated, besides its value."""
    words = [
        ERRORS_WHILE_COMPUTING if answer.errors else None,
        FLAG_MISSING if record is None else record.error,
    ]
    error = ",".join(word for word in words if word) or None
    if record is None or record.malformed:
        # What is wrong with a record, may be wrong with all that it says.
        known = record is None
        return FlagFacts(
            locally_evaluated=False,
            request_id=answer.request_id if known else None,
            evaluated_at=answer.evaluated_at if known else None,
            error=error,
            minimal=answer.minimal_events,
        )
    rules = record.config_version == RULES
    return FlagFacts(
        locally_evaluated=False,
        id=record.id,
        version=record.version,
        has_experiment=record.has_experiment,
        reason=None if rules else record.description or record.reason,
        request_id=answer.request_id,
        evaluated_at=answer.evaluated_at,
        error=error,
        minimal=answer.minimal_events,
        attribution=_attribution(record) if rules else None,
    )


def failed_facts(error: str) -> FlagFacts:
    """What an exposure includes of a flag that PostHog was asked for, where no response can be read."""
    return FlagFacts(locally_evaluated=False, error=error)


def _attribution(record: FlagRecord) -> Attribution:
    return attribute(record.reason, record.rule_type, record.rule_id, record.variant_key, failed=record.failed)
