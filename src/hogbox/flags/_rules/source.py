"""Where the `filters` of flags with rules are in the text of a definitions document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_SPACES: Final = re.compile(r"[ \t\r\n]*")


def has_rules(flag: object) -> bool:
    """Whether `filters.version` of a flag is 2: a number, and in Python True is none of those."""
    if type(flag) is not dict and not isinstance(flag, Mapping):
        return False
    filters = flag.get("filters")
    if type(filters) is not dict and not isinstance(filters, Mapping):
        return False
    version = filters.get("version")
    return version == 2 and type(version) is not bool


def filters_texts(document: bytes | bytearray | str, flags: list[Any]) -> dict[str, str]:
    """The text of the `filters` of each flag with rules, by its key. `flags` were read from the document."""
    if not any(map(has_rules, flags)):
        return {}
    text = document if isinstance(document, str) else document.decode(json.detect_encoding(document), "surrogatepass")
    place = _last(text, _after_spaces(text, 0), "flags")
    texts = {}
    for flag, start in zip(flags, _elements(text, place), strict=True):
        if has_rules(flag) and isinstance(flag.get("key"), str):
            first = _last(text, start, "filters")
            texts[flag["key"]] = text[first : _end(text, first)]
    return texts


def _last(text: str, start: int, name: str) -> int:
    """Where the value of the last member with this name begins, in the object at `start`."""
    found = start
    for key, value in _members(text, start):
        if key == name:
            found = value
    return found


def _members(text: str, start: int) -> Iterator[tuple[str, int]]:
    """The names in the object at `start`, and where their values begin."""
    place = _after_spaces(text, start + 1)
    while text[place] != "}":
        name, place = _DECODER.raw_decode(text, place)
        value = _after_spaces(text, _after_spaces(text, place) + 1)
        yield name, value
        place = _after_comma(text, _end(text, value))


def _elements(text: str, start: int) -> Iterator[int]:
    """Where the elements of the list at `start` begin."""
    place = _after_spaces(text, start + 1)
    while text[place] != "]":
        yield place
        place = _after_comma(text, _end(text, place))


def _after_comma(text: str, place: int) -> int:
    place = _after_spaces(text, place)
    return _after_spaces(text, place + 1) if text[place] == "," else place


def _after_spaces(text: str, place: int) -> int:
    match = _SPACES.match(text, place)
    return place if match is None else match.end()


def _end(text: str, start: int) -> int:
    end: int = _DECODER.raw_decode(text, start)[1]
    return end


_DECODER: Final = json.JSONDecoder()
