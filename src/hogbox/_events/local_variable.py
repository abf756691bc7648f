"""The local variables of a frame, as text: only if the application asks for them, and without values that look secret.

Only values of plain types are shown. For all others, the class is named: their `repr` may be the application's code,
which could query the database in the transaction that has just failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import islice
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from hogbox._events.redaction import Names
from hogbox._events.scrub import REDACTED, SECRET_NAMES, scrub
from hogbox._events.value import class_name, clean_text

MAX_VARIABLES: Final = 20
"""Variables shown of one frame."""

MAX_VALUE_CHARACTERS: Final = 256
"""The longest text of one variable, and the longest name."""

_SEARCHED: Final = 4 * MAX_VALUE_CHARACTERS
"""Characters that are searched for secrets before the text is cut: one that goes on beyond the cut is still found."""

_MAX_ITEMS: Final = 10
_MAX_DEPTH: Final = 3
_LONGEST_NUMBER_BITS: Final = 256
_SECRET: Final = Names.of(SECRET_NAMES)
_PRINTED: Final = (date, timedelta, timezone, Decimal, UUID)
_BRACKETS: Final[dict[type, str]] = {list: "[]", tuple: "()", set: "{}", frozenset: "{}"}
_LEFT_OUT: Final = (ModuleType, FunctionType, BuiltinFunctionType, type)


def variable_texts(variables: Mapping[str, Any]) -> dict[str, str]:
    """The names of the first variables, each with its text; modules, classes and functions are left out."""
    shown = ((name, value) for name, value in variables.items() if not _is_left_out(name, value))
    return {clean_text(_cut(name)): _guarded(name, value) for name, value in islice(shown, MAX_VARIABLES)}


def _is_left_out(name: str, value: Any) -> bool:
    return name.startswith("__") or issubclass(type(value), _LEFT_OUT)


def _guarded(name: str, value: Any) -> str:
    """The text; the class if that fails: another thread changes the value, or a metaclass raises."""
    try:
        return clean_text(_shown(name, value))
    except Exception:
        return f"<{class_name(value)}>"


def _shown(name: str, value: Any) -> str:
    return REDACTED if _SECRET.hold(name) else _cut(scrub(_text(value, 0)[:_SEARCHED]))


def _text(value: Any, depth: int) -> str:
    kind = type(value)
    if kind is str or kind is bytes:
        return repr(value[:_SEARCHED])
    if kind is int and value.bit_length() > _LONGEST_NUMBER_BITS:
        return f"<int of {value.bit_length()} bits>"
    if value is None or kind in (bool, int, float) or kind in _PRINTED:
        return repr(value)
    if kind is datetime or kind is time:
        return _moment(value)
    if kind is dict or kind in _BRACKETS:
        return _container(value, depth) if depth < _MAX_DEPTH else "..."
    return f"<{kind.__module__}.{kind.__qualname__}>"


def _moment(value: datetime | time) -> str:
    """The `repr` of an application's own time zone class may have side effects: only its class is named."""
    zone = value.tzinfo
    if zone is None or type(zone) is timezone or type(zone) is ZoneInfo:
        return repr(value)
    return f"{value.replace(tzinfo=None)!r} in <{class_name(zone)}>"


def _container(value: Any, depth: int) -> str:
    brackets = _BRACKETS.get(type(value), "{}")
    shown = list(_items(value, depth))
    if len(value) > len(shown):
        shown.append("...")
    return f"{brackets[0]}{', '.join(shown)}{brackets[1]}"


def _items(value: Any, depth: int) -> Iterator[str]:
    for item in islice(value, _MAX_ITEMS):
        if type(value) is not dict:
            yield _text(item, depth + 1)
        elif type(item) is str and _SECRET.hold(item):
            yield f"{_text(item, depth + 1)}: {REDACTED}"
        else:
            yield f"{_text(item, depth + 1)}: {_text(value[item], depth + 1)}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_VALUE_CHARACTERS else f"{text[: MAX_VALUE_CHARACTERS - 3]}..."
