"""Distinct ids, and which of them PostHog would garble (wire protocol 2.1 and 4.8)."""

from __future__ import annotations

from typing import Any, Final

from hogbox._events.value import class_name, shown, text_of
from hogbox.errors import InvalidEvent, MissingDistinctId

MAX_CHARACTERS: Final = 200
"""PostHog truncates a longer distinct id silently, which merges different people."""

NO_TEXT: Final = (bool, float, bytes, dict, list, tuple, set)
"""Types that are not accepted as an id or a key: their texts are not stable, or not meant as one."""

ILLEGAL: Final = frozenset(
    {
        "0",
        "00000000-0000-0000-0000-000000000000",
        "[object object]",
        "anonymous",
        "anonymous-user",
        "backend",
        "distinct_id",
        "distinctid",
        "email",
        "false",
        "guest",
        "id",
        "nan",
        "none",
        "not_authenticated",
        "null",
        "system",
        "true",
        "undefined",
        "user",
    }
)
"""Compared trimmed and without case. PostHog creates no person for these: they are common placeholders."""


def resolve(identified: Any, argument: Any) -> str:
    """The distinct id: what the `identify` callback returned, else the argument.

    Raises MissingDistinctId if both are missing or blank, InvalidEvent for a value that can't be an id.
    """
    given = identified if identified is not None else argument
    if type(given) is str and given.isascii() and given.strip():
        return given
    if given is None:
        raise MissingDistinctId()
    if issubclass(type(given), NO_TEXT) or _has_no_text(given):
        raise InvalidEvent(f"distinct_id must be text, an integer or a UUID, not {shown(given)}")
    text = require_readable(given, "distinct_id")
    if not text.strip():
        raise MissingDistinctId()
    return text


def require_readable(value: Any, what: str) -> str:
    """The value as text. Raises InvalidEvent if its conversion to text raises."""
    try:
        return text_of(value)
    except Exception as error:
        raise InvalidEvent(
            f"{what} can't be converted to text: {class_name(value)} raised {class_name(error)}"
        ) from error


def garbled(distinct_id: str, name: str = "distinct_id") -> str | None:
    """Why PostHog would not store events with this distinct id unchanged, or None. `name` is for the message."""
    if len(distinct_id) > MAX_CHARACTERS:
        return f"{name} has {len(distinct_id)} characters; PostHog truncates it to {MAX_CHARACTERS}"
    if "\0" in distinct_id:
        return f"{name} {distinct_id!r} contains NUL, which PostHog replaces"
    if distinct_id.strip().lower() in ILLEGAL:
        return f"{name} {distinct_id!r} is an id for which PostHog creates no person"
    return None


def _has_no_text(value: object) -> bool:
    """Whether `str` would give the object's address, or a description for programmers."""
    return not issubclass(type(value), (str, int)) and getattr(type(value), "__str__", None) is object.__str__
