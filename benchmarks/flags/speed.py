"""How fast flags are evaluated, beside the peer in one run: `python -m benchmarks.flags.speed`.

The same fifty flags for the same four hundred people, all answers compared first. Rounds of both alternate,
and the best round of each counts, so that other work on the machine weighs on neither.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

from benchmarks.flags.peer import Peer
from benchmarks.flags.world import definitions, people
from hogbox.flags import FlagSet

ROUNDS = 30


class Speed(NamedTuple):
    """Nanoseconds per flag, the best of all rounds."""

    peer: float
    evaluate_all: float
    evaluate: float


def measure(rounds: int = ROUNDS) -> Speed:
    """Compares all answers, then measures; raises AssertionError where an answer differs."""
    document, crowd = definitions(), people()
    flag_set, peer = FlagSet.parse(document), Peer(document)
    keys, flags = flag_set.keys, [peer.flags[key] for key in flag_set.keys]
    _compare(flag_set, peer, crowd)

    def run_peer() -> None:
        # The evaluator alone: what its client adds around it is not counted.
        compute, snapshot = peer.compute, peer.snapshot
        for distinct_id, properties in crowd:
            known = {"distinct_id": distinct_id, **properties}
            for flag in flags:
                compute(flag, distinct_id, person_properties=known, _definition_snapshot=snapshot)

    def run_all() -> None:
        for distinct_id, properties in crowd:
            flag_set.evaluate_all(distinct_id=distinct_id, person_properties=properties)

    def run_each() -> None:
        evaluate = flag_set.evaluate
        for distinct_id, properties in crowd:
            for key in keys:
                evaluate(key, distinct_id=distinct_id, person_properties=properties)

    contenders = (run_peer, run_all, run_each)
    best = [min(times) for times in zip(*([_time(run) for run in contenders] for _ in range(rounds)), strict=True)]
    return Speed(*[seconds / len(crowd) / len(keys) * 1e9 for seconds in best])


def _compare(flag_set: FlagSet, peer: Peer, crowd: list[tuple[str, dict[str, Any]]]) -> None:
    for distinct_id, properties in crowd:
        results = flag_set.evaluate_all(distinct_id=distinct_id, person_properties=properties)
        for key, result in results.items():
            expected = peer.evaluate(key, distinct_id=distinct_id, person_properties=properties)
            assert result.value == expected, (key, distinct_id, result, expected)


def _time(run: Callable[[], None]) -> float:
    start = perf_counter()
    run()
    return perf_counter() - start


def main() -> None:
    """Prints the table."""
    speed = measure(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
    for name, nanoseconds in zip(("posthog, bare", "evaluate_all", "evaluate"), speed, strict=True):
        print(f"{name:14}{nanoseconds:8.0f} ns per flag{speed.peer / nanoseconds:8.1f} x")


if __name__ == "__main__":
    main()
