"""The properties of each kind of event (wire protocol 2.4 to 2.9)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from hogbox._events.identity import MAX_CHARACTERS, NO_TEXT, garbled, require_readable
from hogbox._events.value import class_name, clean_properties, shown
from hogbox.errors import InvalidEvent

PERSON_PROFILE: Final = "$process_person_profile"

MAX_GROUPS: Final = 1000
"""Groups that one event may name. PostHog has five types of them."""

IDENTIFY: Final = "$identify"
GROUP_IDENTIFY: Final = "$groupidentify"
CREATE_ALIAS: Final = "$create_alias"
EXCEPTION: Final = "$exception"

_LONGEST_KIND: Final = 100
"""The longest group type, in bytes, that a distinct id with a digest contains."""

_IDENTIFY_PARTS: Final = ("$set", "$set_once", "$anon_distinct_id")


def library_properties(version: str) -> dict[str, Any]:
    """The properties of every event that describe the sending library."""
    return {"$lib": "hogbox", "$lib_version": version, "$is_server": True}


def identify_properties(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of `$identify`: without an explicit `$set`, all properties that are not its parts are set."""
    parts = {key: properties[key] for key in _IDENTIFY_PARTS if key in properties}
    rest = {key: value for key, value in properties.items() if key not in parts}
    return {**rest, **parts} if "$set" in parts else {"$set": rest, **parts}


def group_identify_properties(group_type: str, group_key: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """The properties of `$groupidentify`."""
    return {"$group_type": group_type, "$group_key": group_key, "$group_set": properties}


def group_distinct_id(group_type: str, group_key: str) -> str:
    """The distinct id of a group's own events.

    If PostHog would truncate or garble it, it ends in a digest of the group instead.
    """
    distinct_id = f"${group_type}_{group_key}"
    if len(distinct_id.encode()) <= MAX_CHARACTERS and garbled(distinct_id) is None:
        return distinct_id
    digest = hashlib.sha256(f"{group_type}\n{group_key}".encode()).hexdigest()
    kind = group_type if len(group_type.encode()) <= _LONGEST_KIND and "\0" not in group_type else "group"
    return f"${kind}_{digest}"


def alias_properties(distinct_id: str, alias: str) -> dict[str, Any]:
    """The properties of `$create_alias`; PostHog reads the distinct id from here."""
    return {"distinct_id": distinct_id, "alias": alias}


def group_map(groups: Any) -> dict[str, str]:
    """Group types and keys as text, which PostHog compares. Raises InvalidEvent for anything but a mapping of them."""
    if not issubclass(type(groups), Mapping):
        raise InvalidEvent(f"groups must be a mapping such as {{'company': 'c-19'}}, not {class_name(groups)}")
    return {
        require_text(kind, "a group type"): require_text(key, "a group key")
        for kind, key in islice(groups.items(), MAX_GROUPS)
    }


def require_text(value: Any, what: str) -> str:
    """The value as text that is not blank; numbers and UUIDs are converted. Raises InvalidEvent otherwise."""
    if value is None or issubclass(type(value), NO_TEXT):
        raise InvalidEvent(f"{what} must be text, not {shown(value)}")
    text = require_readable(value, what)
    if not text.strip():
        raise InvalidEvent(f"{what} must not be empty")
    return text


def require_properties(value: Any) -> Mapping[str, Any]:
    """The value as a mapping of properties; None counts as empty. Raises InvalidEvent for other types."""
    return read_properties(value)[0]


def read_properties(value: Any) -> tuple[dict[Any, Any], list[str]]:
    """The same as a dict, and messages about dropped values. Raises InvalidEvent for anything but a mapping.

    A mapping of another class may run code of its own, or be endless: it is read once, here, within an event's limits.
    """
    if value is None:
        return {}, []
    if type(value) is dict:
        return value, []
    if issubclass(type(value), Mapping):
        return clean_properties(value)
    raise InvalidEvent(f"properties must be a mapping such as {{'plan': 'pro'}}, not {class_name(value)}")
