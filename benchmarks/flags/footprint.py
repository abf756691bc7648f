"""What a thousand flags cost to load and to keep: `python -m benchmarks.flags.footprint`.

Each measurement has a process of its own, so that nothing is warm and no memory is left from another.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from time import perf_counter

from benchmarks.flags.world import definitions, people

FLAGS = 1_000
SIZE = 1_000_000
"""Bytes of the document, about."""


def document() -> bytes:
    """A thousand flags, with descriptions that make them a megabyte, as they come from PostHog."""
    content = definitions(FLAGS)
    missing = SIZE - len(json.dumps(content))
    for flag in content["flags"]:
        flag["name"] = "x" * (missing // FLAGS)
    return json.dumps(content).encode()


def first_answer() -> float:
    """Milliseconds from the document's bytes to the first flag's value, import not counted."""
    from hogbox.flags import FlagSet

    body = document()
    start = perf_counter()
    FlagSet.parse(body).evaluate("regex-flag-995", distinct_id="u1", person_properties={"email": "a@corp.io"})
    return (perf_counter() - start) * 1e3


def all_answers() -> float:
    """Milliseconds from the document's bytes to the values of all thousand flags."""
    from hogbox.flags import FlagSet

    body = document()
    start = perf_counter()
    FlagSet.parse(body).evaluate_all(distinct_id="u1", person_properties={"email": "a@corp.io"})
    return (perf_counter() - start) * 1e3


def memory(contender: str) -> float:
    """Megabytes of Python objects that are kept: "peer", "parsed", "fast paths" or "batches"."""
    import gc
    import tracemalloc

    from benchmarks.flags.peer import Peer
    from hogbox.flags import FlagSet

    body, crowd = document(), people(400)
    Peer(json.loads(body))
    gc.collect()
    tracemalloc.start()
    kept: list[object] = []
    if contender == "peer":
        peer = Peer(json.loads(body))
        kept.append(peer)
        for distinct_id, properties in crowd[:5]:
            for key in peer.flags:
                peer.evaluate(key, distinct_id=distinct_id, person_properties=properties)
    else:
        flag_set = FlagSet.parse(body)
        kept.append(flag_set)
        for distinct_id, properties in crowd[: {"parsed": 0, "fast paths": 5, "batches": 400}[contender]]:
            flag_set.evaluate_all(distinct_id=distinct_id, person_properties=properties)
    gc.collect()
    return tracemalloc.get_traced_memory()[0] / 1e6


_MEASUREMENTS: dict[str, Callable[[], float]] = {
    "first answer, ms": first_answer,
    "all answers, ms": all_answers,
    "memory of the peer, MB": partial(memory, "peer"),
    "memory once parsed, MB": partial(memory, "parsed"),
    "memory of fast paths, MB": partial(memory, "fast paths"),
    "memory with batches, MB": partial(memory, "batches"),
}


def main() -> None:
    """Prints each measurement, the best of five for times."""
    if len(sys.argv) > 1:
        print(_MEASUREMENTS[sys.argv[1]]())
        return
    for name in _MEASUREMENTS:
        command = [sys.executable, "-m", "benchmarks.flags.footprint", name]
        values = [float(subprocess.check_output(command)) for _ in range(5 if name.endswith("ms") else 1)]
        print(f"{name:26}{min(values):8.1f}")


if __name__ == "__main__":
    main()
