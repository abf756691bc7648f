"""exact and is_not, in the project's version of matching (section 9.1)."""

from __future__ import annotations

from dataclasses import dataclass

from hogbox.flags._operators.check import PropertyCheck
from hogbox.flags._value import Json, text_of

EXPLICIT = 2
"""The version of matching in which only the empty list compares truthiness; any other is version 1."""


def exact(value: Json, version: int) -> PropertyCheck:
    """exact `value`, under matching `version` 1 or 2."""
    if value == [] or (version != EXPLICIT and _is_boolean_like(value)):
        wanted = _is_truthy(value)
        return PropertyCheck(lambda seen: _is_truthy(seen) is wanted)
    members = value if isinstance(value, list) else [value]
    return PropertyCheck(OneOf(frozenset(text_of(member).lower() for member in members)))


@dataclass(frozen=True, slots=True)
class OneOf:
    """Texts, without regard to case."""

    texts: frozenset[str]
    """In lower case."""

    def __call__(self, seen: Json) -> bool:
        """Whether a value's text is one of them."""
        return text_of(seen).lower() in self.texts


def _is_boolean_like(value: Json) -> bool:
    """Whether version 1 compares truthiness: booleans, their names in any case, lists of nothing else."""
    if isinstance(value, list):
        return all(map(_is_boolean_like, value))
    return isinstance(value, bool) or (isinstance(value, str) and value.lower() in ("true", "false"))


def _is_truthy(value: Json) -> bool:
    if isinstance(value, list):
        return all(map(_is_truthy, value))
    return value is True or (isinstance(value, str) and value.lower() == "true")
