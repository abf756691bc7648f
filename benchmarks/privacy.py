"""What privacy costs: a redactor per event and per megabyte of text, and the encryption of a payload."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks.measure import in_turns, micro, seconds_each
from benchmarks.place import Setup
from benchmarks.result import Result
from benchmarks.sample import NAME, PROPERTIES
from hogbox import Event
from hogbox._encryption import VARIABLE, Cipher, new_key
from hogbox._events.event import to_row
from hogbox.redaction import SECRET_NAMES, Redactor

_TIMES = 2000
_PROSE = "The quick brown fox jumps over the lazy dog, 12 times; see https://example.com/a?b=c. " * 12_000
_HASH_KEY = "a key of the benchmarks"


def run(setup: Setup) -> Iterator[Result]:
    """One event, in each way; and one long text."""
    redactors = {
        "patterns": Redactor(),
        "patterns, 13 denied names": Redactor(deny=SECRET_NAMES),
        "an allow list of 8, no patterns": Redactor(allow=list(PROPERTIES), patterns=[]),
        "patterns, 1 hashed property": Redactor(hashed=["order"], hash_key=_HASH_KEY),
    }
    cost = in_turns({name: _redacting(one, PROPERTIES) for name, one in redactors.items()}, setup.repetitions)
    for name, seconds in cost.items():
        yield Result(f"redact an event: {name}", micro(seconds), f"{len(PROPERTIES)} properties")
    (seconds,) = in_turns({"": _redacting(Redactor(), {"text": _PROSE}, times=2)}, setup.repetitions).values()
    yield Result("redact a long text: patterns", f"{seconds * 1000:.0f} ms", f"{len(_PROSE) / 1e6:.1f} MB of prose")
    cipher, row = Cipher.load({VARIABLE: new_key()}), to_row(_event(PROPERTIES), "phc_benchmark")
    payload, sealed = row.payload, cipher.seal(row.payload, row)
    work = {
        "encrypt": lambda: _each(lambda: cipher.seal(payload, row)),
        "decrypt": lambda: _each(lambda: cipher.open(sealed, row)),
    }
    for name, seconds in in_turns(work, setup.repetitions).items():
        yield Result(f"{name} a payload", micro(seconds), f"{len(payload)} bytes, {len(sealed)} stored")


def _redacting(redactor: Redactor, properties: Mapping[str, Any], times: int = _TIMES) -> Callable[[], float]:
    event = _event(properties)
    return lambda: _each(lambda: redactor(event), times)


def _each(act: Callable[[], object], times: int = _TIMES) -> float:
    return seconds_each(lambda _: act(), times)


def _event(properties: Mapping[str, Any]) -> Event:
    return {
        "uuid": "01990f6a-3c4e-7b51-9a55-0d2a6f0b7c11",
        "event": NAME,
        "distinct_id": "customer-0001",
        "timestamp": "2026-03-04T10:15:30.250000+00:00",
        "properties": {**properties},
    }
