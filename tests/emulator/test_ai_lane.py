"""The AI lane (wire protocol 5): only AI events, of up to 8 MiB each, by the rules of v0 or of v1."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx2
import pytest

from hogbox.emulator import Emulator
from tests.emulator.conftest import Build
from tests.emulator.v1_case import AI_PATH, post, results
from tests.emulator.v1_case import batch as v1_batch
from tests.emulator.v1_case import event as v1_event

PATH = "/i/v0/ai/batch/"
NAMES = [
    *("$ai_generation", "$ai_embedding", "$ai_span", "$ai_trace", "$ai_metric", "$ai_feedback", "$ai_evaluation"),
    *("$ai_tag", "$ai_trace_summary", "$ai_generation_summary", "$ai_trace_clusters", "$ai_generation_clusters"),
]
LIMIT = 8 * 1024 * 1024


def of_size(size: int) -> dict[str, Any]:
    """Properties whose JSON has this many bytes."""
    return {"x": "y" * (size - len('{"x":""}'))}


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_v0_lane_is_v0(emulator: Emulator, client: httpx2.Client, batch: Build, event: Build, slash: str) -> None:
    body = gzip.compress(json.dumps(batch(*(event(event=name) for name in NAMES))).encode())
    answer = client.post("/i/v0/ai/batch" + slash, content=body, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()) == (200, {"status": "Ok"})
    assert [stored.event for stored in emulator.events()] == NAMES
    assert client.options(PATH).json() == {"status": "Ok"}
    assert client.post(PATH, params={"beacon": "1"}, json=batch(event(event="$ai_span"))).status_code == 204


def test_the_v1_lane_is_v1(emulator: Emulator, client: httpx2.Client) -> None:
    events = [v1_event(number, event=name) for number, name in enumerate(NAMES)]
    assert results(post(client, v1_batch(*events), path=AI_PATH + "/")) == [("ok", None)] * len(NAMES)
    assert [stored.event for stored in emulator.events()] == NAMES


@pytest.mark.parametrize("name", ["paid", "$ai_other", "$ai_", "$exception"])
def test_another_event_is_refused(
    emulator: Emulator, client: httpx2.Client, batch: Build, event: Build, name: str
) -> None:
    assert client.post(PATH, json=batch(event(event="$ai_span"), event(event=name))).status_code == 400
    assert emulator.events() == []
    answer = post(client, v1_batch(v1_event(event="$ai_span"), v1_event(2, event=name)), path=AI_PATH)
    assert results(answer) == [("ok", None), ("drop", "misrouted_event")]


def test_elsewhere_ai_events_are_events(emulator: Emulator, client: httpx2.Client, batch: Build, event: Build) -> None:
    assert client.post("/batch/", json=batch(event(event="$ai_span"))).status_code == 200
    assert results(post(client, v1_batch(v1_event(event="$ai_span")))) == [("ok", None)]


def test_an_event_has_up_to_8_mib(emulator: Emulator, client: httpx2.Client, batch: Build, event: Build) -> None:
    fits, too_big = of_size(LIMIT), of_size(LIMIT + 1)
    assert client.post(PATH, json=batch(event(event="$ai_span", properties=fits))).status_code == 200
    answer = client.post(PATH, json=batch(event(event="$ai_span"), event(event="$ai_span", properties=too_big)))
    assert (answer.status_code, answer.text.startswith("maximum event size exceeded: ")) == (413, True)
    assert len(emulator.events()) == 1


def test_in_v1_only_the_event_that_is_too_big_is_dropped(client: httpx2.Client) -> None:
    fits = v1_event(1, event="$ai_span", properties=of_size(LIMIT))
    too_big = v1_event(2, event="$ai_span", properties=of_size(LIMIT + 1))
    answer = post(client, v1_batch(fits, too_big), path=AI_PATH)
    assert results(answer) == [("ok", None), ("drop", "ai_event_too_big")]


def test_a_server_may_be_without_it(emulator: Emulator, client: httpx2.Client, batch: Build, event: Build) -> None:
    emulator.configure(ai_lane=False)
    assert client.post(PATH, json=batch(event(event="$ai_span"))).status_code == 404
    assert post(client, path=AI_PATH).status_code == 404
    assert results(post(client)) == [("ok", None)]


def test_a_fault_without_a_path_is_for_the_lane_too(emulator: Emulator, client: httpx2.Client, batch: Build) -> None:
    emulator.fault(status=503)
    assert client.post(PATH, json=batch()).text == "transient error, please retry"
