"""The differences between two definitions documents, as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from hogbox.flags._value import MISSING
from hogbox.flags._words.rules_change import warnings_of, without_seeds
from hogbox.flags._words.text import value_words

_DEEPEST: Final = 30
"""Values that are nested deeper are compared as a whole."""

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `before` or `after` is `MISSING` if the value does not exist."""

    path: Path
    """Keys and indexes, as in the document."""

    before: Any
    after: Any

    def __str__(self) -> str:
        where = path_words(self.path)
        if self.before is MISSING:
            return f"{where}: added, {value_words(self.after)}"
        if self.after is MISSING:
            return f"{where}: removed, was {value_words(self.before)}"
        return f"{where}: {value_words(self.before)} -> {value_words(self.after)}"


@dataclass(frozen=True, slots=True)
class Difference:
    """The differences between two documents."""

    added: tuple[str, ...]
    """The keys of flags that are only in the later document."""

    removed: tuple[str, ...]
    changed: Mapping[str, tuple[Change, ...]]
    """The changes of each flag that is in both documents, by its key; unchanged flags are not included."""

    other: tuple[Change, ...]
    """What changed outside of the flags: cohorts, group types, how the project compares."""

    warnings: Mapping[str, tuple[str, ...]]
    """What the changes of flags with rules do to people who have values, by the flag's key."""

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.other)


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference:
    """The differences between two decoded documents."""
    old, new = _by_key(before), _by_key(after)
    found = {key: tuple(map(_shown, _changes((), old[key], new[key]))) for key in old if key in new}
    changed = {key: changes for key, changes in found.items() if changes}
    others = [{name: value for name, value in one.items() if name != "flags"} for one in (before, after)]
    return Difference(
        added=tuple(key for key in new if key not in old),
        removed=tuple(key for key in old if key not in new),
        changed=changed,
        other=tuple(_changes((), *others)),
        warnings={key: words for key in changed if (words := warnings_of(old[key], new[key]))},
    )


def _shown(change: Change) -> Change:
    """The change without seeds: they decide who gets what, and are shown to nobody."""
    before, after = [without_seeds(change.path, value) for value in (change.before, change.after)]
    return Change(change.path, before, f"another {after[2:]}" if before == after == "a seed" else after)


def last_changes(revisions: Sequence[tuple[int, Mapping[str, Any]]]) -> dict[str, int]:
    """The revision in which each flag of the newest document last changed.

    `revisions` are pairs of number and document, the newest first. A flag that is the same in all of them is not
    included, unless they go back to revision 1.
    """
    if not revisions:
        return {}
    undecided = dict(_by_key(revisions[0][1]))
    found: dict[str, int] = {}
    for (number, _), (_, earlier) in pairwise(revisions):
        old = _by_key(earlier)
        for key in [key for key, flag in undecided.items() if not _same(old.get(key, MISSING), flag)]:
            found[key] = number
            del undecided[key]
    if revisions[-1][0] == 1:
        found.update(dict.fromkeys(undecided, 1))
    return found


def path_words(path: Path) -> str:
    """The position of a value in a flag, as text: "condition 2, filter 1, value"."""
    return ", ".join(_steps(path)) or "everything"


_PLACES: Final[Mapping[Path, str]] = {
    ("filters", "groups"): "condition",
    ("filters", "rules"): "rule",
    ("filters", "super_groups"): "early-access condition",
    ("filters", "multivariate", "variants"): "variant",
}


def _steps(path: Path) -> Iterator[str]:
    rest = path
    while rest:
        known = next((place for place in _PLACES if rest[: len(place)] == place and len(rest) > len(place)), None)
        if known is not None and isinstance(rest[len(known)], int):
            yield f"{_PLACES[known]} {_ordinal(rest[len(known)])}"
            rest = rest[len(known) + 1 :]
        elif rest[0] in ("properties", "values") and len(rest) > 1 and isinstance(rest[1], int):
            yield f"filter {_ordinal(rest[1])}"
            rest = rest[2:]
        elif rest[:2] == ("filters", "payloads") and len(rest) > 2:
            yield f"payload of {value_words(rest[2])}"
            rest = rest[3:]
        elif rest[0] == "cohorts" and len(rest) > 1:
            yield f"cohort {rest[1]}"
            rest = rest[2:]
        else:
            if rest[0] != "filters" or len(rest) == 1:
                yield _step_words(rest[0])
            rest = rest[1:]


def _ordinal(index: str | int) -> int:
    return int(index) + 1


def _step_words(step: str | int) -> str:
    return f"item {step + 1}" if isinstance(step, int) else step.replace("_", " ")


def _changes(path: Path, before: Any, after: Any) -> Iterator[Change]:
    if _same(before, after):
        return
    if len(path) < _DEEPEST and isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys([*before, *after]):
            yield from _changes((*path, name), before.get(name, MISSING), after.get(name, MISSING))
    elif (
        len(path) < _DEEPEST and isinstance(before, list) and isinstance(after, list) and _holds_objects(before, after)
    ):
        yield from _list_changes(path, before, after)
    else:
        yield Change(path, before, after)


def _list_changes(path: Path, before: list[Any], after: list[Any]) -> Iterator[Change]:
    """Equal ends are skipped first, so that a condition inserted before the others is one change."""
    start = 0
    while start < min(len(before), len(after)) and _same(before[start], after[start]):
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and _same(before[-1 - end], after[-1 - end]):
        end += 1
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    for index in range(max(len(old), len(new))):
        one = old[index] if index < len(old) else MISSING
        other = new[index] if index < len(new) else MISSING
        yield from _changes((*path, start + index), one, other)


def _holds_objects(*lists: list[Any]) -> bool:
    """Whether a list contains objects. Lists of plain values (those of a filter) are reported as a whole."""
    return any(isinstance(value, dict) for values in lists for value in values)


def _same(one: Any, other: Any) -> bool:
    """Equality as in JSON: in Python, True == 1."""
    if one is MISSING or other is MISSING:
        return False
    return bool(one == other) and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _by_key(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    flags = document.get("flags")
    if not isinstance(flags, list):
        return {}
    return {flag["key"]: flag for flag in flags if isinstance(flag, Mapping) and isinstance(flag.get("key"), str)}
