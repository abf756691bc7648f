"""What a process knows of a project's flags at one revision: how to evaluate them, and what events tell of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from hogbox._events.exposure import FlagFacts
from hogbox.flags import Explanation, FlagResult, FlagSet, Reason
from hogbox.flags._flag_set import explanation_for, flag_set_of, result_for, results_for, zone_of
from hogbox.flags._person import Person
from hogbox.flags._result import decoded_copy


class KnownFlags(Protocol):
    """What a reader and a snapshot need of the flags that a process knows."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all flags."""

    @property
    def definitions(self) -> Mapping[str, Mapping[str, Any]]:
        """The flags as PostHog defines them, by key. Not to be changed: they are shared."""

    @property
    def shared(self) -> Mapping[str, Any]:
        """What the flags share, such as cohorts."""

    def evaluate(self, key: str, person: Person, now: datetime | None = None) -> FlagResult:
        """The flag's result for this person. Raises InvalidPerson."""

    def evaluate_all(self, person: Person, keys: Iterable[str] | None = None) -> dict[str, FlagResult]:
        """The results of all flags, or of those with these keys that are known. Raises InvalidPerson."""

    def explain(self, key: str, person: Person, now: datetime | None = None) -> Explanation:
        """Why the flag has its value. Raises InvalidPerson."""

    def payload(self, key: str, value: bool | str) -> Any:
        """The payload that the flag has for this value, whoever asks; None where there is none."""

    def facts(self, key: str) -> FlagFacts:
        """What events include of a flag besides its value."""


class FlagState(NamedTuple):
    """The flags at one revision."""

    revision: int | None
    """None where nothing is stored."""

    flags: KnownFlags | None
    """None where there are none that can be read."""

    @classmethod
    def of(cls, sight: Any) -> FlagState:
        """The state that was seen."""
        return cls(None if sight.stamp is None else sight.stamp.revision, sight.flags)

    @property
    def readable(self) -> bool:
        """Whether it is known which flags there are: what can't be read says nothing of them."""
        return self.flags is not None or self.revision is None


@dataclass(slots=True)
class LocalFlags:
    """The flags of one revision. Never changes; threads may share it."""

    flag_set: FlagSet
    definitions: Mapping[str, Mapping[str, Any]]
    shared: Mapping[str, Any]
    _minimal_events: bool
    """Whether the project asks for the short form of `$feature_flag_called`."""
    _hidden: frozenset[str] = frozenset()
    """Flags of other evaluation contexts: unknown to readers, though others may depend on them."""

    @classmethod
    def parse(cls, data: str, timezone: str, contexts: Sequence[str] = ()) -> LocalFlags:
        """Reads stored definitions. Raises DefinitionsError where they can't be read.

        With contexts, the flags are those that PostHog evaluates for them.
        """
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            document = data  # for FlagSet to say what is wrong
        flag_set = flag_set_of(document, data, timezone)
        raw = {flag["key"]: flag for flag in document["flags"] if isinstance(flag, dict) and "key" in flag}
        shared = {name: value for name, value in document.items() if name != "flags"}
        hidden = frozenset(key for key, flag in raw.items() if contexts and not in_contexts(flag, contexts))
        seen = {key: flag for key, flag in raw.items() if key not in hidden}
        return cls(flag_set, seen, shared, document.get("minimal_flag_called_events") is True, hidden)

    @property
    def whole(self) -> FlagSet | None:
        """The flags to evaluate directly; None where some of them are hidden."""
        return None if self._hidden else self.flag_set

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all flags, in the order of the document."""
        keys = self.flag_set.keys
        return tuple(key for key in keys if key not in self._hidden) if self._hidden else keys

    def evaluate(self, key: str, person: Person, now: datetime | None = None) -> FlagResult:
        """What the flag is for this person."""
        if key in self._hidden:
            return FlagResult(key, None, Reason.UNKNOWN_FLAG)
        return result_for(self.flag_set, key, person, now)

    def evaluate_all(self, person: Person, keys: Iterable[str] | None = None) -> dict[str, FlagResult]:
        """What all flags are for this person, or those with these keys."""
        if keys is not None or self._hidden:
            known = set(self.keys)
            keys = [key for key in (self.keys if keys is None else keys) if key in known]
        return results_for(self.flag_set, person, keys)

    def explain(self, key: str, person: Person, now: datetime | None = None) -> Explanation:
        """Why the flag has its value for this person."""
        if key in self._hidden:
            return Explanation(
                self.evaluate(key, person), None, (), None, (), f"Flag {key!r} is of another evaluation context."
            )
        return explanation_for(self.flag_set, key, person, now)

    def facts(self, key: str) -> FlagFacts:
        """What events tell of a flag besides its value."""
        raw = self.definitions.get(key, {})
        experiment = raw.get("has_experiment")
        return FlagFacts(
            id=_number(raw.get("id")),
            version=_number(raw.get("version")),
            has_experiment=experiment if isinstance(experiment, bool) else None,
            reason="Evaluated locally",
            locally_evaluated=True,
            minimal=self._minimal_events,
        )

    def payload(self, key: str, value: bool | str) -> Any:
        """The payload that the flag has for this value, whoever asks; None where there is none."""
        raw = self.definitions.get(key, {})
        filters = raw.get("filters")
        payloads = filters.get("payloads") if isinstance(filters, Mapping) else None
        if not isinstance(payloads, Mapping) or raw.get("has_encrypted_payloads") is True:
            return None
        name = _TEXTS.get(value, value) if isinstance(value, bool) else value
        return decoded_copy(payloads.get(name))


def in_contexts(flag: Mapping[str, Any], contexts: Iterable[str]) -> bool:
    """Whether PostHog evaluates a flag for a request with these contexts (wire protocol 6.1)."""
    own = flag.get("evaluation_contexts")
    if not isinstance(own, list) or not own:
        return True
    common = set(contexts).intersection(one for one in own if isinstance(one, str))
    return len(common) == len(own) if flag.get("evaluation_contexts_match_mode") == "all" else bool(common)


def runs_in(flag: Mapping[str, Any], runtime: str) -> bool:
    """Whether a flag is meant for this runtime, `server` or `client`; one that does not say is meant for all."""
    return flag.get("evaluation_runtime") in (None, "all", runtime) or runtime == "all"


def changed_keys(earlier: KnownFlags, later: KnownFlags) -> tuple[str, ...]:
    """The keys of the flags that are new, gone or defined differently; all, where what they share differs."""
    keys = dict.fromkeys([*later.definitions, *earlier.definitions])
    if later.shared != earlier.shared:
        return tuple(keys)
    return tuple(key for key in keys if later.definitions.get(key) != earlier.definitions.get(key))


def no_flags() -> LocalFlags:
    """What a process knows where no flags can be read."""
    return LocalFlags.parse('{"flags": []}', "UTC")


def require_timezone(name: str) -> str:
    """The name of a time zone that this machine knows. ConfigurationError otherwise."""
    zone_of(name)
    return name


_TEXTS: Final = {True: "true", False: "false"}


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
