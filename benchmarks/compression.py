"""What the encodings of request bodies cost: CPU time and bytes of an event, in requests of 1, 100 and 1,000 events."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import brotli  # type: ignore[import-untyped]
from backports import zstd

from benchmarks.measure import in_turns, micro
from benchmarks.place import Setup
from benchmarks.result import Result
from benchmarks.sample import TOKEN, backlog
from hogbox._wire.batch import batch_request
from hogbox._wire.compression import WORDS, encoder

_SIZES: Final = (1, 100, 1000)
_LEVELS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip, level 6": lambda body: zlib.compress(body, 6, 31),
    "zstd, level 3": lambda body: zstd.compress(body, 3),
    "br, level 4": lambda body: brotli.compress(body, quality=4),
}


def run(setup: Setup) -> Iterator[Result]:
    """Each word of the setting, and levels that hogbox does not use, on the same bodies."""
    ways = {word: encoder(word).compress for word in WORDS if word not in ("auto", "identity")} | _LEVELS
    for size in _SIZES:
        payloads = [row.payload for row in backlog(size)]
        sent_at = "2026-03-04T10:15:31.004000+00:00"
        body = batch_request(TOKEN, payloads, sent_at=sent_at, user_agent="", encoder=encoder("none")).body
        work = {name: _compressing(way, body, size) for name, way in ways.items()}
        for name, seconds in in_turns(work, setup.repetitions).items():
            bytes_each = len(ways[name](body)) / size
            yield Result(f"{size} events: {name}", micro(seconds), f"{bytes_each:.1f} bytes an event")


def _compressing(way: Callable[[bytes], bytes], body: bytes, size: int) -> Callable[[], float]:
    times = max(1, 1000 // size)

    def seconds_an_event() -> float:
        began = time.process_time()
        for _ in range(times):
            way(body)
        return (time.process_time() - began) / times / size

    return seconds_an_event
