"""Scripted results: what capture v1 answers for chosen events that are otherwise in order."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import msgspec

from hogbox.emulator.fault import Count, Rate
from hogbox.emulator.record import ReceivedEvent

ABSENT = "absent"

_DETAILS = {
    "drop": "event_restriction_drop",
    "limited": "rate_limited_token_distinct_id",
    "retry": "not_persisted",
    "warning": "person_processing_disabled",
}


class ScriptedResult(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A scripted result of capture v1. Without `times` and `rate` it applies to every matching event.

    Arguments:
        result: `ok`, `warning`, `limited`, `drop`, `retry`, or any other word; `absent` leaves the event out.
        details: The reason in the response; None: PostHog's own for this result.
        store: Whether the event is stored; None: unless the result is `drop` or `retry`.
        times: The number of events to affect; None: no limit.
        rate: The share of matching events to affect, from 0 to 1; None: all.
        token, event, distinct_id, uuid: Affect only events with all of these values.
        id, fired: Set by the emulator: the result's number, and how many events it has affected.
    """

    result: str = "retry"
    details: str | None = None
    store: bool | None = None
    times: Count | None = None
    rate: Rate | None = None
    token: str | None = None
    event: str | None = None
    distinct_id: str | None = None
    uuid: str | None = None
    id: int = 0
    fired: int = 0

    def problem(self) -> str | None:
        """Why the scripted result is invalid, as a sentence that says how to fix it, or None."""
        return None if self.result else "`result` must be a word, such as retry"

    def stores(self) -> bool:
        """Whether the event is stored."""
        return self.result not in ("drop", "retry") if self.store is None else self.store

    def disables_person(self) -> bool:
        """Whether the event is stored without its person."""
        return self.result in ("limited", "warning")

    def given_details(self) -> str | None:
        return _DETAILS.get(self.result) if self.details is None else self.details

    def matches(self, event: ReceivedEvent) -> bool:
        """Whether it is meant for this event."""
        return (
            self.token in (None, event.token)
            and self.event in (None, event.event)
            and self.distinct_id in (None, event.distinct_id)
            and (self.uuid is None or self.uuid.lower() == event.uuid)
        )


class ScriptedResults:
    """The scripted results in order of their addition: the first one that matches and is due decides."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._results: dict[int, ScriptedResult] = {}
        self._added = 0

    def __iter__(self) -> Iterator[ScriptedResult]:
        return iter(self._results.values())

    def add(self, result: ScriptedResult) -> ScriptedResult:
        self._added += 1
        added = msgspec.structs.replace(result, id=self._added, fired=0)
        self._results[added.id] = added
        return added

    def remove(self, result_id: int) -> bool:
        return self._results.pop(result_id, None) is not None

    def clear(self) -> None:
        self._results.clear()

    def choose(self, event: ReceivedEvent) -> ScriptedResult | None:
        """The result for an event, which counts as used."""
        for result in self._results.values():
            if result.matches(event) and self._due(result):
                result.fired += 1
                return result
        return None

    def _due(self, result: ScriptedResult) -> bool:
        if result.times is not None and result.fired >= result.times:
            return False
        return result.rate is None or self._random.random() < result.rate
