"""Argument: what a caller passes about a person, read once and within bounds, before flags are evaluated for it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from hogbox._events.value import class_name, shown
from hogbox.errors import InvalidPerson

MOST_ITEMS: Final = 100_000
"""Items of a mapping: it may be of a class that computes them, and never ends."""


def read_mapping(name: str, value: object) -> dict[Any, Any] | None:
    """The mapping as a dict; None where nothing is passed. Raises InvalidPerson where it can't be read as one."""
    if value is None or type(value) is dict:
        return value
    if not issubclass(type(value), Mapping):
        raise InvalidPerson(f"{name} is a mapping or None, not {class_name(value)}")
    mapping: Any = value
    try:
        read = dict(islice(mapping.items(), MOST_ITEMS + 1))
    except Exception as error:
        raise InvalidPerson(f"{name} can't be read: {class_name(value)} raises {class_name(error)}") from error
    if len(read) > MOST_ITEMS:
        raise InvalidPerson(f"{name} has more than {MOST_ITEMS:,} items, or no end")
    return read


def read_group_properties(value: object) -> dict[Any, dict[Any, Any]] | None:
    """The same for a mapping of mappings."""
    read = read_mapping("group_properties", value)
    if read is None:
        return None
    return {kind: read_mapping(f"group_properties[{shown(kind)}]", each) or {} for kind, each in read.items()}
