"""Redactor: a `before_send` hook that keeps personal data and secrets out of the outbox, and so out of PostHog."""

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
"""The variable that holds the key of the hashes."""

_SHORTEST_KEY: Final = 16
_EVENTS_REMEMBERED: Final = 256

_Properties: TypeAlias = Iterable[str] | Mapping[str, Iterable[str]]
"""Names or paths of properties: of all events, or by the name of the event. `*` stands for any text in either."""


class Redactor:
    """Give it to a client: `PostHog(..., before_send=Redactor(deny=["password"], hashed=["email"]))`.

    It sees the finished event before it is written. Where it fails, the event is not written at all.

    Arguments:
        deny: _Properties that are left out, with all that is in them. `password` is any property of this name, however
            deep; `$set.email` and `*.card.*` are paths from the top. `SECRET_NAMES` are the usual names of secrets.
            Upper and lower case are the same. Positions in a list are no part of a path. A mapping says it by event:
            `{"signed up": ["referrer"], "*": ["password"]}`; all entries whose name fits apply.
        allow: Where given, all other properties are left out. Paths from the top, with all that is in them; upper and
            lower case differ. By event too: one that no entry fits keeps none. `deny` wins over it.
        deny_events: Names of events that are not captured at all.
        allow_events: Where given, no other events are captured.
        hashed: _Properties, named as for `deny`, whose texts and numbers are replaced by HMAC-SHA-256 in hexadecimal:
            the same value has the same hash everywhere.
        patterns: What to look for in all texts, whole numbers and names of properties; `[redacted]` takes its place.
            `EMAIL`, `CARD`, `TOKEN`, or compiled regular expressions. Default: the first three.
        hash_key: At least 16 characters; default: `HOGBOX_HASH_KEY`. Needed where anything is hashed.

    Never changed are the event's name and distinct id, the ids in `$create_alias`, `$identify` and `$groupidentify`,
    and `$groups`: they say whose it is. Neither are `$lib`, `$lib_version`, `$is_server`, `$geoip_disable` and
    `$process_person_profile`.

    Raises ConfigurationError for lists that can't work.
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
        """The event without what must not be sent; None where it is not to be sent at all."""
        name = event["event"]
        if any_matches(self._deny_events, name):
            return None
        if self._allow_events is not None and not any_matches(self._allow_events, name):
            return None
        # An earlier hook may have left values that are not JSON's.
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
        raise ConfigurationError(f"{argument} must be a list of names, not {given!r}: write [{given!r}]")
    texts = tuple(given)
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise ConfigurationError(f"{argument} must hold names that are text and not empty, not {text!r}")
    return texts


def _require_effect(argument: str, lists: _Lists) -> None:
    for text in (text for texts in lists.values() for text in texts):
        if text.lower() in ALWAYS_KEPT:
            raise ConfigurationError(
                f"{argument} names {text}, which no redactor changes: PostHog needs it to take the event as it is meant"
            )


def _require_patterns(given: Iterable[Any]) -> tuple[TextPattern, ...]:
    if isinstance(given, (str, re.Pattern, TextPattern)) or not isinstance(given, Iterable):
        raise ConfigurationError("patterns must be a list, such as [EMAIL, CARD, TOKEN] of hogbox.redaction")
    patterns: list[TextPattern] = []
    for one in given:
        if isinstance(one, re.Pattern) and isinstance(one.pattern, str):
            one = of_regex(one)
        if not isinstance(one, TextPattern):
            raise ConfigurationError(
                f"patterns must hold EMAIL, CARD or TOKEN of hogbox.redaction, or re.compile(...) of text, not {one!r}"
            )
        patterns.append(one)
    return tuple(sorted(patterns, key=lambda one: one is not TOKEN))


def _digest(given: str | None) -> Callable[[Any], str]:
    key = (os.environ.get(_HASH_KEY, "") if given is None else given).strip()
    if not key:
        raise ConfigurationError(
            f"hashed needs a key: set {_HASH_KEY} to a random text; without one, "
            "whoever knows an address could find its hash"
        )
    if len(key) < _SHORTEST_KEY:
        raise ConfigurationError(
            f"the key of the hashes ({_HASH_KEY}) is too short: at least {_SHORTEST_KEY} characters"
        )
    return digest_with(key.encode())


def _no_digest(_: Any) -> NoReturn:
    raise AssertionError("nothing is hashed")
