"""Redaction: which properties of which events are removed, hashed or scrubbed.

Pure: the key for hashes is an argument. Values are those of a finished event, as `clean_properties` returns them,
and so limited in depth and number.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple

from hogbox._events.scrub import REDACTED, TextPattern, scrub

LONGEST_PATH: Final = 1_000
"""The longest path of a property, in characters. Properties with longer paths are removed: matching takes too long."""

_PATHS_REMEMBERED: Final = 512

ALWAYS_KEPT: Final = frozenset(
    {"$lib", "$lib_version", "$is_server", "$geoip_disable", "$process_person_profile", "$groups"}
)
"""Properties that control how PostHog processes the event. Removing `$geoip_disable` would reveal more, not less."""

_LONGEST_NUMBER_BITS: Final = 128
"""A larger number can't be the number of a card, an account or a telephone."""

_IDENTITY: Final[Mapping[str, frozenset[str]]] = {
    "$create_alias": frozenset({"distinct_id", "alias"}),
    "$identify": frozenset({"$anon_distinct_id"}),
    "$groupidentify": frozenset({"$group_type", "$group_key"}),
}
"""Properties that identify the person: `[redacted]` in their place would merge many people into one."""


class Glob(NamedTuple):
    """A pattern in which `*` stands for any text: its parts between the stars."""

    parts: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Glob:
        """The compiled pattern."""
        return cls(tuple(text.split("*")))

    @property
    def begins_anywhere(self) -> bool:
        """Whether it begins with a star."""
        return not self.parts[0]

    def matches(self, text: str) -> bool:
        """Whether it is the whole text. Takes time linear in the text."""
        first, *middle = self.parts
        if not middle:
            return text == first
        last = middle.pop()
        if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True


def any_matches(globs: tuple[Glob, ...], text: str) -> bool:
    """Whether one of the patterns is the whole text."""
    return any(glob.matches(text) for glob in globs)


@dataclass(frozen=True)
class Names:
    """Properties that are named in a list: by path from the top, or, without a dot, by name at any depth.

    Upper and lower case are the same.
    """

    paths: tuple[Glob, ...]
    names: tuple[Glob, ...]

    @classmethod
    def of(cls, texts: tuple[str, ...]) -> Names:
        """The compiled list."""
        lowered = [text.lower() for text in texts]
        return cls(
            tuple(Glob.of(text) for text in lowered if "." in text),
            tuple(Glob.of(text) for text in lowered if "." not in text),
        )

    def hold(self, path: str) -> bool:
        """Whether the property at this path is named."""
        # With a dot before it, so that `*.password` matches at the top level too, as its author expects.
        lowered = f".{path.lower()}"
        if any_matches(self.names, lowered.rpartition(".")[2]):
            return True
        return any(glob.matches(lowered if glob.begins_anywhere else lowered[1:]) for glob in self.paths)

    @cached_property
    def remembered(self) -> Callable[[str], bool]:
        """The same as `hold`, with a cache: the same few paths are looked up for every event."""
        return lru_cache(_PATHS_REMEMBERED)(self.hold)

    @cached_property
    def are_some(self) -> bool:
        """Whether any property is named at all."""
        return bool(self.paths or self.names)


@dataclass(frozen=True)
class Rules:
    """The rules for the properties of one event. With `allowed` None, all properties are allowed."""

    denied: Names
    hashed: Names
    allowed: tuple[Glob, ...] | None
    patterns: tuple[TextPattern, ...]
    digest: Callable[[Any], str]


def digest_with(key: bytes) -> Callable[[Any], str]:
    """A keyed hash of a value's text: without the key it can't be computed, nor found by trying likely values."""
    return lambda value: hmac.digest(key, str(value).encode(), "sha256").hex()


def redact(event: str, properties: Mapping[str, Any], rules: Rules) -> dict[str, Any]:
    """The properties as they may be sent; the argument is not changed."""
    untouched = ALWAYS_KEPT | _IDENTITY.get(event, frozenset())
    walk = _Walk(rules)
    kept = {key: value for key, value in properties.items() if key in untouched}
    rest = {key: value for key, value in properties.items() if key not in untouched}
    return {**walk.mapping(rest, "", allowed=rules.allowed is None), **kept}


class _Nothing:
    """Marks a value that is left out."""


_NOTHING: Final = _Nothing()


class _Walk:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def mapping(self, mapping: Mapping[str, Any], path: str, *, allowed: bool, hashed: bool = False) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in mapping.items():
            inner = f"{path}.{key}" if path else key
            if (kept := self._property(value, inner, allowed, hashed)) is not _NOTHING:
                result[scrub(key, self._rules.patterns)] = kept
        return result

    def _property(self, value: Any, path: str, allowed: bool, hashed: bool) -> Any:
        rules = self._rules
        if len(path) > LONGEST_PATH or (rules.denied.are_some and rules.denied.remembered(path)):
            return _NOTHING
        if not allowed and rules.allowed is not None:
            allowed = any_matches(rules.allowed, path)
        if not hashed and rules.hashed.are_some:
            hashed = rules.hashed.remembered(path)
        return self._value(value, path, allowed, hashed)

    def _value(self, value: Any, path: str, allowed: bool, hashed: bool) -> Any:
        kind = type(value)
        if kind is dict:
            inner = self.mapping(value, path, allowed=allowed, hashed=hashed)
            return inner if inner or allowed else _NOTHING
        if kind is list:
            each = (self._value(one, path, allowed, hashed) for one in value)
            found = [kept for kept in each if kept is not _NOTHING]
            return found if found or allowed else _NOTHING
        if not allowed:
            return _NOTHING
        if kind is bool or value is None:
            return value
        if hashed:
            return self._rules.digest(value)
        if kind is str:
            return scrub(value, self._rules.patterns)
        return self._integer(value) if kind is int else value

    def _integer(self, value: int) -> int | str:
        """The number unchanged, unless a pattern matches its digits, as for a card number."""
        if value.bit_length() > _LONGEST_NUMBER_BITS:
            return value
        text = str(value)
        return value if scrub(text, self._rules.patterns) == text else REDACTED
