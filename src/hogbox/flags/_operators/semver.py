"""The nine semver operators (section 9.6)."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from types import MappingProxyType

from hogbox.flags._operators.check import PropertyCheck, never, unsupported
from hogbox.flags._operators.version import RELEASE, Version, Versions, number_of, split, version_of
from hogbox.flags._reason import Reason
from hogbox.flags._value import Json, text_of

_COMPARISONS: MappingProxyType[str, Callable[[Version, Version], bool]] = MappingProxyType(
    {
        "semver_eq": operator.eq,
        "semver_neq": operator.ne,
        "semver_gt": operator.gt,
        "semver_gte": operator.ge,
        "semver_lt": operator.lt,
        "semver_lte": operator.le,
    }
)
_REQUIREMENT = re.compile(r"[,<>=~^|]|\S\s+\S")
_STARS = frozenset("*xX")
_NO_VERSION = "the filter's value is not a version"
_OWN_SYNTAX = "the filter's value is a requirement in a syntax of its own, which only the service reads"

Range = Callable[[Version], bool]


def compare(operator_name: str, value: Json, versions: Versions) -> PropertyCheck:
    """semver_eq, neq, gt, gte, lt or lte; a property that is not a version never matches."""
    bound = version_of(text_of(value))
    if bound is None:
        return never(_NO_VERSION)
    holds = _COMPARISONS[operator_name]
    known, read = versions.known, versions.of

    def judge(seen: Json) -> bool:
        version = (known(seen) if type(seen) is str else None) or read(seen)
        return version is not None and holds(version, bound)

    return PropertyCheck(judge)


def tilde(value: Json, versions: Versions) -> PropertyCheck:
    """semver_tilde: same major and minor, patch not below."""
    return _padded(value, lambda bound: _within(bound, bound[0][:2]), versions)


def caret(value: Json, versions: Versions) -> PropertyCheck:
    """semver_caret: same left-most part that is not zero, and not below."""
    return _padded(value, lambda bound: _within(bound, _caret_prefix(bound[0])), versions)


def wildcard(value: Json, versions: Versions) -> PropertyCheck:
    """semver_wildcard: the parts before the star are equal; without a star, a caret requirement."""
    text = text_of(value)
    core, suffix = split(text)
    if _REQUIREMENT.search(core + suffix):
        return _undecided(versions)
    parts = core.split(".")
    stars = [part in _STARS for part in parts]
    if any(stars):
        return _starred(parts, stars, suffix, versions)
    bound = version_of(text)
    if bound is None:
        return never(_NO_VERSION)
    if suffix and len(parts) < 3:
        return _undecided(versions)
    # Parts that are not written are free: ^0.0 is 0.0.x, where ^0.0.0 would be that version alone.
    return _ranged(_within(bound, _caret_prefix(bound[0][: len(parts)])), versions)


def _padded(value: Json, range_of: Callable[[Version], Range], versions: Versions) -> PropertyCheck:
    text = text_of(value)
    core, suffix = split(text)
    if _REQUIREMENT.search(core + suffix) or _STARS.intersection(core.split(".")):
        return _undecided(versions)
    bound = version_of(text)
    return never(_NO_VERSION) if bound is None else _ranged(range_of(bound), versions)


def _undecided(versions: Versions) -> PropertyCheck:
    """A filter that only the service reads; a property that is not a version fails that too."""
    check = unsupported(_OWN_SYNTAX)
    return check._replace(judge=lambda seen: versions.of(seen) is not None and Reason.UNSUPPORTED_DEFINITION)


def _starred(parts: list[str], stars: list[bool], suffix: str, versions: Versions) -> PropertyCheck:
    fixed = stars.index(True)
    numbers = [number_of(part) for part in parts[:fixed]]
    if suffix or len(parts) > 3 or not all(stars[fixed:]) or None in numbers:
        return never(_NO_VERSION)
    if fixed == 0 and len(parts) > 1:
        return _undecided(versions)
    return _ranged(lambda version: version[1] == RELEASE and list(version[0][:fixed]) == numbers, versions)


def _ranged(holds: Range, versions: Versions) -> PropertyCheck:
    known, read = versions.known, versions.of

    def judge(seen: Json) -> bool:
        version = (known(seen) if type(seen) is str else None) or read(seen)
        return version is not None and holds(version)

    return PropertyCheck(judge)


def _within(bound: Version, prefix: tuple[int, ...]) -> Range:
    """Not below `bound`, and beginning with `prefix`; a pre-release only beside one of the very same core."""
    length, lowest = len(prefix), bound[:2]
    beside = None if bound[1] == RELEASE else bound[0]

    def holds(version: Version) -> bool:
        if version[0][:length] != prefix or version[:2] < lowest:
            return False
        return version[1] == RELEASE or version[0] == beside

    return holds


def _caret_prefix(core: tuple[int, ...]) -> tuple[int, ...]:
    """As far as the left-most part that is not zero: ^0.2.3 stays in 0.2, ^0.0.3 is 0.0.3 alone."""
    for place, part in enumerate(core):
        if part:
            return core[: place + 1]
    return core
