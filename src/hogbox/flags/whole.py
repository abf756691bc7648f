"""All flags of a set at once, faster the more often they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from hogbox.flags.flag import UNSUPPORTED
from hogbox.flags.person import Person
from hogbox.flags.result import FlagResult
from hogbox.flags.shortcut import Batch, Plan, Shortcut, write_batch

# A process that lives shortly never writes a batch; one that lives on writes one at a time, in about 3 ms.
_WARM: Final = 16
_BATCH: Final = 12


class Whole:
    """The flags of a set in batches: each is a loop over shortcuts first, and one written function later on.

    Threads may share it: whatever a batch is at the moment, it gives the same results.
    """

    def __init__(self, plans: list[Plan], shortcut_of: Callable[[str], Shortcut]) -> None:
        self._plans = [plans[place : place + _BATCH] for place in range(0, len(plans), _BATCH)]
        self._batches = [_loop(batch, shortcut_of) for batch in self._plans]
        # Results are put into a copy of a dict that has all the keys, which is faster than growing one.
        self._results = {plan.flag.key: plan.flag.result(UNSUPPORTED) for plan in plans}
        self._asked = 0

    def evaluate(
        self, properties: Mapping[str, Any], identifier: bytes, complete: bool, person: Person
    ) -> dict[str, FlagResult]:
        """The result of every flag, by key."""
        if self._asked < _WARM + len(self._batches):
            self._warm_up()
        results = self._results.copy()
        for batch in self._batches:
            batch(properties, identifier, complete, person, results)
        return results

    def _warm_up(self) -> None:
        place = self._asked - _WARM
        self._asked += 1
        if 0 <= place < len(self._batches):
            self._batches[place] = write_batch(self._plans[place])


def _loop(plans: list[Plan], shortcut_of: Callable[[str], Shortcut]) -> Batch:
    """The shortcuts of some flags, one after the other."""
    shortcuts = [(plan.flag.key, shortcut_of(plan.flag.key)) for plan in plans]

    def batch(
        properties: Mapping[str, Any],
        identifier: bytes,
        complete: bool,
        person: Person,
        results: dict[str, FlagResult],
    ) -> None:
        for key, shortcut in shortcuts:
            results[key] = shortcut(properties, identifier, complete, person)

    return batch
