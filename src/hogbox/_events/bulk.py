"""Bulk: whether the text of an object would take for ever, such as that of lists that hold each other over and over."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

_MOST_PARTS: Final = 200_000
"""Values that a text may be made of; more than fit into any message that is kept."""

_CONTAINERS: Final = (dict, list, tuple, set, frozenset)
_SLOT: Final = type(BaseException.__str__)
_ARGUMENTS: Final = vars(BaseException)["args"]
_FILES: Final = (vars(OSError)["filename"], vars(OSError)["filename2"])


def is_bulky(thing: object) -> bool:
    """Whether its `repr` is made of too many values, as far as Python's own containers and exceptions make it."""
    return _count(thing, {}) > _MOST_PARTS


def _count(thing: object, counted: dict[int, int]) -> int:
    """The values that the `repr` shows, those that it shows repeatedly as often as it does."""
    if (parts := _parts(thing)) is None:
        return 1
    known = counted.get(id(thing))
    if known is None:
        # Within itself an object is shown as three dots.
        counted[id(thing)] = 1
        known = counted[id(thing)] = 1 + sum(_count(part, counted) for part in parts)
    return known


def _parts(thing: Any) -> Iterable[object] | None:
    """What is in it, whatever its class makes of iteration; None where its text is its own affair."""
    kind = type(thing)
    if issubclass(kind, dict):
        return chain(dict.keys(thing), dict.values(thing))
    for container in _CONTAINERS:
        if issubclass(kind, container):
            return container.__iter__(thing)
    if issubclass(kind, BaseException) and type(kind.__str__) is _SLOT:
        files = [file.__get__(thing) for file in _FILES] if issubclass(kind, OSError) else []
        return chain(_ARGUMENTS.__get__(thing), files)
    return None
