"""Dates as the service reads them, as instants (section 9.5).

An instant is an integer, nanoseconds since 1970: nothing that the service can hold is out of its range.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final, NamedTuple, TypeAlias

from hogbox.flags._operators.number import number_of
from hogbox.flags._value import Json

SECOND: Final = 10**9
BEFORE_EVERYTHING: Final = -(10**30)
"""The instant of a relative date that would lie before the year 1."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# chrono, which computes for the service, ends at the year 262142.
_GREATEST_SECONDS = 8_210_266_876_799
_LONGEST_TEXT = 100

_RELATIVE = re.compile(r"-?([0-9]+)([A-Za-z])")
_CIVIL = re.compile(
    r"(?P<year>[0-9]{4})-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})"
    r"(?:[ Tt](?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{1,2})"
    r"(?::(?P<second>[0-9]{1,2})(?:\.(?P<fraction>[0-9]+))?)?)?"
    r"(?P<offset>[Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
_EPOCH_DIGITS = {10: SECOND, 13: 10**6, 19: 1}


class Unreadable(NamedTuple):
    """A text that is no instant here: certainly none, or one that only the service's lenient parser reads."""

    certain: bool


NO_DATE: Final = Unreadable(certain=True)
UNCLEAR: Final = Unreadable(certain=False)


class Relative(NamedTuple):
    """So many hours, days, weeks, months or years before now."""

    number: int
    unit: str

    def before(self, now: datetime, zone: tzinfo) -> int | Unreadable:
        """The instant on the wall clock of `zone`; months and years go one at a time, clamping the day."""
        wall = now.astimezone(zone).replace(tzinfo=None)
        try:
            return _localised(self._stepped_back(wall), zone)
        except (OverflowError, ValueError):
            return BEFORE_EVERYTHING

    def _stepped_back(self, wall: datetime) -> datetime:
        if self.unit == "h":
            return wall - timedelta(hours=self.number)
        if self.unit in "dw":
            return wall - timedelta(days=self.number * (7 if self.unit == "w" else 1))
        left, step = self.number, 1 if self.unit == "m" else 12
        while left and wall.day > 28:
            wall, left = _months_before(wall, step), left - 1
        return _months_before(wall, left * step)


Moment: TypeAlias = int | Relative | Unreadable


def of_filter(value: Json, zone: tzinfo) -> Moment:
    """What a filter's value says: text only; 10, 13 or 19 digits are seconds, milliseconds, nanoseconds."""
    if not isinstance(value, str):
        return NO_DATE
    if value.isascii() and value.isdigit():
        unit = _EPOCH_DIGITS.get(len(value))
        return NO_DATE if unit is None else int(value) * unit
    return _of_text(value, zone)


def of_property(value: Json, zone: tzinfo) -> Moment:
    """What a property says: numbers, and text that reads as one, are seconds since 1970."""
    seconds = number_of(value)
    if seconds is not None:
        return _of_seconds(seconds)
    return _of_text(value, zone) if isinstance(value, str) else NO_DATE


def _of_seconds(seconds: float) -> int | Unreadable:
    if not abs(seconds) <= _GREATEST_SECONDS:
        return UNCLEAR
    whole = math.floor(seconds)
    return whole * SECOND + int((seconds - whole) * SECOND)


def _of_text(text: str, zone: tzinfo) -> Moment:
    if len(text) > _LONGEST_TEXT:
        return UNCLEAR
    relative = _RELATIVE.fullmatch(text)
    if relative:
        count, unit = int(relative[1]), relative[2]
        return Relative(count, unit) if count < 10_000 and unit in "hdwmy" else NO_DATE
    civil = _CIVIL.fullmatch(text)
    if civil:
        return _of_civil(civil, "t" in text, zone)
    return UNCLEAR if any(map(str.isnumeric, text)) else NO_DATE


def _of_civil(match: re.Match[str], small_t: bool, zone: tzinfo) -> int | Unreadable:
    offset, second = match["offset"], match["second"]
    # Beyond the shapes of the table: a time without seconds but with an offset, a small t without one,
    # the year 0 (which Python has not) and a leap second.
    if (offset and second is None) or (small_t and not offset) or match["year"] == "0000" or second == "60":
        return UNCLEAR
    numbers = [int(match[part] or 0) for part in ("year", "month", "day", "hour", "minute", "second")]
    try:
        wall = datetime(*numbers)  # type: ignore[arg-type]  # noqa: DTZ001 - a wall clock
        instant = _localised(wall, _offset(offset) if offset else zone)
    except ValueError:
        return NO_DATE
    except OverflowError:
        return UNCLEAR
    nanoseconds = int((match["fraction"] or "0")[:9].ljust(9, "0"))
    return instant + nanoseconds if isinstance(instant, int) else instant


def _offset(text: str) -> tzinfo:
    if text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:])
    if minutes > 59:
        raise ValueError(text)
    east = timedelta(hours=hours, minutes=minutes)
    return timezone(east if text[0] == "+" else -east)


def _localised(wall: datetime, zone: tzinfo) -> int | Unreadable:
    """A wall clock's instant: the earlier of a repeated hour, none in a skipped one."""
    aware = wall.replace(tzinfo=zone, fold=0)
    if not isinstance(zone, timezone) and aware.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != wall:
        return NO_DATE
    since = aware - _EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1_000


def _months_before(wall: datetime, months: int) -> datetime:
    year, month = divmod(wall.year * 12 + wall.month - 1 - months, 12)
    day = wall.day
    while True:
        try:
            return wall.replace(year=year, month=month + 1, day=day)
        except ValueError:
            if day <= 28:
                raise
            day -= 1
