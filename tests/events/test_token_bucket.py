"""Token buckets: 50 at once, 10 every 10 seconds, for a bounded number of keys."""

from __future__ import annotations

from hogbox._events.token_bucket import CAPACITY, MOST_KEYS, REFILL, TokenBuckets


def taken(buckets: TokenBuckets, now: float, tries: int = 200) -> int:
    return sum(buckets.take("a", now) for _ in range(tries))


def test_a_burst_and_then_a_steady_rate() -> None:
    buckets = TokenBuckets()
    assert taken(buckets, 0.0) == CAPACITY
    assert taken(buckets, 9.9) == 0
    assert taken(buckets, 10.0) == REFILL
    assert taken(buckets, 10_000.0) == CAPACITY


def test_each_key_has_its_own_and_memory_is_bounded() -> None:
    buckets = TokenBuckets()
    taken(buckets, 0.0)
    assert all(buckets.take(number, 0.0) for number in range(2 * MOST_KEYS))
    assert len(buckets._buckets) == MOST_KEYS
