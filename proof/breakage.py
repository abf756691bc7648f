"""hogbox broken on purpose, in the worker's process: the proof has to notice each of these.

They reach into hogbox's inside and take out what a promise rests on; nothing of this is in the package.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, tuple_

from hogbox._delivery.batch import Waiting
from hogbox._delivery.bisection import Part
from hogbox._store import delivery
from hogbox._store.delivery import DeliveryStore, LeaseLost
from hogbox._store.event_reader import EventsRead
from hogbox._store.schema.table import Tables
from hogbox._wire import verdict
from hogbox._worker.failure import Failures
from hogbox._worker.sender import Sender

_ASIDE: Final = 0.5
"""Seconds."""


def skip_the_fence() -> None:
    """A worker goes on with shards that another one has taken over: nothing looks at the owner, fence or lease."""

    def anybodys(tables: Tables) -> ColumnElement[bool]:
        shard = tables.shards.c.shard
        return tuple_(shard, shard).in_(bindparam("fenced", expanding=True))

    def fenced(_: DeliveryStore, shards: Collection[int], *__: object) -> dict[str, object]:
        return {"fenced": [(shard, shard) for shard in shards]}

    def settle(self: DeliveryStore, rows: Collection[Waiting], fences: Any) -> None:
        try:
            guarded(self, rows, fences)
        except LeaseLost:
            return

    guarded = DeliveryStore.settle
    _replace(delivery, "_fenced", anybodys)
    _replace(DeliveryStore, "_fenced", fenced)
    _replace(DeliveryStore, "settle", settle)
    _replace(Sender, "_may_send", lambda *_: True)
    _replace(Sender, "_leases_outlast", lambda *_: True)


def delete_early() -> None:
    """Events leave the outbox before PostHog has answered."""

    def deliver_batch(self: Any, batch: tuple[Waiting, ...], turn: Any) -> bool:
        delete(self._store, batch, turn.fences)
        return bool(deliver(self, batch, turn))

    deliver, delete = Sender._deliver_batch, DeliveryStore.settle
    _replace(Sender, "_deliver_batch", deliver_batch)
    _replace(DeliveryStore, "settle", lambda *_: None)


def retry_without_order() -> None:
    """What fails is tried again later, and the events behind it are sent meanwhile."""
    aside: dict[int, float] = {}

    def act(_: Failures, pending: Any, *__: Any) -> tuple[Part, ...]:
        rows = [row for part in pending for row in part.rows]
        aside.update(dict.fromkeys((row.id for row in rows), time.monotonic() + _ASIDE))
        return ()

    def read_events(
        self: DeliveryStore, shards: Any, held: Any, events: int, size: int, skipped: Collection[int] = ()
    ) -> EventsRead:
        now = time.monotonic()
        out = {row for row, until in aside.items() if until > now}
        return read(self, shards, held, events, size, [*skipped, *out])

    read = DeliveryStore.read_events
    _replace(Failures, "act", act)
    _replace(DeliveryStore, "read_events", read_events)


def believe_any_success() -> None:
    """Any 2xx counts as delivered, whoever answers it."""
    _replace(verdict, "_is_success", lambda *_: True)


def _replace(owner: object, name: str, value: object) -> None:
    setattr(owner, name, value)


BREAKS: Final[dict[str, Callable[[], None]]] = {
    "fence": skip_the_fence,
    "early-delete": delete_early,
    "no-order": retry_without_order,
    "credulous": believe_any_success,
}
