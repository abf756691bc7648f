"""Points in time: whatever the zone, PostHog is told UTC."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from hogbox._events.timestamp import Clockface, read_text, require_moment, utc_text
from hogbox.errors import InvalidEvent

WIRE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")
INDIA = timezone(timedelta(hours=5, minutes=30))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST = datetime.fromisoformat("0001-01-01T00:00:00")
LAST = datetime.fromisoformat("9999-12-31T23:59:59.999999")
OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.fixture(name="in_tokyo")
def _in_tokyo() -> Iterator[None]:
    with time_machine.travel(datetime(2026, 3, 4, tzinfo=ZoneInfo("Asia/Tokyo"))):
        yield


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        pytest.param(datetime(2026, 3, 4, 10, 15, 30, 250000, UTC), "2026-03-04T10:15:30.250000+00:00", id="UTC"),
        pytest.param(datetime(2026, 1, 2, 8, tzinfo=INDIA), "2026-01-02T02:30:00.000000+00:00", id="converted"),
        pytest.param(datetime(1, 1, 2, tzinfo=UTC), "0001-01-02T00:00:00.000000+00:00", id="early"),
    ],
)
def test_p3_a_moment_is_written_in_utc_with_microseconds(moment: datetime, text: str) -> None:
    assert utc_text(moment) == text


@pytest.mark.usefixtures("in_tokyo")
def test_a_naive_moment_is_local_time() -> None:
    assert utc_text(datetime.fromisoformat("2026-03-04T09:00:00")) == "2026-03-04T00:00:00.000000+00:00"


@given(st.datetimes(FIRST + timedelta(1), LAST - timedelta(1), timezones=OFFSETS))
def test_any_aware_moment_has_the_wire_form_and_stays_the_same_moment(moment: datetime) -> None:
    text = utc_text(moment)
    assert WIRE.fullmatch(text)
    assert datetime.fromisoformat(text) == moment
    assert read_text(text) == text


@pytest.mark.parametrize(
    ("moment", "zone"),
    [(FIRST, timezone(timedelta(hours=1))), (LAST, timezone(timedelta(hours=-1)))],
    ids=["too early", "too late"],
)
def test_p8_a_moment_without_utc_form_is_refused(moment: datetime, zone: tzinfo) -> None:
    with pytest.raises(InvalidEvent, match="cannot be expressed in UTC: pass another one"):
        utc_text(moment.replace(tzinfo=zone))


@given(st.lists(st.integers(-(10**18), 4 * 10**18), min_size=1, max_size=5))
def test_p3_a_clockface_shows_what_a_moment_is_written_as(instants: list[int]) -> None:
    clockface = Clockface()
    for instant in instants:
        expected = utc_text(EPOCH + timedelta(microseconds=instant // 1000))
        assert clockface.text(instant) == expected
        assert clockface.text(instant) == expected


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (0, "1970-01-01T00:00:00.000000+00:00"),
        (-1, "1969-12-31T23:59:59.999999+00:00"),
        (1_772_619_330_250_000_999, "2026-03-04T10:15:30.250000+00:00"),
    ],
)
def test_a_clockface_shows_microseconds(instant: int, text: str) -> None:
    assert Clockface().text(instant) == text


def test_a_datetime_is_required_as_it_is() -> None:
    moment = datetime(2026, 3, 4, tzinfo=UTC)
    assert require_moment(moment) is moment


@pytest.mark.parametrize("value", ["2026-03-04T10:15:30Z", 1772619330, datetime(2026, 3, 4, tzinfo=UTC).date()])
def test_p8_anything_else_is_refused_with_what_to_pass(value: Any) -> None:
    with pytest.raises(InvalidEvent, match=rf"not {type(value).__name__}: pass datetime\.now\(timezone\.utc\)"):
        require_moment(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-04T10:15:30Z", "2026-03-04T10:15:30.000000+00:00"),
        ("2026-01-02T08:00:00+05:30", "2026-01-02T02:30:00.000000+00:00"),
        ("2026-03-04 10:15:30.25", "2026-03-04T10:15:30.250000+00:00"),
        ("2026-03-04", "2026-03-04T00:00:00.000000+00:00"),
        ("0001-01-01T00:00:00+05:00", None),
        ("yesterday", None),
        ("2026-02-30", None),
        ("", None),
    ],
)
def test_a_text_is_read_as_utc_or_not_at_all(text: str, expected: str | None) -> None:
    assert read_text(text) == expected
