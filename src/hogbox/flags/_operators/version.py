"""Versions as the service reads them: semver 2.0 after some repair (section 9.6)."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from hogbox.flags._value import Json, text_of

_Identifier: TypeAlias = tuple[int, int, str, int]

# What Rust trims. Python's strip() would take U+001C to U+001F as well.
SPACES: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
_SUFFIX = re.compile(r"(?:-(?P<pre>[0-9A-Za-z.-]+))?(?:\+(?P<build>[0-9A-Za-z.-]+))?")
_LIMIT = 2**64


Core: TypeAlias = tuple[int, int, int]

Version: TypeAlias = tuple[Core, tuple[int, tuple[_Identifier, ...]], tuple[_Identifier, ...]]
"""A core, its pre-release and its build metadata, in the order of semver with build metadata counting last.

The pre-release is `(0, identifiers)`, or RELEASE where there is none, which comes after.
"""

RELEASE: Final[tuple[int, tuple[_Identifier, ...]]] = (1, ())


class Versions:
    """Reads versions, and remembers some: an application has few, and every person has one of them."""

    _MOST = 1_000
    _LONGEST = 50

    def __init__(self) -> None:
        self._known: dict[str, Version] = {}
        self.known = self._known.get
        """The version of a text that was read before, else None."""

    def of(self, value: Json) -> Version | None:
        """What `version_of` says."""
        text = text_of(value)
        version = version_of(text)
        if version is not None and len(text) <= self._LONGEST and len(self._known) < self._MOST:
            self._known[text] = version
        return version


def version_of(text: str) -> Version | None:
    """The version that a text spells, missing parts being 0; None where it spells none."""
    core, suffix = split(text)
    parts = [number_of(part) for part in core.split(".", 3)]
    parts += [0] * (3 - len(parts))
    ends = _suffix_of(suffix)
    if len(parts) != 3 or ends is None or None in parts:
        return None
    return (parts[0] or 0, parts[1] or 0, parts[2] or 0), *ends


def split(text: str) -> tuple[str, str]:
    """The repaired text (no `v`, no spaces) as its core and the rest, from the first `-` or `+`."""
    text = text.removeprefix("v").strip(SPACES)
    ends = [place for place in (text.find("-"), text.find("+")) if place >= 0]
    return (text[: min(ends)], text[min(ends) :]) if ends else (text, "")


def number_of(part: str) -> int | None:
    """One part of the core, its leading zeros stripped; None for what is not a number below 2**64."""
    digits = part.lstrip("0") or part[:1]
    if len(digits) > 20 or not (digits.isascii() and digits.isdigit()):
        return None
    number = int(digits)
    return number if number < _LIMIT else None


def _suffix_of(suffix: str) -> tuple[tuple[int, tuple[_Identifier, ...]], tuple[_Identifier, ...]] | None:
    match = _SUFFIX.fullmatch(suffix)
    if match is None:
        return None
    pre, build = match["pre"], match["build"]
    before = pre.split(".") if pre else []
    after = build.split(".") if build else []
    if "" in before or "" in after or any(_has_leading_zero(identifier) for identifier in before):
        return None
    order = (0, tuple(map(_identifier, before))) if before else RELEASE
    return order, tuple(map(_identifier, after))


def _has_leading_zero(identifier: str) -> bool:
    return len(identifier) > 1 and identifier[0] == "0" and identifier.isdigit()


def _identifier(text: str) -> _Identifier:
    """Ordered as semver says: numbers below words, numbers by value (then the longer spelling is greater)."""
    if not text.isdigit():
        return (1, 0, text, 0)
    digits = text.lstrip("0")
    return (0, len(digits), digits, len(text))
