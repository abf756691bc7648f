"""PostHog's rate limit per minute: a burst of a minute's requests, then a constant rate."""

from __future__ import annotations

from collections.abc import Hashable

_MINUTE = 60.0
_ROUNDING = 1e-6
_MOST_KEYS = 10_000


class RateLimiter:
    """Limits requests by key. It stores one time per key: when all its admitted requests are paid off."""

    def __init__(self) -> None:
        self._paid_off: dict[Hashable, float] = {}

    def admit(self, key: Hashable, per_minute: int, now: float) -> bool:
        """Whether one more request is admitted; a refused request does not count."""
        if per_minute <= 0:
            return False
        debt = max(self._paid_off.get(key, now) - now, 0.0) + _MINUTE / per_minute
        if debt > _MINUTE + _ROUNDING:
            return False
        self._paid_off.pop(key, None)
        self._paid_off[key] = now + debt
        if len(self._paid_off) > _MOST_KEYS:
            del self._paid_off[next(iter(self._paid_off))]
        return True
