"""Conversion of property values to JSON (wire protocol 2.2).

A value without a JSON form becomes null and is reported, not raised: an analytics value must not break the
application's transaction (P8). The result shares no container with the input, so that later changes by the caller do
not change the event.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TypeAlias
from uuid import UUID

from hogbox._events.bulk import is_bulky

MAX_DEPTH: Final = 100
"""The deepest nesting. PostHog's parser refuses a whole request over 128 levels, some of which are the envelope's."""

MAX_VALUES: Final = 500_000
"""The most values in one event. More than fit into the largest event that PostHog accepts; stops endless structures."""

MAX_PROBLEMS: Final = 100
"""The most problems reported for one event: a long list of NaN is one mistake, not many."""

MAX_INTEGER: Final = 2**1023
"""PostHog's parser refuses a whole request for an integer that is too large for a float."""

_MIN_INTEGER: Final = -MAX_INTEGER

_SHOWN: Final = 200
"""The most characters of a value in a message."""

_CLASS_NAME: Final = vars(type)["__name__"]

_REPR: Final = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = _SHOWN

_PLAIN_DEPTH: Final = 1
_PLAIN_LENGTH: Final = 50
_PLAIN_TEXT: Final = 20_000

MAX_TEXT: Final = 8 * 1024 * 1024
"""The most characters of text in one event: more than any valid event has, and far less than the available memory."""

_REPEATED: Final = 1_000
_GROWTH: Final = 50
"""Limits for values from objects that were read before: this many, or this many times the others. A few lists that
refer to each other would produce millions of them."""

_TOO_MANY: Final = f"more than {MAX_VALUES:,} values in one event; the rest is left out"
_TOO_LONG: Final = f"more than {MAX_TEXT:,} characters in one event; further text is left out"
_TOO_OFTEN: Final = f"the same objects make more than {_GROWTH} times the values; further ones are sent as null"


def clean_properties(properties: Mapping[Any, Any]) -> tuple[dict[str, Any], list[str]]:
    """The properties as JSON values, and a message for each value that was dropped."""
    if type(properties) is dict and (copy := _plain_copy(properties, 0)) is not None:
        return copy, []
    cleaner = _Cleaner()
    return cleaner.properties(properties), list(cleaner.problems)


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


def class_name(thing: object) -> str:
    """The name of an object's class, whatever its metaclass does."""
    name: str = _CLASS_NAME.__get__(type(thing))
    return name


def shown(value: object) -> str:
    """The value for a message: its `repr`, shortened in the middle and in depth; its class if `repr` fails."""
    try:
        return f"<{class_name(value)}>" if is_bulky(value) else _REPR.repr(value)
    except Exception:
        return f"<{class_name(value)}>"


def error_text(error: BaseException) -> str:
    """The class and the text of an error; the class alone if its text can't be read."""
    try:
        return f"{class_name(error)}: {error}"[:_SHOWN]
    except Exception:
        return class_name(error)


def text_of(value: Any) -> str:
    """The clean text of a key or an id; an Enum member is replaced by its value, as in properties."""
    kind = type(value)
    if issubclass(kind, Enum):
        return text_of(value.value)
    return clean_text(value if issubclass(kind, str) else str(value))


def _plain_copy(properties: dict[Any, Any], depth: int) -> dict[str, Any] | None:
    """A copy of properties that need no cleaning, or None. Nearly every capture takes this path."""
    copy = properties.copy()
    if depth > _PLAIN_DEPTH or len(copy) > _PLAIN_LENGTH:
        return None
    for key, value in copy.items():
        if type(key) is not str or not key.isascii():
            return None
        kind = type(value)
        # The commonest kinds first, and without a call: this loop is most of what a capture costs in Python.
        if (kind is str and len(value) < _PLAIN_TEXT and value.isascii()) or kind is bool or value is None:
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
        return len(value) < _PLAIN_TEXT and (value.isascii() or clean_text(value) is value)
    if kind is int:
        return bool(_MIN_INTEGER < value < MAX_INTEGER)
    return kind is bool or value is None or (kind is float and math.isfinite(value))


_Path: TypeAlias = tuple["_Path", object] | None
"""The path of a value: the path of its container, and its key there. Converted to text only for a message."""


