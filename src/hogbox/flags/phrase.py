"""icontains, starts_with, ends_with and icontains_multi: text with A to Z folded (section 9.2)."""

from __future__ import annotations

from collections.abc import Callable

from hogbox.flags.check import Check, Inline
from hogbox.flags.value import Json, fold_ascii, text_of


def contains(value: Json) -> Check:
    """icontains: a list is its JSON text here, not "any of"; an empty needle is in everything."""
    needle = fold_ascii(text_of(value))
    inline = Inline(str, "{constant} in {value}.lower() if {value}.isascii() else {judge}({value})", needle)
    return Check(lambda seen: needle in fold_ascii(text_of(seen)), inline=inline)


def contains_any(value: Json) -> Check:
    """icontains_multi: one of the list's members; what is no list counts as one."""
    needles = [fold_ascii(text_of(member)) for member in (value if isinstance(value, list) else [value])]

    def judge(seen: Json) -> bool:
        text = fold_ascii(text_of(seen))
        return any(needle in text for needle in needles)

    return Check(judge, cost=lambda length: (length + 1) * len(needles) // 10)


def starts_with(value: Json) -> Check:
    """starts_with, on folded text."""
    return _edge(value, str.startswith)


def ends_with(value: Json) -> Check:
    """ends_with, on folded text."""
    return _edge(value, str.endswith)


def _edge(value: Json, holds: Callable[[str, str], bool]) -> Check:
    needle = fold_ascii(text_of(value))
    return Check(lambda seen: holds(fold_ascii(text_of(seen)), needle))
