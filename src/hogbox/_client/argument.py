"""Argument: what a caller passes about a person, read once and within bounds, before flags are evaluated for it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final, NamedTuple
from uuid import UUID

from hogbox._client.person import resolve_person
from hogbox._events.value import class_name, shown
from hogbox.context import get_context_device_id
from hogbox.errors import InvalidPerson
from hogbox.flags._person import Person

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


class GivenPerson(NamedTuple):
    """For whom a flag is read, as the caller passed it: the six arguments of all reads."""

    distinct_id: str | int | UUID | None
    groups: Mapping[str, Any] | None
    person_properties: Mapping[str, Any] | None
    group_properties: Mapping[str, Mapping[str, Any]] | None
    device_id: str | None
    properties_complete: bool | None = None

    def read(self, identified: object, complete: bool) -> Person | None:
        """The person, with what the `identify` callback returned and the usual `properties_complete`.

        None where a context names nobody. Raises MissingDistinctId, InvalidEvent for a value that can't be an id, and
        InvalidPerson for what can't be read.
        """
        argument, groups, properties, group_properties, device_id, own_complete = self
        distinct_id = resolve_person(identified, argument)
        if distinct_id is None:
            return None
        if device_id is not None and not issubclass(type(device_id), str):
            raise InvalidPerson(f"device_id is a text or None, not {class_name(device_id)}")
        if device_id is None:
            device_id = get_context_device_id()
        return Person(
            distinct_id,
            read_mapping("groups", groups),
            read_mapping("person_properties", properties),
            read_group_properties(group_properties),
            device_id,
            complete if own_complete is None else own_complete,
        )