class _Cleaner:
    __slots__ = ("_open", "_repeated", "_seen", "_since", "_text", "_values", "problems")

    def __init__(self) -> None:
        self.problems: dict[str, None] = {}
        self._values = self._repeated = self._text = 0
        self._since: int | None = None
        """The number of values at the start of an object that had been read before."""
        self._open: set[int] = set()
        """The objects that are being read: one that contains itself would never end."""
        self._seen: dict[int, object] = {}
        """The objects that were read; kept alive, because an address is reused once its object is gone."""

    def value(self, value: Any, path: _Path, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return self._line(value)
        if kind is bool or value is None:
            return value
        if kind is int:
            return self._integer(value, path)
        if kind is float:
            return self._float(value, path)
        return self._object(value, path, depth)

    def _object(self, value: Any, path: _Path, depth: int) -> Any:
        """A container, or a value that needs a conversion."""
        if self._values >= MAX_VALUES:
            return self._note(None, _TOO_MANY)
        address = id(value)
        if address not in self._seen:
            self._seen[address] = value
        elif address in self._open:
            return self._drop(path, "it contains itself")
        elif self._repeats_too_often():
            return self._note(None, _TOO_OFTEN)
        elif self._since is None:
            return self._again(value, path, depth)
        self._open.add(address)
        try:
            if type(value) is dict:
                return self.mapping(value, path, depth)
            if type(value) is list:
                return self._list(value, path, depth)
            return self._convert(value, path, depth)
        except Exception as error:
            return self._drop(path, f"{class_name(value)} could not be read ({class_name(error)})")
        finally:
            self._open.discard(address)

    def _again(self, value: Any, path: _Path, depth: int) -> Any:
        """An object that was read before: its values are counted separately."""
        self._since = self._values
        try:
            return self._object(value, path, depth)
        finally:
            self._repeated, self._since = self._all_repeated(), None

    def _all_repeated(self) -> int:
        """The values that come from objects that were read before."""
        return self._repeated + (0 if self._since is None else self._values - self._since)

    def _repeats_too_often(self) -> bool:
        repeated = self._all_repeated()
        return repeated > max(_REPEATED, _GROWTH * (self._values - repeated))

    def properties(self, properties: Mapping[Any, Any]) -> dict[str, Any]:
        """The properties of an event."""
        self._seen[id(properties)] = properties
        self._open.add(id(properties))
        return self.mapping(properties, None, 0)

    def mapping(self, mapping: Mapping[Any, Any], path: _Path, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        text = 0
        try:
            for key, value in mapping.items() if type(mapping) is dict else self._counted(mapping):
                kind = type(value)
                if type(key) is not str or not key.isascii():
                    key = self._key(key, path)
                if kind is str and value.isascii() and len(value) < _PLAIN_TEXT:
                    text += len(value)
                    result[key] = value
                elif (
                    (kind is int and _MIN_INTEGER < value < MAX_INTEGER)
                    or (kind is float and -math.inf < value < math.inf)
                    or kind is bool
                    or value is None
                ):
                    result[key] = value
                else:
                    result[key] = self._below(value, path, key, depth)
        except Exception as error:
            self._note(path, f"could not be read to the end ({class_name(error)}); the rest is left out")
        self._text += text
        if type(mapping) is dict:
            self._values += len(result)
        return result

    def _counted(self, mapping: Mapping[Any, Any]) -> Iterator[tuple[Any, Any]]:
        """The items of a mapping that may be endless."""
        for item in mapping.items():
            if self._values >= MAX_VALUES or self._text > MAX_TEXT:
                self._note(None, _TOO_MANY)
                return
            self._values += 1
            self._text += sum(len(part) for part in item if type(part) is str)
            yield item

    def _list(self, values: Iterable[Any], path: _Path, depth: int) -> list[Any]:
        result: list[Any] = []
        count = self._values
        for index, value in enumerate(values):
            if count >= MAX_VALUES:
                self._note(None, _TOO_MANY)
                break
            self._values += 1
            plain = type(value) is str and depth < MAX_DEPTH
            result.append(self._line(value) if plain else self._below(value, path, index, depth))
            count = self._values
        return result

    def _line(self, text: str) -> str | None:
        if self._text > MAX_TEXT:
            self._note(None, _TOO_LONG)
            return None
        self._text += len(text)
        return text if text.isascii() else clean_text(text)

    def _below(self, value: Any, path: _Path, step: object, depth: int) -> Any:
        if depth >= MAX_DEPTH:
            return self._drop(path, f"nested deeper than {MAX_DEPTH} levels")
        kind = type(value)
        if kind is str:
            return self._line(value)
        if kind is int or kind is float or kind is bool or value is None:
            return self.value(value, (path, step), depth + 1)
        return self._object(value, (path, step), depth + 1)

    def _integer(self, value: int, path: _Path) -> int | None:
        if _MIN_INTEGER < value < MAX_INTEGER:
            return value
        self._drop(path, f"an integer of {value.bit_length()} bits has no JSON form")
        return None

    def _float(self, value: float, path: _Path) -> float | None:
        if math.isfinite(value):
            return value
        self._drop(path, f"{value!r} has no JSON form")
        return None

    def _key(self, key: Any, path: _Path) -> str:
        try:
            return text_of(key)
        except Exception as error:
            self._drop(path, f"a key of type {type(key).__name__} has no text ({type(error).__name__})")
            return f"<{type(key).__name__}>"

    def _convert(self, value: Any, path: _Path, depth: int) -> Any:
        self._values += 1
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
        return self._drop(path, f"{class_name(value)} has no JSON form")

    def _drop(self, path: _Path, why: str) -> None:
        self._note(path, f"{why}; sent as null")

    def _note(self, path: _Path, problem: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems[f"property {_written(path)!r}: {problem}" if path else problem] = None


def _written(path: _Path) -> str:
    steps: list[str] = []
    while path is not None:
        path, step = path
        steps.append(str(step))
    return ".".join(reversed(steps))


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
"""The first matching type applies, so Enum comes first: its members may be texts or numbers too. The result of a
conversion is cleaned again."""
