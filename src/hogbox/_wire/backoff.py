"""How long to wait before a request is tried again (wire protocol 3.4)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

SHORTEST: Final = 0.1
"""Seconds. Jitter spreads the retries of many workers; it must not turn one into an immediate repeat."""

FIRST_HOLD: Final = 5.0
"""Least number of seconds between the first and second attempt for a project with a refused token."""

LONGEST_RETRY_AFTER: Final = 3600.0
"""Seconds. A longer `Retry-After` is taken for a mistake and reduced to this."""


def delay(attempt: int, *, base: float, cap: float, random: float, retry_after: float | None = None) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1): exponential with full jitter.

    `random` is from [0, 1). `retry_after` is a minimum that the server asked for.
    """
    exponent = min(max(attempt, 1) - 1, 63)
    own = max(SHORTEST, random * min(cap, base * 2.0**exponent))
    return own if retry_after is None else max(own, min(retry_after, LONGEST_RETRY_AFTER))


def hold(attempt: int, *, cap: float, random: float, retry_after: float | None = None) -> float:
    """Seconds to pause a project that was refused for the `attempt`th time in a row (from 1).

    A little over 5 s at first, then twice as long each time, up to `cap`: somebody has to fix the configuration.
    """
    own = min(cap, FIRST_HOLD * 2.0 ** min(max(attempt, 1) - 1, 63) * (1 + random / 4))
    return own if retry_after is None else max(own, min(retry_after, LONGEST_RETRY_AFTER))


def parse_retry_after(header: str | None, now: datetime) -> float | None:
    """The seconds in a `Retry-After`: an integer or an HTTP date. None for zero, the past and invalid values."""
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
