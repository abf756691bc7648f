"""Values as JSON has them, and the text that many operators compare (section 5).

A person's properties come from Python code, so they hold things that JSON has not. `json_value` turns those
that have an obvious form into it and says `UNUSABLE` of the rest; past it, every value is plain JSON.
"""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from enum import Enum
from json.encoder import encode_basestring
from typing import Any, Final, TypeAlias, TypeGuard
from uuid import UUID

Json: TypeAlias = Any
"""None, bool, int, float, str, or lists and dicts of them: nothing else, and not too much of it."""


class _Marker:
    """A value that equals nothing but itself, with a name for people."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


MISSING: Final = _Marker("MISSING")
"""Stands for a property that was not passed: unknown, which is not the same as None."""

UNUSABLE: Final = _Marker("UNUSABLE")
"""Stands for a value that JSON cannot hold."""

# serde_json, which reads for the service, refuses what is nested deeper.
_DEPTH = 128
# More members than this in one property would take longer than a flag may: they are as good as not passed.
_MEMBERS = 10_000
MOST_COMPARED: Final = 1_000_000
"""Texts and numbers in the lists of a filter's value, which is read once: these don't count as members."""
_LEAST_INTEGER, _GREATEST_INTEGER = -(2**63), 2**64 - 1

_PLAIN = frozenset({str, bool, type(None)})
_SCALARS = _PLAIN | {int, float}


def json_value(value: object, compared: int = 0) -> Json:
    """The value as plain JSON, with the forms that events and requests have; UNUSABLE if it has none or can't be read.

    Dates are ISO text, tuples lists, UUIDs text, decimals floats, members of an Enum their values. Up to `compared`
    texts and numbers in lists don't count to the size that is too large.
    """
    if type(value) in _PLAIN:
        return value
    if type(value) is int or type(value) is float:
        return value if is_number(value) else UNUSABLE
    try:
        return _JsonReader(compared).read(value, 0)
    except Exception:
        return UNUSABLE


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether this is a JSON number that a double can hold: no boolean, no NaN, no infinity."""
    if type(value) is float:
        return math.isfinite(value)
    return type(value) is int and _LEAST_INTEGER <= value <= _GREATEST_INTEGER


class _JsonReader:
    """Reads one value, counting its members so that size and shared references cannot hurt."""

    def __init__(self, compared: int) -> None:
        self._left = _MEMBERS
        self._compared = compared

    def read(self, value: object, depth: int) -> Json:
        self._left -= 1
        if self._left < 0 or depth > _DEPTH:
            return UNUSABLE
        if type(value) in _SCALARS:
            return _scalar(value)
        if isinstance(value, Enum):
            # Before its other classes: a member may be a text, a number or a tuple as well, and its value another.
            return self.read(value.value, depth + 1)
        if isinstance(value, list | tuple):
            return self._read_list(value, depth + 1)
        if isinstance(value, dict):
            return self._read_object(value, depth + 1)
        return _scalar(value)

    def _read_list(self, values: list[Any] | tuple[Any, ...], depth: int) -> Json:
        if len(values) <= self._compared and all(type(value) is str or is_number(value) for value in values):
            self._compared -= len(values)
            return list(values)
        copy = []
        for value in values:
            member = self.read(value, depth)
            if member is UNUSABLE:
                return UNUSABLE
            copy.append(member)
        return copy

    def _read_object(self, values: dict[Any, Any], depth: int) -> Json:
        copy = {}
        for key, value in values.items():
            member = self.read(value, depth)
            name = key.value if isinstance(key, Enum) else key
            if member is UNUSABLE or not isinstance(name, str):
                return UNUSABLE
            copy[str.__str__(name)] = member
        return copy


def _scalar(value: object) -> Json:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, int | float | Decimal):
        number = int(value) if isinstance(value, int) else float(value)
        return number if is_number(number) else UNUSABLE
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else UNUSABLE


def text_of(value: Json) -> str:
    """Section 5: text is itself, anything else its compact JSON as the service (Rust) writes it."""
    if type(value) is str:
        return value
    return _write(value)


def _write(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, float):
        return _write_float(value)
    if isinstance(value, list):
        return "[" + ",".join([_write(member) for member in value]) + "]"
    if isinstance(value, dict):
        pairs = [f"{encode_basestring(key)}:{_write(value[key])}" for key in sorted(value)]
        return "{" + ",".join(pairs) + "}"
    return str(value)


def _write_float(value: float) -> str:
    """Python's shortest digits in Rust's dress: 1e-7 for 1e-07, and 0.00001 for 1e-05."""
    digits, exponential, exponent = repr(value).partition("e")
    if not exponential:
        return digits
    power = int(exponent)
    if power == -5:
        sign, digits = ("-", digits[1:]) if digits[0] == "-" else ("", digits)
        return f"{sign}0.0000{digits.replace('.', '')}"
    return f"{digits}e{power:+d}" if power > 0 else f"{digits}e{power}"


def fold_ascii(text: str) -> str:
    """Lower case for A to Z only: the text operators leave É and the Kelvin sign alone (section 9.2)."""
    if text.isascii():
        return text.lower()
    return text.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
