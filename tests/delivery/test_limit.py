"""How large a request may be, against servers that refuse large ones for a while, or for ever."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hogbox._delivery.batch import BatchLimits
from hogbox._delivery.limit import SizeLimit

CONFIGURED = BatchLimits(1000, 5_000_000)
SECOND_APART = 0.01


def send(limit: SizeLimit, most: int, event: int, now: float) -> bool:
    """One request of a large backlog, as full as the limit allows; whether the server takes it."""
    size = max(event, min(limit.now.bytes // event, limit.now.events) * event)
    if size <= most or size == event:
        limit.accept(size, now)
        return True
    limit.refuse(size, now)
    return False


def test_nothing_changes_while_nothing_is_refused() -> None:
    limit = SizeLimit(CONFIGURED)
    limit.accept(5_000_000, 0.0)
    assert limit.now == CONFIGURED


def test_a_refusal_halves_the_limit_at_once() -> None:
    limit = SizeLimit(CONFIGURED)
    limit.refuse(4_000_000, 0.0)
    assert limit.now == BatchLimits(1000, 2_000_000)
    limit.refuse(1, 0.0)
    assert limit.now.bytes == 1


def test_requests_that_do_not_fill_it_say_nothing_about_the_limit() -> None:
    limit = SizeLimit(CONFIGURED)
    limit.refuse(4_000_000, 0.0)
    for moment in range(100):
        limit.accept(900_000, float(moment))
    assert limit.now.bytes == 2_000_000


@given(st.integers(100, 5000), st.integers(1, 60))
def test_the_limit_is_back_within_seconds_of_a_server_that_refused_everything(event: int, refusals: int) -> None:
    limit = SizeLimit(BatchLimits(1_000_000, 5_000_000))
    for _ in range(refusals):
        limit.refuse(max(event, limit.now.bytes), 0.0)
    requests = 0
    while limit.now.bytes < 5_000_000:
        send(limit, 10**9, event, 1.0 + requests * SECOND_APART)
        requests += 1
        assert requests < 40


@settings(max_examples=20, deadline=None)
@given(st.integers(10_000, 4_000_000), st.integers(100, 5000))
def test_a_server_with_a_smaller_limit_refuses_few_requests_and_is_used_well(most: int, event: int) -> None:
    limit, now, refused, sent = SizeLimit(BatchLimits(1_000_000, 5_000_000)), 0.0, 0, 0
    for _ in range(36_000):
        now += 0.1
        full = send(limit, most, event, now)
        refused += not full
        sent += min(limit.now.bytes, most) if full else 0
    assert refused <= 9 + 10 + 6, "what it takes to find the limit, and one in ten minutes at last"
    assert sent / 36_000 >= 0.4 * most
