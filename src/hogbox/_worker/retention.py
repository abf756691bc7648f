"""Retention: old dead letters are removed, a portion at a time, and never in silence."""

from __future__ import annotations

import logging
import time
from typing import Final

from hogbox._store.dead_letter import DeadLetterStore

log = logging.getLogger("hogbox.worker")

_PORTION: Final = 500
"""Letters in one go: the worker's leases must not wait for more."""

_INTERVAL: Final = 3600.0
_DAY: Final = 86_400.0


class Retention:
    """Removes dead letters that are older than so many days; 0: none. Used by the worker's own thread only."""

    def __init__(self, letters: DeadLetterStore, days: int) -> None:
        self._letters = letters
        self._days = days
        self._due = 0.0 if days else float("inf")
        self._removed = 0

    def keep(self) -> None:
        """When it is time, once an hour: remove a portion; go on at the next call where there may be more."""
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
                "%d dead letters older than %d days were removed (HOGBOX_DEAD_LETTER_DAYS)", self._removed, self._days
            )
        self._removed = 0
