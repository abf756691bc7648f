"""JSON of which the text matters: numbers as they are written, and keys that are not repeated (rules v2, 2.6)."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any, Final, NamedTuple

from hogbox.flags._reason import MalformedError
from hogbox.flags._value import Json

LARGEST: Final = 512 * 1024
"""Bytes that `filters` may have without whitespace between tokens."""

_TOKEN_OR_SPACE: Final = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')
_LONGEST_INTEGER: Final = 20
_LEAST_INTEGER, _GREATEST_INTEGER = -(2**63), 2**64 - 1


class Numeral(NamedTuple):
    """A number as it is written."""

    text: str

    @property
    def number(self) -> int | float:
        """Its value; -0 is 0."""
        if len(self.text) <= _LONGEST_INTEGER and self.text.lstrip("-").isdigit():
            value = int(self.text)
            # Beyond these bounds the service reads a double.
            if _LEAST_INTEGER <= value <= _GREATEST_INTEGER:
                return value
        return float(self.text) + 0

    @property
    def decimals(self) -> int:
        """The decimals that it needs, trailing zeros aside."""
        mantissa, _, exponent = self.text.lower().partition("e")
        digits, _, fraction = mantissa.partition(".")
        if fraction:
            fraction = fraction.rstrip("0")
        if fraction:
            return len(fraction) - int(exponent or 0)
        whole = digits.lstrip("-")
        return -(len(whole) - len(whole.rstrip("0"))) - int(exponent or 0) if whole.strip("0") else 0


Literal = Any
"""JSON in which numbers are numerals."""


def read_text(text: str) -> Literal:
    """JSON that was read without an error before. Raises MalformedError."""
    if len(text) > LARGEST // 4 and len(_TOKEN_OR_SPACE.sub(r"\1", text).encode("utf-8", "surrogatepass")) > LARGEST:
        raise MalformedError("it is too large")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_int=_numeral, parse_float=_numeral)
    except RecursionError as error:
        raise MalformedError("it is nested too deeply") from error


def read_decoded(value: object) -> Literal:
    """The same from JSON that is decoded already, as far as that shows. Raises MalformedError."""
    try:
        return read_text(json.dumps(value, allow_nan=False, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise MalformedError("it is not JSON") from error


def plain(value: Literal) -> Json:
    """The value with ordinary numbers."""
    if type(value) is Numeral:
        return value.number
    if type(value) is dict:
        return {key: plain(member) for key, member in value.items()}
    if type(value) is list:
        return [plain(member) for member in value]
    return value


def hundredths(value: Literal) -> int:
    """A percentage, in hundredths of a percent. Raises MalformedError."""
    if type(value) is not Numeral or not 0 <= value.number <= 100 or value.decimals > 2:
        raise MalformedError("a percentage is not from 0 to 100 with two decimals at most")
    return int(Decimal(value.text) * 100) if value.number else 0


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise MalformedError("an object in it repeats a key")
    return content


def _numeral(text: str) -> Numeral:
    value = float(text)
    if not math.isfinite(value):
        raise MalformedError("a number in it is too large")
    if value == 0 and any(digit in "123456789" for digit in re.split("[eE]", text, maxsplit=1)[0]):
        raise MalformedError("a number in it is too small")
    return Numeral(text)
