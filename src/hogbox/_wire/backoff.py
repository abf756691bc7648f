"""How long to wait before a request is tried again (wire protocol 3.4)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

SHORTEST: Final = 0.1
"""Seconds. Jitter spreads the retries of many workers; it must not turn one into an immediate repeat."""

LONGEST_RETRY_AFTER: Final = 3600.0
"""Seconds. Beyond this a `Retry-After` is taken for garbage and cut."""


def delay(attempt: int, *, base: float, cap: float, random: float, retry_after: float | None = None) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1): exponential with full jitter.

    `random` is from [0, 1). `retry_after` is a minimum that the server asked for.
    """
    exponent = min(max(attempt, 1) - 1, 63)
    own = max(SHORTEST, random * min(cap, base * 2.0**exponent))
    return own if retry_after is None else max(own, min(retry_after, LONGEST_RETRY_AFTER))


def parse_retry_after(header: str | None, now: datetime) -> float | None:
    """The seconds that a `Retry-After` asks for: an integer or an HTTP date. Zero, past or garbage is None."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text[:12]), LONGEST_RETRY_AFTER)) or None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - now).total_seconds()
    return seconds if seconds > 0 else None
