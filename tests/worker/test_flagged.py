"""Flags that a worker asks PostHog for: for whom, how long, and what becomes of the event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hogbox._delivery.batch import Waiting
from hogbox._events.event import ANALYTICS, FLAGGED
from hogbox._events.limit import MAX_EVENT_BYTES
from hogbox._worker.flagged import FlaggedEvents
from hogbox.emulator import Emulator
from hogbox.telemetry import Telemetry
from tests.client.conftest import TOKEN
from tests.emulator.flag_case import DOCUMENT, asked


def row(number: int, distinct_id: str = "u1", lane: str = FLAGGED, groups: Any = None, text: str = "") -> Waiting:
    properties = {"$groups": groups or {}, "text": text}
    event = {"uuid": f"{number}", "event": "paid", "distinct_id": distinct_id, "properties": properties}
    return Waiting(number, 0, TOKEN, lane, json.dumps(event), f"{number}")


def properties_of(row: Waiting) -> dict[str, Any]:
    properties: dict[str, Any] = json.loads(row.payload)["properties"]
    return properties


@pytest.fixture
def flagged(emulator: Emulator) -> Iterator[FlaggedEvents]:
    emulator.set_flags(DOCUMENT)
    with FlaggedEvents(emulator.url, Telemetry()) as flagged:
        yield flagged


def test_one_question_for_one_person(flagged: FlaggedEvents, emulator: Emulator) -> None:
    rows = [row(1), row(2), row(3, "u2"), row(4, lane=ANALYTICS), row(5, groups={"company": "c"})]
    complete, again = flagged.complete(rows)
    assert ([one.id for one in complete], again) == ([1, 2, 3, 4, 5], False)
    assert {one.lane for one in complete} == {ANALYTICS}
    assert asked(emulator) == 3
    assert complete[3] == rows[3]


def test_what_others_wrote_stays_as_it_is(flagged: FlaggedEvents) -> None:
    text = (
        '{"uuid":"1","event":"paid","distinct_id":"u1","properties":{"big":123456789012345678901234567890,"e":1e400}}'
    )
    (complete,), _ = flagged.complete([row(1)._replace(payload=text)])
    assert '"big":123456789012345678901234567890,"e":1e400' in complete.payload
    assert properties_of(complete)["$feature/on"] is True
    for unreadable in ("[]", "{", '{"distinct_id":7,"properties":{}}', '{"distinct_id":"u1"}'):
        (complete,), _ = flagged.complete([row(1)._replace(payload=unreadable)])
        assert (complete.payload, complete.lane) == (unreadable, ANALYTICS)


def test_no_event_becomes_too_large(flagged: FlaggedEvents) -> None:
    large = row(1, text="x" * (MAX_EVENT_BYTES - 120))
    (complete,), _ = flagged.complete([large])
    assert complete.payload == large.payload


def test_what_there_is_no_time_for_is_read_again_in_order(emulator: Emulator) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 0.5
        return now[0]

    rows = [row(number, f"u{number}") for number in range(20)]
    with FlaggedEvents(emulator.url, Telemetry(), clock=clock) as flagged:
        complete, again = flagged.complete(rows)
    assert again
    assert 0 < len(complete) < 20
    assert [one.id for one in complete] == list(range(len(complete)))


def test_after_a_pause_posthog_is_asked_again(emulator: Emulator) -> None:
    now = [0.0]
    emulator.set_flags(DOCUMENT)
    emulator.fault(path="/flags", status=503, times=1)
    told = []
    with FlaggedEvents(emulator.url, Telemetry(), clock=lambda: now[0]) as flagged:
        for now[0] in (0.0, 1.0, 10.0):
            (complete,), _ = flagged.complete([row(1)])
            told.append("$feature/on" in properties_of(complete))
    assert told == [False, False, True]
    assert asked(emulator) == 2
