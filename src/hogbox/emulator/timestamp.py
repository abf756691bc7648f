"""The time that PostHog stores for an event, from the client's text, its clock's skew, and the server's clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FURTHEST_FUTURE = timedelta(hours=23)

_EPOCH_DIGITS = {10: 1, 13: 1_000, 16: 1_000_000, 19: 1_000_000_000}
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_SLASHED = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})(.*)")
_SLASHED_AMERICAN = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(.*)")


def event_time(
    timestamp: str | None,
    *,
    offset: int | None,
    sent_at: datetime | None,
    ignore_sent_at: bool,
    now: datetime,
) -> datetime:
    """The stored time of an event. An unreadable timestamp silently becomes the server's now."""
    try:
        time = _uncapped_time(timestamp, offset, None if ignore_sent_at else sent_at, now)
    except OverflowError:  # the year is outside what PostHog stores
        return EPOCH
    return now if time - now > FURTHEST_FUTURE else time


def _uncapped_time(timestamp: str | None, offset: int | None, sent_at: datetime | None, now: datetime) -> datetime:
    if offset is not None:
        return now - timedelta(milliseconds=offset)
    parsed = parse_time(timestamp) if timestamp is not None else None
    if parsed is None:
        return now
    return parsed if sent_at is None else now + (parsed - sent_at)


def parse_time(text: str) -> datetime | None:
    """ISO 8601, a bare date, slashes, RFC 2822, or epoch seconds or milliseconds; no offset means UTC."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) in _EPOCH_DIGITS:
        return EPOCH + timedelta(seconds=int(text) / _EPOCH_DIGITS[len(text)])
    for read in (_read_iso, _read_slashed, parsedate_to_datetime):
        try:
            parsed = read(text)
        except (ValueError, IndexError, TypeError):
            continue
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    return None


def parse_rfc3339(text: str) -> datetime | None:
    """RFC 3339 with an offset, in UTC; None for anything else."""
    if not _RFC3339.fullmatch(text):
        return None
    try:
        return _read_iso(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def correct_skew(time: datetime, sent_at: datetime, now: datetime) -> datetime:
    """The time of an event of capture v1, by the server's clock."""
    try:
        corrected = now + (time - sent_at)
    except OverflowError:
        return now if time > sent_at else EPOCH
    return now if corrected - now > FURTHEST_FUTURE else corrected


def _read_iso(text: str) -> datetime:
    return datetime.fromisoformat(text.upper())


def _read_slashed(text: str) -> datetime:
    if match := _SLASHED.fullmatch(text):
        year, month, day, rest = match.groups()
    elif match := _SLASHED_AMERICAN.fullmatch(text):
        month, day, year, rest = match.groups()
    else:
        raise ValueError(text)
    return datetime.fromisoformat(f"{year}-{month:>02}-{day:>02}{rest}")


def parse_sent_at(text: str | None) -> datetime | None:
    """The envelope's `sent_at`: ISO 8601 with an offset, else it is as if it had not been sent."""
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if parsed.tzinfo is None else parsed


def parse_query_sent_at(text: str | None) -> datetime | None:
    """The older `?_=` form: milliseconds since the epoch; anything that lands before 2021 is not one."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 15:
        return None
    try:
        parsed = EPOCH + timedelta(milliseconds=int(text))
    except OverflowError:
        return None
    return parsed if parsed.year > 2020 else None
