"""Retention: removes old dead letters, a portion at a time, and always logs it."""

from __future__ import annotations

import logging
import time
from typing import Final

from hogbox._store.dead_letter import DeadLetterStore
from hogbox._wire.printable import counted

log = logging.getLogger("hogbox.worker")

_PORTION: Final = 500
"""Dead letters per call: more would delay the worker's heartbeat."""

_INTERVAL: Final = 3600.0
_DAY: Final = 86_400.0


class Retention:
    """Removes dead letters older than this many days; 0: never. Used only by the worker's own thread."""

    def __init__(self, letters: DeadLetterStore, days: int) -> None:
        self._letters = letters
        self._days = days
        self._due = 0.0 if days else float("inf")
        self._removed = 0

    def keep(self) -> None:
        """If it is time (once an hour), remove a portion; continue at the next call if there may be more."""
        now = time.monotonic()
        if now < self._due:
            return
        removed = self._letters.expire(self._days * _DAY, _PORTION)
        self._removed += removed
        if removed == _PORTION:
            return
        self._due = now + _INTERVAL
        if self._removed:
            log.warning(
                "removed %s older than %s (HOGBOX_DEAD_LETTER_DAYS)",
                counted(self._removed, "dead letter"),
                counted(self._days, "day"),
            )
        self._removed = 0
