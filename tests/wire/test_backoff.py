"""How long to wait before a request is tried again."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hogbox._wire.backoff import LONGEST_RETRY_AFTER, SHORTEST, delay, parse_retry_after

NOW = datetime(2026, 3, 4, 10, 15, 30, tzinfo=UTC)
RANDOM = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("attempt", "bound"),
    [(-1, 1.0), (0, 1.0), (1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (64, 60.0), (10**9, 60.0)],
)
def test_the_bound_doubles_with_each_attempt_up_to_the_cap(attempt: int, bound: float) -> None:
    assert delay(attempt, base=1.0, cap=60.0, random=0.5) == bound / 2


@given(st.integers(-5, 10**6), st.floats(0.001, 1000), st.floats(0.001, 10_000), RANDOM)
def test_a_delay_is_never_shorter_than_the_shortest_nor_longer_than_the_cap(
    attempt: int, base: float, cap: float, random: float
) -> None:
    assert SHORTEST <= delay(attempt, base=base, cap=cap, random=random) <= max(SHORTEST, cap)


@given(RANDOM, st.none() | st.floats(0, 100_000))
def test_retry_after_is_a_minimum_and_garbage_beyond_an_hour_is_cut(random: float, retry_after: float | None) -> None:
    own = delay(3, base=1.0, cap=60.0, random=random)
    waited = delay(3, base=1.0, cap=60.0, random=random, retry_after=retry_after)
    assert waited == max(own, min(retry_after or 0, LONGEST_RETRY_AFTER))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param(None, None, id="absent"),
        pytest.param("3", 3.0, id="seconds"),
        pytest.param(" 3\t", 3.0, id="blanks"),
        pytest.param("0", None, id="zero"),
        pytest.param("-3", None, id="negative"),
        pytest.param("1.5", None, id="fraction"),
        pytest.param("٣", None, id="digits of another script"),
        pytest.param("9" * 5000, 3600.0, id="absurd"),
        pytest.param("", None, id="empty"),
        pytest.param("soon", None, id="garbage"),
        pytest.param("Wed, 04 Mar 2026 10:15:40 GMT", 10.0, id="date"),
        pytest.param("Wed, 04 Mar 2026 11:15:40 +0100", 10.0, id="date with an offset"),
        pytest.param("Wed, 04 Mar 2026 10:15:40 -0000", 10.0, id="date without a zone"),
        pytest.param("Wednesday, 04-Mar-26 10:15:40 GMT", 10.0, id="old date"),
        pytest.param("Wed Mar  4 10:15:40 2026", 10.0, id="date of C"),
        pytest.param("Wed, 04 Mar 2026 10:15:30 GMT", None, id="now"),
        pytest.param("Wed, 04 Mar 2026 10:15:20 GMT", None, id="past"),
        pytest.param("Wed, 32 Mar 2026 10:15:20 GMT", None, id="no such day"),
        pytest.param("Wed, 04 Mar 99999999999999999999 10:15:20 GMT", None, id="no such year"),
        pytest.param("Wed, 04 Mar 2026 10:15:20 +99999999999999999999", None, id="no such offset"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 -2300", 251629764269.0, id="the last moment"),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds


@given(st.datetimes(datetime.fromisoformat("1990-01-01"), timezones=st.just(UTC)))
def test_a_date_is_as_far_ahead_as_it_is(moment: datetime) -> None:
    expected = (moment.replace(microsecond=0) - NOW).total_seconds()
    assert parse_retry_after(format_datetime(moment, usegmt=True), NOW) == (expected if expected > 0 else None)


HEADER = st.text(max_size=40) | st.lists(
    st.sampled_from(
        ["Wed", ",", " ", "04", "Mar", "2026", "10:15", ":40", "GMT", "+", "-0100", "9" * 20, "(", ".", "é"]
    )
).map("".join)


@given(HEADER)
@example(",")
def test_p8_no_header_raises(header: str) -> None:
    seconds = parse_retry_after(header, NOW)
    assert seconds is None or seconds > 0
