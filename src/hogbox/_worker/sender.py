"""Sender: reads a batch from its shards, sends it, and settles the events according to the response.

The next batch of a shard is read only after the last one is settled, which keeps the order for each person (P4).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from random import random
from typing import Final

from hogbox._delivery.batch import Waiting, group_batches, total_bytes
from hogbox._delivery.bisection import Part, after, without
from hogbox._delivery.schedule import Finished, TurnOutcome
from hogbox._encryption import VARIABLE, Cipher
from hogbox._http.capture import CaptureTransport
from hogbox._settings.delivery import DeliverySettings
from hogbox._store.delivery import DeliveryStore, LeaseLost
from hogbox._store.outbox import Ready
from hogbox._wire.backoff import delay
from hogbox._wire.verdict import Answer, Verdict
from hogbox._worker.decryption import open_events
from hogbox._worker.exposure import ExposureClaims
from hogbox._worker.failure import Failures
from hogbox._worker.flagged import FlaggedEvents
from hogbox._worker.lease import Leases
from hogbox._worker.request import Requests
from hogbox._worker.result import Results
from hogbox._worker.settlement import Settlement
from hogbox._worker.turn import Shared, Turn

log = logging.getLogger("hogbox.delivery")

_NO_KEYS: Final = f"events are encrypted and this worker has no keys: set {VARIABLE} and restart it"


class Sender:
    """Delivers the shards that the worker hands out. One instance serves all threads of a worker."""

    def __init__(
        self,
        store: DeliveryStore,
        transport: CaptureTransport,
        settings: DeliverySettings,
        shared: Shared,
        leases: Leases,
        stopping: Callable[[], bool],
        cipher: Cipher,
        exposures: ExposureClaims,
        flagged: FlaggedEvents,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._clock = clock
        self._exposures = exposures
        self._requests = Requests(transport, shared)
        self._flagged = flagged
        self._settings = settings
        self._shared = shared
        self._leases = leases
        self._stopping = stopping
        self._cipher = cipher
        self._settlement = Settlement(store, shared)
        self._failures = Failures(store, settings, shared, self._settlement)
        self._results = Results(store, settings, shared, self._settlement, self._failures)

    def deliver(self, ready: Sequence[Ready], share: bool) -> Finished:
        """Deliver the shards' events until none is left, all have to wait, or the turn is over.

        With `share`, the turn is over after one read, so that other senders can help. Errors of the database are
        raised; everything else is handled here.
        """
        began = self._clock()
        outcome = self._deliver(ready, share)
        return Finished(outcome, began, self._clock())

    def _deliver(self, ready: Sequence[Ready], share: bool) -> TurnOutcome:
        turn = Turn(ready, self._leases.lapses)
        try:
            while not self._stopping() and time.monotonic() < turn.ends:
                if not self._deliver_next(turn):
                    return TurnOutcome.SENT if turn.sent else _unsent(turn)
                if share:
                    break
        except LeaseLost:
            log.info(
                "lease lost: another worker took over shards and resends the events being sent, or events were removed "
                "from the outbox"
            )
        return TurnOutcome.MORE if turn.sent else _unsent(turn)

    def _deliver_next(self, turn: Turn) -> bool:
        """Read once and send the events; whether more are likely to be waiting."""
        rows, more = self._read(turn)
        turn.more = more
        opened = open_events(rows, self._cipher)
        self._give_up(opened.unreadable, turn)
        rows, cut = self._flagged.complete(self._exposures.without_repeats(opened.rows, turn.fences))
        with self._shared.lock:
            limits = self._shared.limit.now
            found = self._shared.suspects.sort(rows, time.monotonic())
            free = self._shared.courses.arrange(self._shared.deferrals.free(found.free))
            requests = self._shared.attempts.requests_of(free)
        # Suspects come last: if their project was put off, other events are to show first that it has recovered.
        for batch in [*group_batches(free, limits, requests), *((row,) for row in found.due)]:
            if not self._deliver_batch(batch, turn):
                return False
        if opened.locked:
            self._put_off(opened.locked, turn)
        return (more or cut) and not opened.locked

    def _read(self, turn: Turn) -> tuple[list[Waiting], bool]:
        """The oldest events that may be sent now, and whether more are likely to be waiting."""
        now = time.monotonic()
        with self._shared.lock:
            limits = self._shared.limit.now
            held = self._shared.courses.held(now) | turn.left
            over = self._shared.passed_over(turn, now)
        shards = [shard for shard in turn.fences if shard not in over.shards]
        rows, more = self._store.read_events(shards, held, limits.events, limits.bytes, over.ids)
        with self._shared.lock:
            self._shared.suspects.forget_missing(rows, shards, held, more=more, now=now)
        return rows, more

    def _give_up(self, unreadable: Sequence[Waiting], turn: Turn) -> None:
        """Make dead letters of the events that can't be sent, with their payloads as stored."""
        for project, fault in dict.fromkeys((row.project, row.fault) for row in unreadable):
            turn.sent = True
            rows = [row for row in unreadable if (row.project, row.fault) == (project, fault)]
            self._settlement.bury(rows, turn, Answer(Verdict.REFUSED, None, fault))

    def _put_off(self, shards: Collection[int], turn: Turn) -> None:
        """Put off shards with an encrypted next event, for a worker with keys, or this one once it is reconfigured."""
        base, cap = self._settings.retry_base_seconds, self._settings.retry_cap_seconds
        seconds = delay(turn.attempt(shards), base=base, cap=cap, random=random(), retry_after=None)  # noqa: S311
        with self._shared.lock:
            news = self._shared.without_keys.begin()
        if news:
            log.error("%s; the events are kept", _NO_KEYS)
        self._store.postpone(shards, turn.fences, seconds, _NO_KEYS)

    def _deliver_batch(self, batch: tuple[Waiting, ...], turn: Turn) -> bool:
        """Send one batch, in parts if it fails; False if the turn should end."""
        project = batch[0].project
        if project in turn.left:
            return True
        with self._shared.lock:
            pending = self._shared.courses.parts(batch)
        instead = False
        while pending and (pending := self._unblocked(pending)):
            if not self._leases_outlast(turn):
                turn.late = True
                return False
            if not self._may_send(project, turn):
                turn.left.add(project)
                return True
            began = time.monotonic()
            answer = self._requests.send(pending[0].rows, instead=instead)
            turn.sent, instead = True, answer is None
            if answer is not None:
                pending = self._act(pending, turn, answer, began)
        return True

    def _unblocked(self, pending: tuple[Part, ...]) -> tuple[Part, ...]:
        """The pending parts, without events that wait behind one that failed alone in the meantime."""
        with self._shared.lock:
            suspects = self._shared.suspects
            while pending:
                rows = pending[0].rows
                if len(rows) == 1 and suspects.is_accused(rows[0].id):
                    return pending
                if free := self._shared.free(rows):
                    return without(pending, free)
                pending = pending[1:]
        return pending

    def _act(self, pending: tuple[Part, ...], turn: Turn, answer: Answer, began: float) -> tuple[Part, ...]:
        """Handle a response; the parts of the batch still to send."""
        part = pending[0]
        if answer.results:
            return self._results.act(pending, turn, answer, began)
        if answer.verdict is Verdict.DELIVERED:
            self._settlement.deliver(part.rows, turn, answer)
            return after(answer.verdict, pending).pending
        alone = len(part.rows) == 1
        if answer.verdict is Verdict.TOO_LARGE and not alone:
            with self._shared.lock:
                self._shared.limit.refuse(total_bytes(part.rows), time.monotonic())
            return after(answer.verdict, pending).pending
        if not answer.accuses:
            return self._failures.act(pending, turn, answer, began)
        self._settlement.accept(part.rows[0].project)
        if alone:
            self._settlement.bury(part.rows, turn, answer)
        return after(answer.verdict, pending).pending

    def _leases_outlast(self, turn: Turn) -> bool:
        """Whether the leases outlast a request.

        False also for events read before the leases expired: a worker that was frozen renews its remaining leases, and
        may resume in the middle of a turn.
        """
        ends = time.monotonic() + self._settings.request_timeout_seconds
        return ends < self._leases.deadline and turn.lapses == self._leases.lapses

    def _may_send(self, project: str, turn: Turn) -> bool:
        """Whether this sender may send for the project; after a pause, only one sender may."""
        now, patience = time.monotonic(), self._settings.request_timeout_seconds
        with self._shared.lock:
            return self._shared.courses.may_try(project, now, patience, turn)


def _unsent(turn: Turn) -> TurnOutcome:
    return TurnOutcome.LATE if turn.late else TurnOutcome.NOTHING
