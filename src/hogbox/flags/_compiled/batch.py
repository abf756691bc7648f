"""All flags of a set at once, faster the more often they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from hogbox.flags._compiled.writer import Batch, CompilerInput, write_batch
from hogbox.flags._evaluator import FastPath, unknown_flag
from hogbox.flags._person import EvaluatedPerson
from hogbox.flags._result import FlagResult

# A process that lives shortly never writes a batch; one that lives on writes one at a time, in about 3 ms.
_WARM: Final = 16
_BATCH: Final = 12


class BatchEvaluator:
    """The flags of a set in batches: each is a loop over fast paths first, and one written function later on.

    Threads may share it: whatever a batch is at the moment, it gives the same results.
    """

    def __init__(self, inputs: list[CompilerInput], path_of: Callable[[str], FastPath]) -> None:
        self._inputs = [inputs[place : place + _BATCH] for place in range(0, len(inputs), _BATCH)]
        self._batches = [_loop(batch, path_of) for batch in self._inputs]
        # Results are put into a copy of a dict that has all the keys, which is faster than growing one.
        self._results = {given.flag.key: unknown_flag(given.flag.key) for given in inputs}
        self._asked = 0

    def evaluate(
        self, properties: Mapping[str, Any], identifier: bytes, complete: bool, person: EvaluatedPerson
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
            self._batches[place] = write_batch(self._inputs[place])


def _loop(inputs: list[CompilerInput], path_of: Callable[[str], FastPath]) -> Batch:
    """The fast paths of some flags, one after the other."""
    paths = [(given.flag.key, path_of(given.flag.key)) for given in inputs]

    def batch(
        properties: Mapping[str, Any],
        identifier: bytes,
        complete: bool,
        person: EvaluatedPerson,
        results: dict[str, FlagResult],
    ) -> None:
        for key, path in paths:
            results[key] = path(properties, identifier, complete, person)

    return batch
