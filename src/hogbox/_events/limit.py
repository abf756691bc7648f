"""What PostHog is known to refuse or to garble (wire protocol 2.3): such events become dead letters at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hogbox._events.ai import AI_NAMES, MAX_AI_EVENT_BYTES
from hogbox._events.escape import escape
from hogbox._events.event import AI, ANALYTICS
from hogbox._events.identity import garbled
from hogbox.errors import InvalidEvent

MAX_EVENT_BYTES: Final = 921_600
"""The largest event, encoded: the limit in PostHog's own clients."""

MAX_STORED_BYTES: Final = 7 * 1024 * 1024
"""The largest event that can be stored: it fits into MySQL's default packet even if every byte is escaped."""

MAX_AI_STORED_BYTES: Final = 11 * 1024 * 1024
"""The largest event of the AI lane that can be stored: encrypted, it still fits into MySQL's default packet."""

_MAX_PACKET_BYTES: Final = 15 * 1024 * 1024
"""MySQL's drivers write a backslash before each quote and backslash, and the whole has to fit into the packet."""

MAX_NAME_CHARACTERS: Final = 200
"""The longest event name: PostHog truncates a longer one, or drops the event."""

MAX_GROUP_CHARACTERS: Final = 400
"""The longest group type and group key: PostHog drops the properties of a group with a longer one."""

_MERGES: Final = ("$create_alias", "$merge_dangerously")


def refusal(event: Mapping[str, Any], payload: str, lane: str = ANALYTICS) -> str | None:
    """Why PostHog would refuse or garble this event, or None if it can be delivered.

    Raises InvalidEvent for an event that is too large for one of the supported databases.
    """
    size, stored = _sizes(payload)
    largest = MAX_AI_STORED_BYTES if lane == AI else MAX_STORED_BYTES
    if stored > largest:
        raise InvalidEvent(
            f"the event has {stored:,} bytes, and hogbox stores at most {largest:,}: capture less in one event"
        )
    if lane == AI and not _fits_packet(payload, stored):
        raise InvalidEvent(
            f"the event has more than {_MAX_PACKET_BYTES:,} bytes with its quotes escaped: capture less in one event"
        )
    most = MAX_AI_EVENT_BYTES if lane == AI else MAX_EVENT_BYTES
    if size > most:
        return f"the event has {size:,} bytes; PostHog accepts at most {most:,}"
    wrong = garbled(str(event.get("distinct_id"))) or _garbled_name(event) or _in_vain(event)
    return wrong or (_no_ai_event(event) if lane == AI else None)


def is_oversized(payload: str) -> bool:
    """Whether an event of the AI lane is too large for PostHog, or for one of the supported databases."""
    size, stored = _sizes(payload)
    return size > MAX_AI_EVENT_BYTES or stored > MAX_AI_STORED_BYTES or not _fits_packet(payload, stored)


def _sizes(payload: str) -> tuple[int, int]:
    """The bytes of a payload as it is sent, and the bytes of its text in ASCII."""
    if payload.isascii():
        return len(payload), len(payload)
    size = len(payload.encode())
    # Escaping makes a text at most three times as long: two bytes of UTF-8 become six. Most need no exact count.
    return size, size if 3 * size <= MAX_STORED_BYTES else len(escape(payload))


def _fits_packet(payload: str, stored: int) -> bool:
    if 2 * stored <= _MAX_PACKET_BYTES:
        return True
    text = escape(payload)
    return stored + sum(text.count(mark) for mark in "\"'\\") <= _MAX_PACKET_BYTES


def _no_ai_event(event: Mapping[str, Any]) -> str | None:
    """PostHog's AI endpoint refuses the whole request for an event of another name."""
    if event.get("event") in AI_NAMES:
        return None
    return "PostHog's AI endpoint does not accept events of this name: use capture"


def illegal_partner(anonymous_id: object) -> str | None:
    """Why PostHog would not merge the person with this anonymous id into another one, or None."""
    return garbled(str(anonymous_id), "$anon_distinct_id")


def _garbled_name(event: Mapping[str, Any]) -> str | None:
    length = len(str(event.get("event")))
    if length <= MAX_NAME_CHARACTERS:
        return None
    return f"the event's name has {length} characters; PostHog accepts at most {MAX_NAME_CHARACTERS}"


def _in_vain(event: Mapping[str, Any]) -> str | None:
    """Why an event would have no effect: a person that PostHog does not merge, a group that it does not store."""
    properties = event.get("properties")
    if not isinstance(properties, dict):
        return None
    if event.get("event") in _MERGES and "alias" in properties:
        return garbled(str(properties["alias"]), "alias")
    if event.get("event") == "$groupidentify":
        for name in ("$group_type", "$group_key"):
            length = len(str(properties.get(name)))
            if length > MAX_GROUP_CHARACTERS:
                return f"{name} has {length} characters; PostHog accepts at most {MAX_GROUP_CHARACTERS}"
    return None
