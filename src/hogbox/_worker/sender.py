"""Sender: one request at a time. Reads a batch of its shards, sends it, settles what the answer settles.

The next batch of a shard is read only when the last one is settled: that keeps the order for each person (P4).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from random import random
from typing import Final

from hogbox._delivery.batch import Limits, Waiting, group_batches, total_bytes
from hogbox._delivery.hold import Holds
from hogbox._delivery.isolation import Part, Step, after, whole
from hogbox._events.event import HISTORICAL
from hogbox._store.delivery import DeliveryStore, LeaseLost, Ready
from hogbox._wire.backoff import delay
from hogbox._wire.host import shorten
from hogbox._wire.verdict import Answer, Verdict
from hogbox._worker.lease import Leases
from hogbox._worker.opening import open_events
from hogbox.encryption import VARIABLE, Cipher
from hogbox.settings import DeliverySettings
from hogbox.telemetry import DEAD, DELIVERED, EventsSettled, Telemetry
from hogbox.transport import Transport

log = logging.getLogger("hogbox.delivery")

TURN_SECONDS: Final = 1.0
"""How long a sender keeps its shards before the worker may deal them anew."""

_NO_KEYS: Final = f"events are encrypted, and this worker has no keys: start it with {VARIABLE}"

_WELL_AFTER: Final = 10.0
"""Seconds without a failure after which the host counts as well again; keeps a flapping server out of the log."""


@dataclass(slots=True)
class Shared:
    """What the senders of one worker know together. Changed under the lock."""

    limits: Limits
    telemetry: Telemetry
    lock: threading.Lock = field(default_factory=threading.Lock)
    holds: Holds = field(default_factory=Holds)
    delivered: int = 0
    dead: int = 0
    failing: bool = False
    locked: bool = False
    failed_at: float = 0.0

    def count(self) -> tuple[int, int]:
        """How many events are delivered, and how many are dead letters."""
        with self.lock:
            return self.delivered, self.dead


class Outcome(Enum):
    """How a turn ended."""

    NOTHING = "nothing"
    """There was nothing to send, or nothing that could be."""

    SENT = "sent"
    """Events were sent, and none are left, or those that are have to wait."""

    MORE = "more"
    """Events were sent, and more are waiting."""


class Turn:
    """One sender's go at some shards."""

    def __init__(self, ready: Sequence[Ready], lapses: int) -> None:
        self.lapses = lapses
        self.fences = {one.shard: one.fence for one in ready}
        self.attempts = {one.shard: one.attempt for one in ready}
        self.ends = time.monotonic() + TURN_SECONDS
        self.sent = False

    def recover(self, shards: Collection[int]) -> Collection[int]:
        """Those of the shards that had failed before; from now on they have not."""
        failed = {shard for shard in shards if self.attempts[shard]}
        self.attempts.update(dict.fromkeys(failed, 0))
        return failed

    def attempt(self, shards: Collection[int]) -> int:
        """The number of the failed attempt that the shards have just had."""
        return max(self.attempts[shard] for shard in shards) + 1


