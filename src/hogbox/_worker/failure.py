"""Failures: decides what happens to the events of a failed request, to their project, and to all other events."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from random import random
from typing import Final

from hogbox._delivery.batch import Waiting
from hogbox._delivery.bisection import Part, after
from hogbox._delivery.course import FailedRequest
from hogbox._delivery.suspect import Suspect
from hogbox._settings.delivery import DeliverySettings
from hogbox._store.delivery import DeliveryStore
from hogbox._wire.backoff import delay, hold
from hogbox._wire.host import shorten
from hogbox._wire.verdict import Answer, Verdict, what_is_refused
from hogbox._worker.settlement import Settlement, facts_of
from hogbox._worker.turn import Shared, Turn, accusation

log = logging.getLogger("hogbox.delivery")

_PATIENCE: Final = 3
"""Failed attempts of a project before its requests become narrower, so that a short outage changes nothing."""

_PATIENCE_IF_REFUSED: Final = 1
"""The same if PostHog refuses the project; fewer, because its first pause is longer."""

_TWICE: Final = 2
"""Failures of an event sent alone, with a status for bad events but no PostHog message, while others are accepted."""

_REFUSED: Final = {
    "token": "PostHog refuses the project token %s (%s): %s; fix the project or its token",
    "quota": "PostHog refuses the events of project %s: quota exceeded (%s): %s; raise the quota",
    "address": "PostHog accepts no events at this address, for project %s (%s): %s; fix POSTHOG_HOST",
}


class Failures:
    """Handles failed requests. One instance serves all senders of a worker."""

    def __init__(
        self, store: DeliveryStore, settings: DeliverySettings, shared: Shared, settlement: Settlement
    ) -> None:
        self._store = store
        self._settings = settings
        self._shared = shared
        self._settlement = settlement

    def act(self, pending: tuple[Part, ...], turn: Turn, answer: Answer, began: float) -> tuple[Part, ...]:
        """The parts still to send of a batch after its first part failed; none if the project is put off."""
        rows = pending[0].rows
        project, alone = rows[0].project, len(rows) == 1
        failure = FailedRequest(
            began,
            time.monotonic(),
            len(rows),
            of_events=not (answer.rate_limited or answer.results),
            of_size=answer.verdict is Verdict.TOO_LARGE,
            later=answer.retry_after is not None,
        )
        with self._shared.lock:
            known = alone and self._shared.suspects.is_accused(rows[0].id)
            if known and not self._shared.courses.attempts(project):
                # Other events of the project are sent as before: another failure of this one is no news about them.
                accused, pause = True, False
            else:
                accused, pause = self._shared.courses.judge(project, failure)
        noted = False
        if alone and failure.of_events:
            noted = self._failed_alone(rows[0], turn, answer, accused=accused)
            if not accused and turn.more:
                self._step_aside(rows[0], answer)
        elif known:
            self._put_off_event(rows[0], answer, 1)
        if pause:
            self._put_off(rows, turn, answer, failure, noted=noted)
            return ()
        return after(answer.verdict, pending).pending

    def _failed_alone(self, row: Waiting, turn: Turn, answer: Answer, *, accused: bool) -> bool:
        """Count the failure; give the event up if it reached a limit or the response blames it; otherwise it waits.

        Returns whether the event is named in its shard's row, for workers to come.
        """
        with self._shared.lock:
            passes = self._shared.courses.passes(row.project)
            suspect = self._shared.suspects.fail(
                row,
                passes,
                turn.attempts_alone(row),
                fence=turn.fences[row.shard],
                refused=answer.verdict is Verdict.KEY_REFUSED,
            )
        if reason := self._why_given_up(suspect, answer, passes):
            self._settlement.bury((row,), turn, Answer(answer.verdict, answer.status, reason))
            return False
        if accused:
            self._put_off_event(row, answer, suspect.attempts)
        if not accused and not (self._settings.max_attempts and suspect.charged):
            return False
        others = " while other events are accepted" if accused else " alone"
        attempts = max(1, suspect.charged)
        turn.accuse(row, attempts)
        self._store.accuse(row.shard, turn.fences, attempts, f"{accusation(row)}{others}: {answer.reason}")
        return True

    def _why_given_up(self, suspect: Suspect, answer: Answer, passes: int) -> str | None:
        """The reason to give an event up, or None.

        A refused token, quota or address does not count against an event until others are accepted; nor does a 400 or
        413 that is not PostHog's.
        """
        attempts = suspect.attempts
        confirmed = passes > suspect.passes
        if suspect.is_charged and 0 < self._settings.max_attempts <= suspect.charged:
            return f"given up after {suspect.charged} attempts: {answer.reason}"
        if answer.may_accuse and confirmed and attempts >= _TWICE:
            return f"refused alone {attempts} times while other events are accepted: {answer.reason}"
        return None

    def _put_off_event(self, row: Waiting, answer: Answer, attempt: int) -> None:
        """Put off an event, and the later ones of its person; all others are sent."""
        base, cap = self._settings.retry_base_seconds, self._settings.key_refused_cap_seconds
        seconds = delay(attempt, base=base, cap=cap, random=random(), retry_after=answer.retry_after)  # noqa: S311
        with self._shared.lock:
            first = self._shared.suspects.put_off(row.id, time.monotonic() + seconds)
        if first:
            log.warning(
                "event %s of project %s fails while other events are accepted (%s): it is retried alone, and later "
                "events of the same distinct id wait for it",
                row.uuid or f"in row {row.id}",
                shorten(row.project),
                answer.reason,
                extra=facts_of([row], answer, attempt),
            )

    def _step_aside(self, row: Waiting, answer: Answer) -> None:
        """Skip an event that failed alone again until after the next attempt of its project.

        Otherwise, if a read is full of events that wait behind this one, no other event would be tried.
        """
        with self._shared.lock:
            seconds = 2 * self._pause(answer, self._shared.courses.attempts(row.project) + 1)
            if self._shared.suspects.attempts(row.id) >= _TWICE:
                self._shared.suspects.put_off(row.id, time.monotonic() + seconds)

    def _put_off(
        self, rows: Sequence[Waiting], turn: Turn, answer: Answer, failure: FailedRequest, *, noted: bool
    ) -> None:
        """Pause the project for a while; others continue. `noted`: its shard's row has an error already."""
        project = rows[0].project
        turn.left.add(project)
        refused = answer.verdict is Verdict.KEY_REFUSED
        patience = _PATIENCE_IF_REFUSED if refused else _PATIENCE
        with self._shared.lock:
            attempt = self._shared.courses.attempts(project) + 1
            seconds = self._pause(answer, attempt)
            counts = self._shared.courses.pause(project, failure.ended + seconds, failure, patience)
        if not counts:
            return
        facts = facts_of(rows, answer, attempt)
        if refused and attempt == 1:
            kept = f"its events are kept and retried within {self._settings.key_refused_cap_seconds:.0f} s"
            what = _REFUSED[what_is_refused(answer.status) or "token"]
            log.error(what, shorten(project), answer.reason, kept, extra=facts)
        elif not refused:
            self._report_failing(answer, facts)
        said = f"project {shorten(project)} refused: {answer.reason}" if refused else answer.reason
        if not noted:
            self._store.note_error({row.shard for row in rows}, turn.fences, said)
        self._store.hold(project, seconds, attempt, answer.status, answer.reason)

    def _pause(self, answer: Answer, attempt: int) -> float:
        settings, after_all = self._settings, answer.retry_after
        if answer.verdict is Verdict.KEY_REFUSED:
            return hold(attempt, cap=settings.key_refused_cap_seconds, random=random(), retry_after=after_all)  # noqa: S311
        base, cap = settings.retry_base_seconds, settings.retry_cap_seconds
        return delay(attempt, base=base, cap=cap, random=random(), retry_after=after_all)  # noqa: S311

    def _report_failing(self, answer: Answer, facts: Mapping[str, object]) -> None:
        with self._shared.lock:
            news = self._shared.host_fails.begin(time.monotonic())
        if news:
            log.warning(
                "PostHog is not accepting events (%s): they wait in the outbox and are retried",
                answer.reason,
                extra=facts,
            )
