"""Property values made fit for JSON (wire protocol 2.2).

What PostHog has no form for becomes null and is reported, never raised: an analytics value must not break the
transaction of the application (P8). The result shares no container with the input, so that what the caller
changes later does not change the event.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from itertools import islice
from typing import Any, Final
from uuid import UUID

MAX_DEPTH: Final = 100
"""Levels of nesting kept. PostHog's parser refuses a whole request over 128, of which the envelope takes some."""

MAX_VALUES: Final = 500_000
"""Values kept in one event. More than fit into the largest that PostHog takes; ends structures that explode."""

MAX_PROBLEMS: Final = 100
"""Problems reported of one event: a long list of NaN is one mistake, not a long list of them."""

MAX_INTEGER: Final = 2**1023
"""To PostHog's parser an integer that no float can be is an error of the whole request."""

_MIN_INTEGER: Final = -MAX_INTEGER

_PLAIN_DEPTH: Final = 1
_PLAIN_LENGTH: Final = 50

_TOO_MANY: Final = f"more than {MAX_VALUES:,} values in one event; the rest is left out"


def clean_properties(properties: Mapping[Any, Any]) -> tuple[dict[str, Any], list[str]]:
    """The properties as JSON values, and a sentence for each value that could not be kept."""
    if type(properties) is dict and (copy := _plain_copy(properties, 0)) is not None:
        return copy, []
    cleaner = _Cleaner()
    return cleaner.mapping(properties, "", 0), list(cleaner.problems)


def clean_text(value: str) -> str:
    """The text as a plain `str` without lone surrogates, which have no form in UTF-8."""
    if type(value) is not str:
        value = str.__str__(value)
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def text_of(value: Any) -> str:
    """The clean text of a key or an id; a member of an Enum stands for its value, as it does in a property."""
    if isinstance(value, Enum):
        return text_of(value.value)
    return clean_text(value if isinstance(value, str) else str(value))


def _plain_copy(properties: dict[Any, Any], depth: int) -> dict[str, Any] | None:
    """A copy of properties that need no cleaning, or None. Most need none: this is the way of nearly every capture."""
    copy = properties.copy()
    if depth > _PLAIN_DEPTH or len(copy) > _PLAIN_LENGTH:
        return None
    for key, value in copy.items():
        if type(key) is not str or not key.isascii():
            return None
        kind = type(value)
        # The commonest kinds first, and without a call: this loop is most of what a capture costs in Python.
        if (kind is str and value.isascii()) or kind is bool or value is None:
            continue
        if kind is list and len(value) <= _PLAIN_LENGTH:
            copy[key] = value = value.copy()
            if not all(map(_is_plain, value)):
                return None
        elif kind is dict:
            if (inner := _plain_copy(value, depth + 1)) is None:
                return None
            copy[key] = inner
        elif not _is_plain(value):
            return None
    return copy


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is str:
        return value.isascii() or clean_text(value) is value
    if kind is int:
        return bool(_MIN_INTEGER < value < MAX_INTEGER)
    return kind is bool or value is None or (kind is float and math.isfinite(value))


class _Cleaner:
    __slots__ = ("_values", "problems")

    def __init__(self) -> None:
        self.problems: dict[str, None] = {}
        self._values = 0

    def value(self, value: Any, path: str, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return value if value.isascii() else clean_text(value)
        if kind is bool or value is None:
            return value
        if kind is int:
            return self._integer(value, path)
        if kind is float:
            return self._float(value, path)
        try:
            if kind is dict:
                return self.mapping(value, path, depth)
            if kind is list:
                return self._list(value, path, depth)
            return self._convert(value, path, depth)
        except Exception as error:
            return self._drop(path, f"{kind.__name__} could not be read ({type(error).__name__})")

    def mapping(self, mapping: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        try:
            for key, value in mapping.items():
                kind = type(value)
                if type(key) is not str or not key.isascii():
                    key = self._key(key, path)
                if (
                    (kind is str and value.isascii())
                    or kind is bool
                    or (kind is int and _MIN_INTEGER < value < MAX_INTEGER)
                ):
                    result[key] = value
                else:
                    result[key] = self._below(value, path, key, depth)
        except Exception as error:
            self._note(path, f"could not be read to the end ({type(error).__name__}); the rest is left out")
        self._values += len(result)
        return result

    def _list(self, values: Iterable[Any], path: str, depth: int) -> list[Any]:
        room = MAX_VALUES - self._values
        result = [self._below(value, path, index, depth) for index, value in enumerate(islice(values, room))]
        self._values += len(result)
        if len(result) == room:
            self._note("", _TOO_MANY)
        return result

    def _below(self, value: Any, path: str, step: object, depth: int) -> Any:
        if depth >= MAX_DEPTH:
            return self._drop(path, f"nested deeper than {MAX_DEPTH} levels (or contains itself)")
        if self._values >= MAX_VALUES:
            return self._note("", _TOO_MANY)
        return self.value(value, f"{path}.{step}" if path else str(step), depth + 1)

    def _integer(self, value: int, path: str) -> int | None:
        if _MIN_INTEGER < value < MAX_INTEGER:
            return value
        self._drop(path, f"an integer of {value.bit_length()} bits has no JSON form")
        return None

    def _float(self, value: float, path: str) -> float | None:
        if math.isfinite(value):
            return value
        self._drop(path, f"{value!r} has no JSON form")
        return None

    def _key(self, key: Any, path: str) -> str:
        try:
            return text_of(key)
        except Exception as error:
            self._drop(path, f"a key of type {type(key).__name__} has no text ({type(error).__name__})")
            return f"<{type(key).__name__}>"

    def _convert(self, value: Any, path: str, depth: int) -> Any:
        for kinds, convert in _CONVERSIONS:
            if isinstance(value, kinds):
                return self.value(convert(value), path, depth)
        if isinstance(value, Mapping):
            return self.mapping(value, path, depth)
        if isinstance(value, (Sequence, Set)):
            return self._list(value, path, depth)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self.mapping(_fields(value), path, depth)
        # Asked of the type: a Mock has every method that its instance is asked for, and returns another Mock.
        if callable(dump := getattr(type(value), "model_dump", None)):
            return self.value(dump(value), path, depth)
        return self._drop(path, f"{type(value).__name__} has no JSON form")

    def _drop(self, path: str, why: str) -> None:
        self._note(path, f"{why}; sent as null")

    def _note(self, path: str, problem: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems[f"property {path!r}: {problem}" if path else problem] = None


def _fields(instance: Any) -> dict[str, Any]:
    return {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance)}


def _bytes_text(value: bytes | bytearray | memoryview) -> str:
    return bytes(value).decode("utf-8", "replace")


_CONVERSIONS: Final[tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...]] = (
    (Enum, lambda value: value.value),
    (bool, bool),
    (str, clean_text),
    (int, int.__int__),
    ((float, Decimal), float),
    (UUID, str),
    ((datetime, date, time), lambda value: value.isoformat()),
    ((bytes, bytearray, memoryview), _bytes_text),
)
"""The first kind that fits decides; a conversion's result is cleaned again."""
