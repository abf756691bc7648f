"""Capacity: keeps the outbox within the limits that the user has set, by the policy that the user has chosen.

Each client measures the outbox at most once a second, in the transaction of a capture. In between, the last result
applies.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from hogbox._client.effect import Flow, Read
from hogbox._client.recorder import Entry
from hogbox._delivery.condition import Condition
from hogbox._events.capacity import DEAD_LETTER, Bounds, Full, full_disk, full_outbox
from hogbox._store.capacity import COUNTED, CapacityStatements
from hogbox._store.handles.portable import Portable
from hogbox._store.schema.table import Tables
from hogbox.errors import OutboxFull

log = logging.getLogger("hogbox")

_INTERVAL: Final = 1.0
"""Seconds between two measurements: short enough that one client overshoots a limit by a second's captures at most."""

_SHARE: Final = 20
"""The next measurement waits this many times as long as the last one took: at most a twentieth of a client's time."""


class Capacity:
    """Admits entries to the outbox. Safe to share between threads and across a fork."""

    def __init__(self, tables: Tables, bounds: Bounds, policy: str) -> None:
        statements = tables.once(CapacityStatements)
        self._measure = Portable(statements.measure, ())
        self._count = Portable(statements.count_up_to, COUNTED)
        self._bounds = bounds
        self._policy = policy
        self._full: Full | None = None
        self._is_full = Condition()
        self._due = 0.0

    def admit(self, ctx: Any, entry: Entry) -> Flow[Entry]:
        """The entry, or a dead letter in its place. Raises OutboxFull, before anything is written."""
        full = yield from self.look(ctx)
        if full is None or (entry.reason is not None and not full.disk):
            return entry
        if full.disk or self._policy != DEAD_LETTER:
            raise OutboxFull(f"{full.reason}: run more workers, fix what delays delivery, or raise the limit")
        log.warning("event %s stored as a dead letter: %s", entry.uuid, full.reason)
        return entry._replace(reason=full.reason)

    def look(self, ctx: Any) -> Flow[Full | None]:
        """Why there is no room, or None if there is room."""
        began = time.monotonic()
        if began < self._due:
            return self._full
        # Set before the measurement, so that other threads do not measure at the same time.
        self._due = began + _INTERVAL
        full = yield from self._find(ctx)
        ended = time.monotonic()
        self._due = ended + max(_INTERVAL, _SHARE * (ended - began))
        self._log(full)
        return full

    def _find(self, ctx: Any) -> Flow[Full | None]:
        ((span, average, used),) = yield Read(ctx, self._measure, ())
        if (full := full_disk(used, self._bounds)) is not None:
            return full
        size = round(average or 0)
        most = self._bounds.most_rows(size)
        if most is None or (span or 0) < most:
            return None
        ((rows,),) = yield Read(ctx, self._count, (most,))
        return full_outbox(rows, size, self._bounds)

    def _log(self, full: Full | None) -> None:
        """Log a change of state."""
        self._full = full
        if full is not None and self._is_full.begin():
            dead = self._policy == DEAD_LETTER and not full.disk
            then = "events are stored as dead letters" if dead else "captures raise OutboxFull"
            log.warning("%s: %s and exposures are skipped until there is room", full.reason, then)
        elif full is None and self._is_full.end():
            log.info("the outbox has room again")
