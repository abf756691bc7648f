"""Token buckets: how often something may happen for each key, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

CAPACITY: Final = 50
"""How often at once; the official client's numbers, as are the next two."""

REFILL: Final = 10
REFILL_SECONDS: Final = 10.0

MOST_KEYS: Final = 1_000
"""Keys that are remembered; the one that was asked for least recently is forgotten first."""


class TokenBuckets:
    """One bucket for each key, full at first. The caller holds a lock."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def take(self, key: Hashable, now: float) -> bool:
        """Whether the key has a token left, which this takes. `now` is in seconds, of any clock that runs forward."""
        tokens, since = self._buckets.pop(key, (CAPACITY, now))
        periods = max(0, int((now - since) // REFILL_SECONDS))
        tokens, since = min(CAPACITY, tokens + periods * REFILL), since + periods * REFILL_SECONDS
        self._buckets[key] = (max(0, tokens - 1), since)
        if len(self._buckets) > MOST_KEYS:
            self._buckets.popitem(last=False)
        return tokens > 0
