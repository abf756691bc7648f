"""Settling: removes delivered and dead events from the outbox, and counts them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

from hogbox._delivery.batch import Waiting, total_bytes
from hogbox._store.delivery import DeliveryStore
from hogbox._wire.host import shorten
from hogbox._wire.verdict import Answer
from hogbox._worker.turn import Shared, Turn
from hogbox.telemetry import DEAD, DELIVERED, EventsSettled

log = logging.getLogger("hogbox.delivery")


class Settlement:
    """Removes events from the outbox. One instance serves all senders of a worker."""

    def __init__(self, store: DeliveryStore, shared: Shared) -> None:
        self._store = store
        self._shared = shared

    def accept(self, project: str) -> None:
        """PostHog has answered in its own words about events of the project: it is not put off any more."""
        with self._shared.lock:
            self._shared.courses.accept(project, time.monotonic(), passed=False)

    def deliver(self, rows: Sequence[Waiting], turn: Turn, answer: Answer) -> None:
        """Settle events that PostHog accepted. Raises LeaseLost if another worker took over one of their shards."""
        self._well(rows, turn)
        self._store.settle(rows, turn.fences)
        shards = self._forget(rows, turn)
        if recovered := turn.recover(shards):
            self._store.clear_retry(recovered, turn.fences)
        with self._shared.lock:
            self._shared.delivered += len(rows)
        self._tell(rows, DELIVERED, answer)

    def bury(self, rows: Sequence[Waiting], turn: Turn, answer: Answer) -> None:
        """Move the events to the dead letters, with the reason of the answer. Raises LeaseLost."""
        for row in rows:
            self._store.bury(row, turn.fences, answer.reason, answer.status)
        shards = self._forget(rows, turn)
        if recovered := turn.recover(shards):
            self._store.clear_retry(recovered, turn.fences)
        _say_dead(rows, answer)
        with self._shared.lock:
            self._shared.dead += len(rows)
        self._tell(rows, DEAD, answer)

    def _forget(self, rows: Sequence[Waiting], turn: Turn) -> frozenset[int]:
        """The shards of the settled events that contain no other suspect.

        What was noted of persons that waited by themselves is removed.
        """
        shards = frozenset(row.shard for row in rows)
        over = self._shared.forget([row.id for row in rows])
        with self._shared.lock:
            clean = shards - self._shared.suspects.shards(shards)
        if calm := over & clean:
            self._store.clear_retry(calm, turn.fences)
        return clean

    def _tell(self, rows: Sequence[Waiting], outcome: str, answer: Answer) -> None:
        settled = EventsSettled(shorten(rows[0].project), outcome, len(rows), answer.status)
        self._shared.telemetry.emit(settled)

    def _well(self, rows: Sequence[Waiting], turn: Turn) -> None:
        project, now = rows[0].project, time.monotonic()
        with self._shared.lock:
            taken_back = self._shared.courses.accept(project, now)
            self._shared.limit.accept(total_bytes(rows), now)
            recovered = self._shared.host_fails.end(now)
            clean = set(turn.fences) - self._shared.suspects.shards(turn.fences)
        if taken_back or project in self._store.on_hold:
            self._store.release(project)
        if taken_back:
            self._store.clear_retry(clean, turn.fences)
            log.info(
                "PostHog accepts events of project %s again", shorten(project), extra={"project": shorten(project)}
            )
        if recovered:
            log.info("PostHog accepts events again", extra={"project": shorten(project)})


def _say_dead(rows: Sequence[Waiting], answer: Answer) -> None:
    """Log one line for all events that died for the same reason."""
    which = f"event {rows[0].uuid or f'in row {rows[0].id}'}" if len(rows) == 1 else f"{len(rows)} events"
    what = "became a dead letter" if len(rows) == 1 else "became dead letters"
    facts = facts_of(rows, answer)
    log.warning("%s of project %s %s: %s", which, facts["project"], what, answer.reason, extra=facts)


def facts_of(rows: Sequence[Waiting], answer: Answer, attempt: int | None = None) -> Mapping[str, object]:
    """The attributes of a log record, for structured logging."""
    facts = {"project": shorten(rows[0].project), "status": answer.status, "events": len(rows)}
    return facts if attempt is None else {**facts, "attempt": attempt}
