"""icontains, starts_with, ends_with and icontains_multi: text with A to Z folded (section 9.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hogbox.flags._operators.check import PropertyCheck
from hogbox.flags._value import Json, fold_ascii, text_of


def contains(value: Json) -> PropertyCheck:
    """icontains: a list is its JSON text here, not "any of"; an empty needle is in everything."""
    return PropertyCheck(Contains(fold_ascii(text_of(value))))


@dataclass(frozen=True, slots=True)
class Contains:
    """A text in any place."""

    needle: str
    """Folded."""

    def __call__(self, seen: Json) -> bool:
        """Whether it is in a value's text."""
        return self.needle in fold_ascii(text_of(seen))


def contains_any(value: Json) -> PropertyCheck:
    """icontains_multi: one of the list's members; what is no list counts as one."""
    needles = [fold_ascii(text_of(member)) for member in (value if isinstance(value, list) else [value])]

    def judge(seen: Json) -> bool:
        text = fold_ascii(text_of(seen))
        return any(needle in text for needle in needles)

    return PropertyCheck(judge, cost=lambda length: (length + 1) * len(needles) // 10)


def starts_with(value: Json) -> PropertyCheck:
    """starts_with, on folded text."""
    return _edge(value, str.startswith)


def ends_with(value: Json) -> PropertyCheck:
    """ends_with, on folded text."""
    return _edge(value, str.endswith)


def _edge(value: Json, holds: Callable[[str, str], bool]) -> PropertyCheck:
    needle = fold_ascii(text_of(value))
    return PropertyCheck(lambda seen: holds(fold_ascii(text_of(seen)), needle))
