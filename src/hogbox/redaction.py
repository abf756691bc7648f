"""Redactor: a `before_send` hook that keeps personal data and secrets out of the outbox and out of PostHog."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NoReturn, TypeAlias

from hogbox._events.event import Event
from hogbox._events.redaction import ALWAYS_KEPT, Glob, Names, Rules, any_matches, digest_with, redact
from hogbox._events.scrub import CARD, EMAIL, PATTERNS, SECRET_NAMES, TOKEN, TextPattern, of_regex
from hogbox._events.value import clean_properties
from hogbox.errors import ConfigurationError

__all__ = ["CARD", "EMAIL", "PATTERNS", "SECRET_NAMES", "TOKEN", "Redactor", "TextPattern"]

_HASH_KEY: Final = "HOGBOX_HASH_KEY"
"""The environment variable with the key for hashes."""

_SHORTEST_KEY: Final = 16
_EVENTS_REMEMBERED: Final = 256

_Properties: TypeAlias = Iterable[str] | Mapping[str, Iterable[str]]
"""Names or paths of properties: for all events, or by event name. `*` matches any text in both."""


class Redactor:
    """Removes, hashes or masks properties: `PostHog(..., before_send=Redactor(deny=["password"], hashed=["email"]))`.

    It receives the finished event before it is written. If it fails, the event is not written.

    Arguments:
        deny: Properties to remove, including everything nested in them. `password` matches a property of this name at
            any depth; `$set.email` and `*.card.*` are paths from the top. `SECRET_NAMES` lists the usual names of
            secrets. Case is ignored. Positions in a list are not part of a path. A mapping gives lists by event name:
            `{"signed up": ["referrer"], "*": ["password"]}`; all entries that match the event apply.
        allow: If given, all other properties are removed. Paths from the top, each including everything nested in it;
            case-sensitive. With a mapping, an event that matches no entry keeps no properties. `deny` has precedence.
        deny_events: Names of events to discard.
        allow_events: If given, all other events are discarded.
        hashed: Properties, named as for `deny`, to replace by a hash (HMAC-SHA-256 in hexadecimal) of their texts and
            numbers: the same value has the same hash everywhere.
        patterns: What to replace by `[redacted]` in all texts, whole numbers and property names: `EMAIL`, `CARD`,
            `TOKEN`, or compiled regular expressions. Default: the first three.
        hash_key: At least 16 characters; default: `HOGBOX_HASH_KEY`. Required with `hashed`.

    Some values are never changed: the event's name and distinct id, `$groups`, and the ids in `$create_alias`,
    `$identify` and `$groupidentify`, because they identify the person; `$lib`, `$lib_version`, `$is_server`,
    `$geoip_disable` and `$process_person_profile`.

    Raises ConfigurationError for invalid lists or a missing key.
    """

    def __init__(
        self,
        *,
        deny: _Properties = (),
        allow: _Properties | None = None,
        deny_events: Iterable[str] = (),
        allow_events: Iterable[str] | None = None,
        hashed: _Properties = (),
        patterns: Iterable[TextPattern | re.Pattern[str]] = PATTERNS,
        hash_key: str | None = None,
    ) -> None:
        self._deny = _by_event("deny", deny)
        self._allow = None if allow is None else _by_event("allow", allow)
        self._deny_events = _globs("deny_events", deny_events)
        self._allow_events = None if allow_events is None else _globs("allow_events", allow_events)
        self._hashed = _by_event("hashed", hashed)
        for argument, lists in (("deny", self._deny), ("hashed", self._hashed)):
            _require_effect(argument, lists)
        self._patterns = _require_patterns(patterns)
        self._digest = _digest(hash_key) if self._hashed else _no_digest
        self._rules = lru_cache(_EVENTS_REMEMBERED)(self._rules_of)

    def __repr__(self) -> str:
        return f"Redactor(patterns={list(self._patterns)!r})"

    def __call__(self, event: Event) -> Event | None:
        """The redacted event, or None to discard it."""
        name = event["event"]
        if any_matches(self._deny_events, name):
            return None
        if self._allow_events is not None and not any_matches(self._allow_events, name):
            return None
        # An earlier hook may have added values without a JSON form.
        properties, _ = clean_properties(event["properties"])
        return {**event, "properties": redact(name, properties, self._rules(name))}

    def _rules_of(self, event: str) -> Rules:
        allowed = None if self._allow is None else tuple(map(Glob.of, _of_event(self._allow, event)))
        denied, hashed = Names.of(_of_event(self._deny, event)), Names.of(_of_event(self._hashed, event))
        return Rules(denied, hashed, allowed, self._patterns, self._digest)


_Lists: TypeAlias = dict[Glob, tuple[str, ...]]


def _by_event(argument: str, given: _Properties) -> _Lists:
    if isinstance(given, Mapping):
        return {_glob(argument, event): _texts(argument, names) for event, names in given.items()}
    texts = _texts(argument, given)
    return {Glob.of("*"): texts} if texts or argument == "allow" else {}


def _of_event(lists: _Lists, event: str) -> tuple[str, ...]:
    return tuple(text for glob, texts in lists.items() if glob.matches(event) for text in texts)


def _globs(argument: str, given: Iterable[str]) -> tuple[Glob, ...]:
    return tuple(map(Glob.of, _texts(argument, given)))


def _glob(argument: str, given: Any) -> Glob:
    return Glob.of(_texts(argument, [given])[0])


def _texts(argument: str, given: Iterable[Any]) -> tuple[str, ...]:
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise ConfigurationError(f"{argument} must be a list of names, not {given!r}: use [{given!r}]")
    texts = tuple(given)
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise ConfigurationError(f"{argument} must contain names that are not empty, not {text!r}")
    return texts


def _require_effect(argument: str, lists: _Lists) -> None:
    for text in (text for texts in lists.values() for text in texts):
        if text.lower() in ALWAYS_KEPT:
            raise ConfigurationError(
                f"{argument} contains {text}, which can't be redacted: PostHog needs it to process the event correctly"
            )


def _require_patterns(given: Iterable[Any]) -> tuple[TextPattern, ...]:
    if isinstance(given, (str, re.Pattern, TextPattern)) or not isinstance(given, Iterable):
        raise ConfigurationError("patterns must be a list, such as [EMAIL, CARD, TOKEN] from hogbox.redaction")
    patterns: list[TextPattern] = []
    for one in given:
        if isinstance(one, re.Pattern) and isinstance(one.pattern, str):
            one = of_regex(one)
        if not isinstance(one, TextPattern):
            raise ConfigurationError(
                f"patterns must contain EMAIL, CARD, TOKEN or a compiled regular expression for text, not {one!r}"
            )
        patterns.append(one)
    # Tokens first: otherwise, EMAIL would take a password in a URL for a part of an address.
    return tuple(sorted(patterns, key=lambda one: one is not TOKEN))


def _digest(given: str | None) -> Callable[[Any], str]:
    key = (os.environ.get(_HASH_KEY, "") if given is None else given).strip()
    if not key:
        raise ConfigurationError(
            f"hashed requires a key: set {_HASH_KEY} to a random text; without a key, "
            "anyone who knows an address could compute its hash"
        )
    if len(key) < _SHORTEST_KEY:
        raise ConfigurationError(
            f"the key for hashes ({_HASH_KEY}) is too short: use at least {_SHORTEST_KEY} characters"
        )
    return digest_with(key.encode())


def _no_digest(_: Any) -> NoReturn:
    raise AssertionError("nothing is hashed")
