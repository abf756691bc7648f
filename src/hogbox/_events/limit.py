"""What PostHog is known to refuse or to garble (wire protocol 2.3): such events become dead letters at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hogbox._events.escape import escape
from hogbox._events.identity import garbled
from hogbox.errors import InvalidEvent

MAX_EVENT_BYTES: Final = 921_600
"""The largest event, encoded: the limit in PostHog's own clients."""

MAX_STORED_BYTES: Final = 7 * 1024 * 1024
"""The largest event that can be stored: it fits into MySQL's default packet even if every byte is escaped."""

MAX_NAME_CHARACTERS: Final = 200
"""The longest event name: PostHog truncates a longer one, or drops the event."""

MAX_GROUP_CHARACTERS: Final = 400
"""The longest group type and group key: PostHog drops the properties of a group with a longer one."""

_MERGES: Final = ("$create_alias", "$merge_dangerously")


def refusal(event: Mapping[str, Any], payload: str) -> str | None:
    """Why PostHog would refuse or garble this event, or None if it can be delivered.

    Raises InvalidEvent for an event that is too large for one of the supported databases.
    """
    size = len(payload) if payload.isascii() else len(payload.encode())
    # Escaping makes a text at most three times as long: two bytes of UTF-8 become six. Most need no exact count.
    stored = size if payload.isascii() or 3 * size <= MAX_STORED_BYTES else len(escape(payload))
    if stored > MAX_STORED_BYTES:
        raise InvalidEvent(
            f"the event has {stored:,} bytes, and hogbox stores at most {MAX_STORED_BYTES:,}: capture less in one event"
        )
    if size > MAX_EVENT_BYTES:
        return f"the event has {size:,} bytes; PostHog accepts at most {MAX_EVENT_BYTES:,}"
    return garbled(str(event.get("distinct_id"))) or _garbled_name(event) or _in_vain(event)


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
