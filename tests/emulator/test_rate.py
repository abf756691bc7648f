"""The rate limiter: a minute's worth at once, and then as it trickles back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox.emulator.rate import RateLimiter


@pytest.mark.parametrize("per_minute", [1, 2, 7, 600, 6000])
def test_a_minutes_worth_at_once(per_minute: int) -> None:
    limiter = RateLimiter()
    now = 1_772_619_331.123
    assert sum(limiter.admit("k", per_minute, now) for _ in range(per_minute + 5)) == per_minute
    assert limiter.admit("other", per_minute, now)


def test_it_trickles_back() -> None:
    limiter = RateLimiter()
    assert [limiter.admit("k", 60, 0.0) for _ in range(61)].count(True) == 60
    assert not limiter.admit("k", 60, 0.9)
    assert limiter.admit("k", 60, 1.0)
    assert not limiter.admit("k", 60, 1.5)
    assert [limiter.admit("k", 60, 1000.0) for _ in range(61)].count(True) == 60


def test_none_is_none() -> None:
    assert not RateLimiter().admit("k", 0, 0.0)


@given(st.integers(1, 1000), st.lists(st.floats(0, 10), max_size=300))
def test_never_more_than_the_burst_and_what_came_back(per_minute: int, pauses: list[float]) -> None:
    limiter, now, admitted = RateLimiter(), 0.0, 0
    for pause in pauses:
        now += pause
        admitted += limiter.admit("k", per_minute, now)
    assert admitted <= per_minute + now * per_minute / 60 + 1e-6


def test_it_forgets_the_keys_that_were_quiet_longest() -> None:
    limiter = RateLimiter()
    for number in range(10_001):
        limiter.admit("busy", 1000, 0.0)
        limiter.admit(number, 1, 0.0)
    assert limiter.admit(0, 1, 0.0)
    assert not limiter.admit(10_000, 1, 0.0)
