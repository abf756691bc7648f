"""Flags of which a test has set some: what is stored, with what is set over it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from hogbox._client.local_flags import KnownFlags, no_flags
from hogbox._events.exposure import FlagFacts
from hogbox._wire.flag_record import FlagRecord
from hogbox.flags import Explanation, FlagResult, Reason
from hogbox.flags._person import Person
from hogbox.testing.override import Override, Overrides

BY_A_TEST: Final = "A test set it"
"""What is told of how PostHog came to its answer."""


class SetFlags:
    """Answers what a test has set, and asks the real flags for the rest.

    These are asked always, so that what they refuse is refused here too.
    """

    def __init__(self, real: KnownFlags | None, overrides: Overrides) -> None:
        self._real = real or no_flags()
        self._overrides = overrides

    @property
    def keys(self) -> tuple[str, ...]:
        """Those of the real ones, and of those that are set."""
        return tuple(dict.fromkeys((*self._real.keys, *self._overrides.keys)))

    @property
    def definitions(self) -> Mapping[str, Mapping[str, Any]]:
        """Those of the real ones."""
        return self._real.definitions

    @property
    def shared(self) -> Mapping[str, Any]:
        """What the real ones share."""
        return self._real.shared

    def evaluate(self, key: str, person: Person, now: datetime | None = None) -> FlagResult:
        """What is set, else what the real one answers."""
        real = self._real.evaluate(key, person, now)
        override = self._overrides.find(key, person.distinct_id)
        return real if override is None else to_result(key, override)

    def evaluate_all(self, person: Person, keys: Iterable[str] | None = None) -> dict[str, FlagResult]:
        """The same of all flags, or of these."""
        real = self._real.evaluate_all(person)
        found = {key: self._overrides.find(key, person.distinct_id) for key in (self.keys if keys is None else keys)}
        results = {key: real.get(key) if one is None else to_result(key, one) for key, one in found.items()}
        return {key: result for key, result in results.items() if result is not None}

    def explain(self, key: str, person: Person, now: datetime | None = None) -> Explanation:
        """Says that the flag is set, else what the real one explains."""
        real = self._real.explain(key, person, now)
        override = self._overrides.find(key, person.distinct_id)
        return real if override is None else _explanation(key, override)

    def payload(self, key: str, value: bool | str) -> Any:
        """What is set for everybody where it is for this value, else what is stored."""
        override = self._overrides.find(key, None)
        if override is None or override.value != value:
            return self._real.payload(key, value)
        return to_result(key, override).payload

    def facts(self, key: str) -> FlagFacts:
        """Those of the real one."""
        return self._real.facts(key)


def to_result(key: str, override: Override) -> FlagResult:
    """What a local read comes to."""
    return FlagResult(key, override.value, _reason(override.value), payload=override.payload)


def to_record(key: str, override: Override) -> FlagRecord:
    """What a read that asks PostHog comes to."""
    return FlagRecord(
        key,
        override.value,
        str(_reason(override.value)),
        description=BY_A_TEST,
        payload=override.payload,
        failed=override.value is None,
    )


def _reason(value: bool | str | None) -> Reason:
    if value is None:
        return Reason.MISSING_CONTEXT
    return Reason.NO_CONDITION_MATCH if value is False else Reason.CONDITION_MATCH


def _explanation(key: str, override: Override) -> Explanation:
    result = to_result(key, override)
    is_ = "inconclusive" if result.value is None else repr(result.value)
    whom = "everybody" if override.everybody else "this person"
    possible = None if result.value is None else (result.value,)
    return Explanation(result, possible, (), None, (), f"Flag {key!r} is {is_}: a test set it, for {whom}.")
