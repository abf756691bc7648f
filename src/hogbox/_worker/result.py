"""Results: settles the events of a request by what PostHog says of each of them (wire protocol 4.4)."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import random
from typing import Final

from hogbox._delivery.batch import Waiting
from hogbox._delivery.bisection import Part, after, without
from hogbox._settings.delivery import DeliverySettings
from hogbox._store.delivery import DeliveryStore
from hogbox._wire.backoff import delay
from hogbox._wire.host import shorten
from hogbox._wire.identifier import canonical_uuid
from hogbox._wire.printable import counted
from hogbox._wire.result import EventResult
from hogbox._wire.verdict import Answer, Verdict
from hogbox._worker.failure import Failures
from hogbox._worker.settlement import Settlement
from hogbox._worker.turn import Shared, Turn
from hogbox.telemetry import ResultsStated

log = logging.getLogger("hogbox.delivery")

_OUTAGE: Final = 100
"""Events of one request, all of which PostHog asks for again, that are taken for an outage and not for their own."""

_OK: Final = EventResult("ok")

_Stated = Sequence[tuple[Waiting, EventResult]]


class Results:
    """Handles answers with results. One instance serves all senders of a worker."""

    def __init__(
        self,
        store: DeliveryStore,
        settings: DeliverySettings,
        shared: Shared,
        settlement: Settlement,
        failures: Failures,
    ) -> None:
        self._store = store
        self._settings = settings
        self._shared = shared
        self._settlement = settlement
        self._failures = failures

    def act(self, pending: tuple[Part, ...], turn: Turn, answer: Answer, began: float) -> tuple[Part, ...]:
        """The parts still to send after the first part was answered; its events are settled or wait."""
        rows = pending[0].rows
        stated = [(row, answer.results.get(canonical_uuid(row.uuid), _OK)) for row in rows]
        self._tell(rows[0].project, [result for _, result in stated])
        again = [(row, result) for row, result in stated if result.again]
        if delivered := [row for row, result in stated if not (result.dropped or result.again)]:
            self._settlement.deliver(delivered, turn, answer)
        self._drop([(row, result) for row, result in stated if result.dropped], turn, answer)
        if again and self._is_outage([row for row, _ in again], rows):
            left = tuple(row for row, _ in again)
            failed = replace(answer, verdict=Verdict.RETRY, reason=_reason(again))
            return self._failures.act(without(pending, left), turn, failed, began)
        if not delivered:
            self._settlement.accept(rows[0].project)
        if again := self._without_given_up(again, turn, answer):
            self._defer([row for row, _ in again], turn, answer, _reason(again))
        return after(Verdict.DELIVERED, pending).pending

    def _tell(self, project: str, results: Sequence[EventResult]) -> None:
        for (word, details), events in Counter((result.word, result.details) for result in results).items():
            self._shared.telemetry.emit(ResultsStated(shorten(project), word, details, events))

    def _drop(self, dropped: _Stated, turn: Turn, answer: Answer) -> None:
        for result in dict.fromkeys(result for _, result in dropped):
            rows = [row for row, its in dropped if its == result]
            self._settlement.bury(rows, turn, replace(answer, reason=result.reason))

    def _without_given_up(self, again: _Stated, turn: Turn, answer: Answer) -> list[tuple[Waiting, EventResult]]:
        """Those that are worth another attempt, by `max_attempts`."""
        limit, kept = self._settings.max_attempts, []
        for row, result in again:
            with self._shared.lock:
                attempts = self._shared.deferrals.attempts(row.id) + 1
            if 0 < limit <= attempts:
                reason = f"given up after {attempts} attempts: {result.reason}"
                self._settlement.bury([row], turn, replace(answer, reason=reason))
            else:
                kept.append((row, result))
        return kept

    def _is_outage(self, again: Sequence[Waiting], rows: Sequence[Waiting]) -> bool:
        with self._shared.lock:
            room = self._shared.deferrals.has_room(again)
        return not room or len(again) == len(rows) >= _OUTAGE

    def _defer(self, rows: Sequence[Waiting], turn: Turn, answer: Answer, reason: str) -> None:
        base, cap = self._settings.retry_base_seconds, self._settings.retry_cap_seconds
        now, chance = time.monotonic(), random()  # noqa: S311

        def until(attempt: int) -> float:
            return now + delay(attempt, base=base, cap=cap, random=chance, retry_after=answer.retry_after)

        with self._shared.lock:
            self._shared.deferrals.defer(rows, turn.fences, until)
        self._store.note_error({row.shard for row in rows}, turn.fences, reason)


def _reason(again: _Stated) -> str:
    return f"{again[0][1].reason} ({counted(len(again), 'event')})"
