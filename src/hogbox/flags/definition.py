"""The definitions document: what is read of it at once, and what makes it none (section 1).

Only the outer shape is checked here. A flag that cannot be understood is that flag's own affair, when it is
asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, NamedTuple, NoReturn

from hogbox.errors import DefinitionsInvalid, DefinitionsUnparsable
from hogbox.flags.cohort import Cohorts
from hogbox.flags.equality import EXPLICIT
from hogbox.flags.filter import Matching
from hogbox.flags.version import Versions


class Definitions(NamedTuple):
    """A definitions document, taken apart."""

    flags: dict[str, Mapping[str, Any]]
    repeated: frozenset[str]
    """Keys that more than one flag has: which of them the service means is unknown."""
    problems: tuple[str, ...]
    group_types: dict[str, str]
    """The names of the group types by index, as text."""
    cohorts: Cohorts
    matching: Matching

    @classmethod
    def read(cls, document: object, zone: tzinfo) -> Definitions:
        """Takes the document apart; raises DefinitionsUnparsable or DefinitionsInvalid."""
        body = _decode(document) if isinstance(document, bytes | bytearray | str) else document
        if not isinstance(body, Mapping):
            raise DefinitionsInvalid(f"flag definitions are an object with a list of flags, not {_name(body)}")
        raw = body.get("flags")
        if not isinstance(raw, list):
            raise DefinitionsInvalid(f"`flags` in the flag definitions is a list, not {_name(raw)}")
        flags, repeated, problems = _index(raw)
        version = body.get("property_matching_version")
        explicit = type(version) is int and version == EXPLICIT
        matching = Matching(EXPLICIT if explicit else 1, zone, Versions())
        names = _mapping(body, "group_type_mapping")
        group_types = {index: name for index, name in names.items() if isinstance(name, str) and name}
        return cls(flags, repeated, problems, group_types, Cohorts(_mapping(body, "cohorts"), matching), matching)


def _decode(document: bytes | bytearray | str) -> object:
    try:
        return json.loads(document, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DefinitionsUnparsable(f"the flag definitions are not JSON: {error}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _mapping(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise DefinitionsInvalid(f"`{name}` in the flag definitions is an object, not {_name(value)}")
    return value


def _index(raw: list[Any]) -> tuple[dict[str, Mapping[str, Any]], frozenset[str], tuple[str, ...]]:
    flags: dict[str, Mapping[str, Any]] = {}
    repeated, problems = [], []
    for place, flag in enumerate(raw):
        key = flag.get("key") if isinstance(flag, Mapping) else None
        if not isinstance(key, str):
            problems.append(f"flags[{place}] has no key and is ignored")
            continue
        if key in flags:
            repeated.append(key)
            problems.append(f"flags[{place}] repeats the key {key!r}")
        flags[key] = flag
    return flags, frozenset(repeated), tuple(problems)


def _name(value: object) -> str:
    """A JSON value's kind, for people."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "a boolean",
        type(None): "null or absent",
    }
    return names.get(type(value), f"of the type {type(value).__name__}")
