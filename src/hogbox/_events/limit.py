"""What PostHog is known to refuse or to garble (wire protocol 2.3): such events wait among the dead letters."""

from __future__ import annotations

from typing import Final

from hogbox._events.escape import escape
from hogbox._events.identity import garbled
from hogbox.errors import InvalidEvent

MAX_EVENT_BYTES: Final = 921_600
"""One event's encoded form, as PostHog's own clients bound it."""

MAX_STORED_BYTES: Final = 7 * 1024 * 1024
"""The largest event that can be kept at all: within MySQL's default packet even where every byte is escaped."""


def refusal(distinct_id: str, payload: str) -> str | None:
    """Why PostHog would refuse or garble this event, or None where it can be delivered.

    Raises InvalidEvent for an event that no database of ours is sure to hold.
    """
    size = len(payload) if payload.isascii() else len(payload.encode())
    stored = size if payload.isascii() or 3 * size <= MAX_STORED_BYTES else len(escape(payload))
    if stored > MAX_STORED_BYTES:
        raise InvalidEvent(
            f"the event takes {stored:,} bytes and hogbox keeps at most {MAX_STORED_BYTES:,}: capture less in one event"
        )
    if size > MAX_EVENT_BYTES:
        return f"the event has {size:,} bytes; PostHog takes at most {MAX_EVENT_BYTES:,}"
    return garbled(distinct_id)
