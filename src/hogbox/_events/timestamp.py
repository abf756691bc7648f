"""Points in time, as PostHog reads them: ISO 8601 in UTC (wire protocol 2.2)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hogbox._events.value import class_name, shown
from hogbox.errors import InvalidEvent


def utc_text(moment: datetime) -> str:
    """The moment in UTC with microseconds; a naive one is local time, as everywhere in Python.

    Raises InvalidEvent for a moment without a UTC form (in the first and last hours of the years 1 to 9999).
    """
    try:
        return moment.astimezone(UTC).isoformat(timespec="microseconds")
    except Exception as error:
        raise InvalidEvent(f"timestamp {shown(moment)} cannot be expressed in UTC: pass another one") from error


class Clockface:
    """Renders instants as `utc_text` does. Caches the last second, which is the slow part to render."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = (-1, "1969-12-31T23:59:59")

    def text(self, nanoseconds: int) -> str:
        """The instant, in nanoseconds since 1970 in UTC, as text with microseconds."""
        second, rest = divmod(nanoseconds, 1_000_000_000)
        known, text = self._last
        if second != known:
            text = datetime.fromtimestamp(second, UTC).isoformat()[:-6]
            self._last = (second, text)
        return f"{text}.{rest // 1000:06d}+00:00"


def require_moment(value: Any) -> datetime:
    """The value, if it is a datetime. Raises InvalidEvent otherwise."""
    if issubclass(type(value), datetime):
        return value  # type: ignore[no-any-return]
    raise InvalidEvent(
        f"timestamp must be a datetime, not {class_name(value)}: pass datetime.now(timezone.utc), or "
        "datetime.fromisoformat(text)"
    )


def read_text(text: str) -> str | None:
    """The ISO 8601 text in UTC, or None if it is invalid; a text without an offset is UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return utc_text(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, InvalidEvent):
        return None
