"""exact and is_not, in the project's version of matching (section 9.1)."""

from __future__ import annotations

from hogbox.flags.check import Check, Inline
from hogbox.flags.value import Json, text_of

EXPLICIT = 2
"""The version of matching in which only the empty list compares truthiness; any other is version 1."""


def exact(value: Json, version: int) -> Check:
    """exact `value`, under matching `version` 1 or 2."""
    if value == [] or (version != EXPLICIT and _is_boolean_like(value)):
        wanted = _is_truthy(value)
        return Check(lambda seen: _is_truthy(seen) is wanted)
    if isinstance(value, list):
        members = frozenset(text_of(member).lower() for member in value)
        inline = Inline(str, "{value}.lower() in {constant}", members)
        return Check(lambda seen: text_of(seen).lower() in members, inline=inline)
    text = text_of(value).lower()
    inline = Inline(str, "{value}.lower() == {constant}", text)
    return Check(lambda seen: text_of(seen).lower() == text, inline=inline)


def _is_boolean_like(value: Json) -> bool:
    """Whether version 1 compares truthiness: booleans, their names in any case, lists of nothing else."""
    if isinstance(value, list):
        return all(map(_is_boolean_like, value))
    return isinstance(value, bool) or (isinstance(value, str) and value.lower() in ("true", "false"))


def _is_truthy(value: Json) -> bool:
    if isinstance(value, list):
        return all(map(_is_truthy, value))
    return value is True or (isinstance(value, str) and value.lower() == "true")
