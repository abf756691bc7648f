"""Bulk: whether the `repr` of an object would take too long, as for lists that contain each other many times."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

_MOST_PARTS: Final = 200_000
"""The most values in a `repr`; more than fit into any message that is stored."""

_CONTAINERS: Final = (dict, list, tuple, set, frozenset)
_SLOT: Final = type(BaseException.__str__)
_ARGUMENTS: Final = vars(BaseException)["args"]
_FILES: Final = (vars(OSError)["filename"], vars(OSError)["filename2"])


def is_bulky(thing: object) -> bool:
    """Whether its `repr` would contain too many values, in Python's own containers and exceptions."""
    return _count(thing, {}) > _MOST_PARTS


def _count(thing: object, counted: dict[int, int]) -> int:
    """The number of values in the `repr`; a repeated object counts each time."""
    if (parts := _parts(thing)) is None:
        return 1
    known = counted.get(id(thing))
    if known is None:
        # Inside itself, an object is shown as three dots.
        counted[id(thing)] = 1
        known = counted[id(thing)] = 1 + sum(_count(part, counted) for part in parts)
    return known


def _parts(thing: Any) -> Iterable[object] | None:
    """The contents, read past the class's own iteration; None if the class has its own text."""
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
