"""PostHog's rate limits: buckets of requests that fill up at once and are emptied at a constant rate."""

from __future__ import annotations

import math
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
        return per_minute > 0 and self.take(key, per_minute, per_minute / _MINUTE, now) is not None

    def take(self, key: Hashable, burst: int, per_second: float, now: float) -> int | None:
        """How many requests are in the bucket with this one; None for one too many, which does not count."""
        debt = max(self._paid_off.get(key, now) - now, 0.0) + 1 / per_second
        if debt > burst / per_second + _ROUNDING:
            return None
        self._paid_off.pop(key, None)
        self._paid_off[key] = now + debt
        if len(self._paid_off) > _MOST_KEYS:
            del self._paid_off[next(iter(self._paid_off))]
        return math.ceil(debt * per_second - _ROUNDING)
