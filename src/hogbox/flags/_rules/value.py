"""Typed values of flags with rules (rules v2, 2.5), and results that hold them (rules v2, 6)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from hogbox.flags._reason import MalformedError
from hogbox.flags._result import FlagResult, FlagValue
from hogbox.flags._rules.literal import Literal, Numeral, plain

RETURN_TYPES: Final = frozenset({"boolean", "string", "number", "object"})

_GREATEST: Final = 2**53 - 1
_DEEPEST: Final = 20


def value_of(raw: Literal, return_type: str) -> FlagValue:
    """A value of this type. Raises MalformedError for anything else."""
    fits = {
        "boolean": isinstance(raw, bool),
        "string": isinstance(raw, str) and raw != "",
        "number": _is_safe(raw),
        "object": isinstance(raw, dict) and _fits_object(raw),
    }[return_type]
    if not fits:
        raise MalformedError(f"a value is not of the flag's type, {return_type}")
    value: FlagValue = plain(raw)
    return value


def _is_safe(raw: Literal) -> bool:
    return isinstance(raw, Numeral) and -_GREATEST <= raw.number <= _GREATEST


def _fits_object(raw: dict[str, Any]) -> bool:
    waiting: list[tuple[int, Literal]] = [(1, raw)]
    while waiting:
        depth, value = waiting.pop()
        if isinstance(value, Numeral):
            if not _is_safe(value):
                return False
        elif isinstance(value, dict | list):
            if depth > _DEEPEST:
                return False
            waiting.extend((depth + 1, member) for member in _members(value))
    return True


def _members(value: dict[str, Any] | list[Any]) -> Iterator[Literal]:
    return iter(value.values() if isinstance(value, dict) else value)


class ObjectResult(FlagResult):
    """A result whose value is an object. Many callers share the result, so each gets an object of its own."""

    __slots__ = ("_text",)

    @property
    def value(self) -> FlagValue:
        """The object, decoded on each access."""
        value: FlagValue = json.loads(self._text)
        return value

    @value.setter
    def value(self, value: FlagValue) -> None:
        self._text = json.dumps(value)


def result_of_value(value: FlagValue) -> type[FlagResult]:
    """The class of a result with this value."""
    return ObjectResult if isinstance(value, dict) else FlagResult
