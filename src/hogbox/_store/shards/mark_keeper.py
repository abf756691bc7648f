"""Mark keeper: moves and verifies the marks of a worker's shards when it is time."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from hogbox._events.identifier import SHARDS
from hogbox._store.shards.mark import MarkStore

_INTERVAL: Final = 5.0
"""Seconds between two looks while little happens."""

_SOON: Final = 1.0
"""Seconds to the next look while marks move, or transactions are waited for."""

_ROUND: Final = 300.0
"""Seconds in which all marks are verified."""

_AT_FIRST: Final = 8
"""Shards whose marks are verified when a worker begins: it may run for a moment only."""

_VERIFYING_SHARE: Final = 20
"""Times the duration of a verification: beside many entries of delivered events it takes long."""


class MarkKeeper:
    """Keeps one worker's marks. Called before each poll; most calls do nothing."""

    def __init__(self, store: MarkStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._claimed = False
        self._due = 0.0
        self._verified: float | None = None
        self._verify_at = 0.0

    def claimed(self) -> None:
        """Shards were claimed: at the next call their marks are moved, however little there is to pass."""
        self._claimed = True

    def keep(self) -> None:
        """When it is time: move the marks, and verify some of them. Returns at once where another thread does it."""
        now = time.monotonic()
        if (now < self._due and not self._claimed) or not self._lock.acquire(blocking=False):
            return
        try:
            if self._claimed:
                self._claimed = False
                self._store.renew()
            moved = self._store.advance()
            self._verify(now)
            self._due = now + (_SOON if moved or self._store.watching else _INTERVAL)
        finally:
            self._lock.release()

    def leave(self) -> None:
        """Move them once more, where the database lets it: the next worker may run for a moment only."""
        with self._lock, suppress(SQLAlchemyError):
            self._store.advance()

    def _verify(self, now: float) -> None:
        if now < self._verify_at:
            return
        shards = _AT_FIRST if self._verified is None else int(SHARDS * (now - self._verified) / _ROUND)
        if shards:
            self._store.verify(min(shards, _AT_FIRST))
            self._verified = now
            self._verify_at = now + _VERIFYING_SHARE * (time.monotonic() - now)
