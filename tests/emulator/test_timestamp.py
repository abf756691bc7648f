"""The server's time rules (wire protocol 3.7)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox.emulator.timestamp import (
    EPOCH,
    event_time,
    parse_query_sent_at,
    parse_sent_at,
    parse_time,
)

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
TEN = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-04T10:00:00Z",
        "2026-03-04t10:00:00z",
        "2026-03-04T10:00:00.000000+00:00",
        "2026-03-04T12:00:00+02",
        "2026-03-04T15:30:00+05:30",
        "2026-03-04T10:00:00",
        "2026-03-04 10:00:00",
        "2026/03/04 10:00",
        "03/04/2026 10:00:00",
        "Wed, 04 Mar 2026 12:00:00 +0200",
        "1772618400",
        "1772618400000",
        " 2026-03-04T10:00:00Z ",
    ],
)
def test_many_spellings_are_the_same_time(text: str) -> None:
    assert parse_time(text) == TEN


@pytest.mark.parametrize("text", ["", "soon", "99999999999999999999", "2026-13-04T10:00:00Z", "13/13/2026", "²" * 10])
def test_an_unreadable_time_is_the_servers_now(text: str) -> None:
    assert parse_time(text) is None
    assert event_time(text, offset=None, sent_at=None, ignore_sent_at=False, now=NOW) == NOW


def test_a_bare_date_is_its_midnight() -> None:
    assert parse_time("2026-03-04") == parse_time("2026/3/4") == TEN.replace(hour=0)


def test_the_skew_of_the_clients_clock_cancels_out() -> None:
    ahead = NOW + timedelta(seconds=10)

    def time(*, ignore: bool) -> datetime:
        return event_time("2026-03-04T10:00:00Z", offset=None, sent_at=ahead, ignore_sent_at=ignore, now=NOW)

    assert time(ignore=False) == TEN - timedelta(seconds=10)
    assert time(ignore=True) == TEN


def test_an_offset_overrides_everything() -> None:
    time = event_time("2026-03-04T10:00:00Z", offset=5000, sent_at=TEN, ignore_sent_at=False, now=NOW)
    assert time == NOW - timedelta(seconds=5)


@pytest.mark.parametrize(("hours", "kept"), [(22, True), (23, True), (24, False)])
def test_too_far_in_the_future_is_now(hours: int, kept: bool) -> None:
    future = NOW + timedelta(hours=hours)
    time = event_time(future.isoformat(), offset=None, sent_at=None, ignore_sent_at=False, now=NOW)
    assert time == (future if kept else NOW)


def test_a_year_that_cannot_be_stored_is_1970() -> None:
    assert event_time(None, offset=10**17, sent_at=None, ignore_sent_at=False, now=NOW) == EPOCH
    assert (
        event_time(
            "0001-01-01T00:00:00Z",
            offset=None,
            sent_at=NOW + timedelta(days=9),
            ignore_sent_at=False,
            now=NOW,
        )
        == EPOCH
    )


def test_sent_at_needs_an_offset() -> None:
    assert parse_sent_at("2026-03-04T10:00:00+00:00") == TEN
    assert parse_sent_at(None) is parse_sent_at("2026-03-04T10:00:00") is parse_sent_at("soon") is None


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("1772618400000", TEN),
        ("1772618400", None),
        ("x", None),
        (None, None),
        ("9" * 15, None),
        ("9" * 16, None),
    ],
)
def test_the_older_sent_at_is_in_milliseconds(text: str | None, parsed: datetime | None) -> None:
    assert parse_query_sent_at(text) == parsed


@given(st.text(), st.none() | st.integers(), st.none() | st.datetimes(timezones=st.just(UTC)))
def test_there_is_always_a_time(text: str, offset: int | None, sent_at: datetime | None) -> None:
    time = event_time(text, offset=offset, sent_at=sent_at, ignore_sent_at=False, now=NOW)
    assert time <= NOW + timedelta(hours=23)
