"""The options of an event, read as leniently as the server reads them."""

from __future__ import annotations

import math
from typing import Any

_FLAGS = {
    "cookieless_mode": "$cookieless_mode",
    "disable_skew_correction": "$ignore_sent_at",
    "process_person_profile": "$process_person_profile",
}
"""The boolean options, and the properties that the server makes of them."""

_TRUE = frozenset(("true", "t", "yes", "y", "on"))
_FALSE = frozenset(("false", "f", "no", "n", "off"))


class InvalidV1Options(ValueError):
    """The server drops the event."""


def as_properties(options: Any) -> dict[str, Any]:
    """The options as properties; raises `InvalidV1Options` for those that cannot be read."""
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise InvalidV1Options
    flags = {name: _read_flag(options.get(option)) for option, name in _FLAGS.items()}
    tour = options.get("product_tour_id")
    if tour is not None and not isinstance(tour, str):
        raise InvalidV1Options
    read = {**flags, "$product_tour_id": tour}
    return {name: value for name, value in read.items() if value is not None}


def _read_flag(value: Any) -> bool | None:
    if isinstance(value, str):
        return _read_word(value.strip().lower())
    if isinstance(value, list | dict):
        raise InvalidV1Options
    return None if value is None else bool(value)


def _read_word(word: str) -> bool | None:
    if not word:
        return None
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    try:
        number = float(word)
    except ValueError:
        raise InvalidV1Options from None
    if not math.isfinite(number) or "_" in word:
        raise InvalidV1Options
    return number != 0
