"""How large a request may be: less after the server found one too large, and more again when requests pass."""

from __future__ import annotations

from typing import Final

from hogbox._delivery.batch import BatchLimits

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 600.0
"""Seconds between two requests that are larger than what was refused: one in ten minutes where the limit is real."""

_ROOM: Final = 7 / 8
"""Of what was refused: so close to it the limit grows at once."""


class SizeLimit:
    """The limits of one worker's requests. Times are seconds on one monotonic clock. Guard it with a lock.

    A refused size halves the limit. Requests that fill it double it, at first up to a little below what was refused;
    beyond that only after a pause, which is longer each time that the server still refuses.
    """

    def __init__(self, configured: BatchLimits) -> None:
        self._configured = configured
        self._bytes = configured.bytes
        self._refused: int | None = None
        self._pause = 0.0
        self._beyond_at = 0.0
        self._passed = True

    @property
    def now(self) -> BatchLimits:
        """The limits of the next request."""
        return BatchLimits(self._configured.events, self._bytes)

    def refuse(self, size: int, now: float) -> None:
        """The server found a request with so many bytes of events too large."""
        self._bytes = max(1, min(self._bytes, size // 2))
        self._refused = size if self._refused is None else min(size, self._refused)
        if self._passed:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE) or _FIRST_PAUSE
        self._passed = False
        self._beyond_at = now + self._pause

    def accept(self, size: int, now: float) -> None:
        """The server took a request with so many bytes of events."""
        self._passed = True
        if self._refused is not None and size >= self._refused:
            self._refused, self._pause = None, 0.0
        if 2 * size >= self._bytes:
            free = self._refused is None or now >= self._beyond_at
            most = self._configured.bytes if free else int((self._refused or 0) * _ROOM)
            self._bytes = max(self._bytes, min(2 * self._bytes, most, self._configured.bytes))
