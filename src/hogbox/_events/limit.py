"""What PostHog is known to refuse or to garble (wire protocol 2.3): such events wait among the dead letters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hogbox._events.escape import escape
from hogbox._events.identity import garbled
from hogbox.errors import InvalidEvent

MAX_EVENT_BYTES: Final = 921_600
"""One event's encoded form, as PostHog's own clients bound it."""

MAX_STORED_BYTES: Final = 7 * 1024 * 1024
"""The largest event that can be kept at all: within MySQL's default packet even where every byte is escaped."""


MAX_NAME_CHARACTERS: Final = 200
"""Of an event's name: PostHog cuts a longer one, or drops the event."""

MAX_GROUP_CHARACTERS: Final = 400
"""Of a group's type and of its key: PostHog drops what is told of a group with a longer one."""

_MERGES: Final = ("$create_alias", "$merge_dangerously")


def refusal(event: Mapping[str, Any], payload: str) -> str | None:
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
    return garbled(str(event.get("distinct_id"))) or _garbled_name(event) or _in_vain(event)


def illegal_partner(anonymous_id: object) -> str | None:
    """Why PostHog would not merge a person into another one under this id, or None."""
    return garbled(str(anonymous_id), "$anon_distinct_id")


def _garbled_name(event: Mapping[str, Any]) -> str | None:
    length = len(str(event.get("event")))
    if length <= MAX_NAME_CHARACTERS:
        return None
    return f"the event's name has {length} characters; PostHog takes at most {MAX_NAME_CHARACTERS}"


def _in_vain(event: Mapping[str, Any]) -> str | None:
    """Why an event would change nothing: a person that PostHog does not merge, a group that it does not keep."""
    properties = event.get("properties")
    if not isinstance(properties, dict):
        return None
    if event.get("event") in _MERGES and "alias" in properties:
        return garbled(str(properties["alias"]), "alias")
    if event.get("event") == "$groupidentify":
        for name in ("$group_type", "$group_key"):
            length = len(str(properties.get(name)))
            if length > MAX_GROUP_CHARACTERS:
                return f"{name} has {length} characters; PostHog takes at most {MAX_GROUP_CHARACTERS}"
    return None