class Sender:
    """Delivers for the shards that the worker deals out. One instance serves all threads of a worker."""

    def __init__(
        self,
        store: DeliveryStore,
        transport: Transport,
        settings: DeliverySettings,
        shared: Shared,
        leases: Leases,
        stopping: Callable[[], bool],
        cipher: Cipher,
    ) -> None:
        self._store = store
        self._transport = transport
        self._settings = settings
        self._shared = shared
        self._leases = leases
        self._stopping = stopping
        self._cipher = cipher

    def deliver(self, ready: Sequence[Ready], share: bool) -> Outcome:
        """Deliver the shards' events until none is left, one has to wait, or the turn is over.

        With `share`, the turn is over as soon as there is more than one request's worth, for others to help. Errors
        of the database are raised; everything else is settled here.
        """
        turn = Turn(ready, self._leases.lapses)
        try:
            while not self._stopping() and time.monotonic() < turn.ends:
                if not self._deliver_next(turn):
                    return Outcome.SENT if turn.sent else Outcome.NOTHING
                if share:
                    return Outcome.MORE
        except LeaseLost:
            log.info(
                "another worker has taken over shards of this one, and sends again what was under way; or somebody "
                "removed events from the outbox"
            )
        return Outcome.MORE if turn.sent else Outcome.NOTHING

    def _deliver_next(self, turn: Turn) -> bool:
        """Read once and send what was read; whether there is likely to be more."""
        limits = self._shared.limits
        with self._shared.lock:
            held = self._shared.holds.held(time.monotonic())
        rows = self._store.read_events(turn.fences, held, limits.events, limits.bytes)
        more = len(rows) >= limits.events or total_bytes(rows) >= limits.bytes
        opened = open_events(rows, self._cipher)
        self._give_up(opened.unreadable, turn)
        for batch in group_batches(opened.rows, limits):
            if not self._deliver_batch(batch, turn):
                return False
        if opened.locked:
            self._put_off(opened.locked, turn)
        return more and not opened.locked

    def _give_up(self, unreadable: Sequence[tuple[Waiting, str]], turn: Turn) -> None:
        """Set aside, as they are stored, the events that can't be opened: one line of the log for each reason."""
        for reason in dict.fromkeys(reason for _, reason in unreadable):
            turn.sent = True
            rows = tuple(row for row, why in unreadable if why == reason)
            self._settle(Step((), rows, ()), turn, Answer(Verdict.REFUSED, None, reason))

    def _put_off(self, shards: Collection[int], turn: Turn) -> None:
        """Leave shards whose next event is encrypted to a worker that has keys, or to this one once it was mended."""
        base, cap = self._settings.retry_base_seconds, self._settings.retry_cap_seconds
        seconds = delay(turn.attempt(shards), base=base, cap=cap, random=random(), retry_after=None)  # noqa: S311
        with self._shared.lock:
            first, self._shared.locked = not self._shared.locked, True
        if first:
            log.error("%s: the events wait", _NO_KEYS)
        self._store.postpone(shards, turn.fences, seconds, _NO_KEYS)

    def _deliver_batch(self, batch: tuple[Waiting, ...], turn: Turn) -> bool:
        """Send one batch, in parts where the server refuses it; False where the turn should end."""
        project = batch[0].project
        pending = whole(batch)
        while pending:
            if not self._may_send(project, turn):
                return False
            payloads = [row.payload for row in pending[0].rows]
            answer = self._transport.send_batch(project, payloads, historical=batch[0].lane == HISTORICAL)
            turn.sent = True
            match answer.verdict:
                case Verdict.RETRY:
                    self._retry(pending, turn, answer)
                    return False
                case Verdict.KEY_REFUSED:
                    self._hold(project, pending, turn, answer)
                    return True
            if answer.verdict is Verdict.TOO_LARGE and len(pending[0].rows) > 1:
                self._shrink(pending[0])
            step = after(answer.verdict, pending)
            self._settle(step, turn, answer)
            pending = step.pending
        return True

    def _may_send(self, project: str, turn: Turn) -> bool:
        """Only while the leases outlast the request, and for one sender where the project was held back.

        Not what was read before the leases ran out, either: a worker that was frozen prolongs those that are left to
        it, and may go on in the middle of a turn.
        """
        now, patience = time.monotonic(), self._settings.request_timeout_seconds
        with self._shared.lock:
            outlasts = now + patience < self._leases.deadline and turn.lapses == self._leases.lapses
            return outlasts and self._shared.holds.may_try(project, now, patience)

    def _settle(self, step: Step, turn: Turn, answer: Answer) -> None:
        if step.delivered:
            self._well(step.delivered[0].project)
            self._store.settle(step.delivered, turn.fences)
            if recovered := turn.recover({row.shard for row in step.delivered}):
                self._store.clear_retry(recovered, turn.fences)
        for row in step.dead:
            self._store.bury(row, turn.fences, answer.reason, answer.status)
        if step.dead:
            _say_dead(step.dead, answer)
        with self._shared.lock:
            self._shared.delivered += len(step.delivered)
            self._shared.dead += len(step.dead)
        for outcome, rows in ((DELIVERED, step.delivered), (DEAD, step.dead)):
            if rows:
                settled = EventsSettled(shorten(rows[0].project), outcome, len(rows), answer.status)
                self._shared.telemetry.emit(settled)

    def _retry(self, pending: Sequence[Part], turn: Turn, answer: Answer) -> None:
        """Put the shards off; give their events up only where a limit of attempts says so."""
        rows = [row for part in pending for row in part.rows]
        shards = {row.shard for row in rows}
        attempt = turn.attempt(shards)
        self._unwell(answer, _facts(rows, answer, attempt))
        if 0 < self._settings.max_attempts <= attempt:
            reason = Answer(answer.verdict, answer.status, f"given up after {attempt} attempts: {answer.reason}")
            self._settle(Step((), tuple(rows), ()), turn, reason)
            return
        base, cap = self._settings.retry_base_seconds, self._settings.retry_cap_seconds
        seconds = delay(attempt, base=base, cap=cap, random=random(), retry_after=answer.retry_after)  # noqa: S311
        self._store.postpone(shards, turn.fences, seconds, answer.reason)

    def _hold(self, project: str, pending: Sequence[Part], turn: Turn, answer: Answer) -> None:
        """Keep the project's events and try again later: its token is refused, and every event would be."""
        base, cap = self._settings.retry_base_seconds, self._settings.key_refused_cap_seconds
        with self._shared.lock:
            attempt = self._shared.holds.attempts(project) + 1
            seconds = delay(attempt, base=base, cap=cap, random=random(), retry_after=answer.retry_after)  # noqa: S311
            self._shared.holds.refuse(project, time.monotonic() + seconds)
        shards = {row.shard for part in pending for row in part.rows}
        if attempt == 1:
            log.error(
                "PostHog refuses the token %s of a project (%s): its events are kept, and tried again within %.0f s; "
                "mend the project or its token",
                shorten(project),
                answer.reason,
                cap,
                extra=_facts(pending[0].rows, answer, attempt),
            )
        self._store.note_error(shards, turn.fences, f"token {shorten(project)} refused: {answer.reason}")
        self._store.hold(project, seconds, attempt, answer.status, answer.reason)

    def _shrink(self, part: Part) -> None:
        """The server takes less than was thought: later batches are no larger than half of what it refused."""
        with self._shared.lock:
            self._shared.limits = self._shared.limits.below(total_bytes(part.rows))

    def _well(self, project: str) -> None:
        with self._shared.lock:
            taken_back = self._shared.holds.accept(project)
            recovered = self._shared.failing and time.monotonic() - self._shared.failed_at > _WELL_AFTER
            self._shared.failing = self._shared.failing and not recovered
        if taken_back or project in self._store.held:
            self._store.release(project)
        if taken_back:
            log.info("PostHog accepts the token %s again", shorten(project), extra={"project": shorten(project)})
        if recovered:
            log.info("PostHog takes events again", extra={"project": shorten(project)})

    def _unwell(self, answer: Answer, facts: Mapping[str, object]) -> None:
        with self._shared.lock:
            first, self._shared.failing = not self._shared.failing, True
            self._shared.failed_at = time.monotonic()
        if first:
            log.warning(
                "PostHog does not take events (%s): they wait in the outbox and are sent again",
                answer.reason,
                extra=facts,
            )


def _say_dead(rows: Sequence[Waiting], answer: Answer) -> None:
    """One line for all that died of the same."""
    which = f"event {rows[0].uuid or f'in row {rows[0].id}'}" if len(rows) == 1 else f"{len(rows)} events"
    what = "is a dead letter" if len(rows) == 1 else "are dead letters"
    facts = _facts(rows, answer)
    log.warning("%s of project %s %s: %s", which, facts["project"], what, answer.reason, extra=facts)


def _facts(rows: Sequence[Waiting], answer: Answer, attempt: int | None = None) -> Mapping[str, object]:
    """What a line of the log tells besides its words, for programs that read it."""
    facts = {"project": shorten(rows[0].project), "status": answer.status, "events": len(rows)}
    return facts if attempt is None else {**facts, "attempt": attempt}
