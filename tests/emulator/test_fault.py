"""Faults: what meets which request, and what the client sees of it."""

from __future__ import annotations

import threading
from random import Random
from typing import Any

import httpx2
import pytest

from hogbox.emulator import Emulator, Fault
from hogbox.emulator.fault import Faults
from hogbox.errors import UsageError
from tests.emulator.conftest import Build


def test_a_status_answers_in_posthogs_place(emulator: Emulator, client: httpx2.Client, batch: Build) -> None:
    emulator.fault(status=503, headers={"Retry-After": "3"}, body="busy")
    answer = client.post("/batch/", json=batch())
    assert (answer.status_code, answer.text, answer.headers["retry-after"]) == (503, "busy", "3")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert emulator.events() == []


def test_a_json_body_and_a_content_type_of_ones_own(emulator: Emulator, client: httpx2.Client, batch: Build) -> None:
    emulator.fault(status=402, body={"quota_limited": ["events"]}, times=1)
    emulator.fault(status=500, body="<p>", headers={"Content-Type": "text/html"}, times=1)
    emulator.fault(status=204, body="ignored")
    answer = client.post("/batch/", json=batch())
    assert (answer.json(), answer.headers["content-type"]) == (
        {"quota_limited": ["events"]},
        "application/json",
    )
    assert client.post("/batch/", json=batch()).headers["content-type"] == "text/html"
    assert client.post("/batch/", json=batch()).content == b""


def test_a_status_with_store_answers_after_storing(emulator: Emulator, client: httpx2.Client, batch: Build) -> None:
    emulator.fault(status=500, store=True)
    assert client.post("/batch/", json=batch()).status_code == 500
    assert len(emulator.events()) == 1


@pytest.mark.parametrize(("drop", "stored"), [("before", 0), ("after", 1)])
def test_a_dropped_connection_brings_no_answer(
    emulator: Emulator, client: httpx2.Client, batch: Build, drop: str, stored: int
) -> None:
    emulator.fault(drop=drop, times=1)
    with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
        client.post("/batch/", json=batch())
    assert len(emulator.events()) == stored
    [request] = emulator.requests()
    assert (request.status, request.dropped, request.fault) == (None, True, 1)
    assert client.post("/batch/", json=batch()).status_code == 200
    assert emulator.summary()["connections_dropped"] == 1


def test_a_delay_processes_normally_and_blocks_nobody(
    emulator: Emulator, client: httpx2.Client, batch: Build, event: Build
) -> None:
    emulator.fault(delay=0.5, distinct_id="slow")
    answers: list[int] = []

    def post_slowly() -> None:
        answers.append(httpx2.post(f"{emulator.url}/batch/", json=batch(event(distinct_id="slow"))).status_code)

    slow = threading.Thread(target=post_slowly)
    slow.start()
    emulator.wait_for(lambda emulator: emulator.faults()[0].fired == 1)
    client.post("/batch/", json=batch(event(distinct_id="quick")))
    slow.join()
    assert answers == [200]
    assert [stored.distinct_id for stored in emulator.events()] == ["quick", "slow"]


def test_a_client_that_gives_up_on_a_delay_is_processed_all_the_same(
    emulator: Emulator, client: httpx2.Client, batch: Build
) -> None:
    emulator.fault(delay=0.1)
    with pytest.raises(httpx2.ReadTimeout):
        client.post("/batch/", json=batch(), timeout=0.02)
    assert len(emulator.wait_for_events(1)) == 1


def test_a_delay_goes_with_a_drop(emulator: Emulator, client: httpx2.Client, batch: Build) -> None:
    emulator.fault(delay=0.01, drop="after")
    with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
        client.post("/batch/", json=batch())
    assert len(emulator.events()) == 1


def test_faults_come_in_the_order_of_their_adding_and_run_out(
    emulator: Emulator, client: httpx2.Client, batch: Build
) -> None:
    emulator.fault(status=503, times=2)
    emulator.fault(status=500, times=1)
    assert [client.post("/batch/", json=batch()).status_code for _ in range(4)] == [503, 503, 500, 200]
    assert [fault.fired for fault in emulator.faults()] == [2, 1]
    assert emulator.summary()["faults_fired"] == 3


def test_a_poison_event_fails_every_batch_that_holds_it(
    emulator: Emulator, client: httpx2.Client, batch: Build, event: Build
) -> None:
    emulator.fault(status=400, distinct_id="poison")
    poison = event(distinct_id="poison")
    assert client.post("/batch/", json=batch(event(), poison)).status_code == 400
    assert client.post("/batch/", json=batch(poison)).status_code == 400
    assert client.post("/batch/", json=batch(event())).status_code == 200


def test_capture_faults_leave_other_paths_alone(emulator: Emulator, client: httpx2.Client, batch: Build) -> None:
    emulator.fault(status=503)
    assert client.get("/_liveness").status_code == 200
    emulator.fault(status=500, path="/")
    assert client.get("/_liveness").status_code == 500
    assert client.get("/_emulator/summary").status_code == 200


@pytest.mark.parametrize(
    ("fault", "path", "met"),
    [
        (Fault(status=500), "/batch/", True),
        (Fault(status=500), "/flags/", False),
        (Fault(status=500, path="/batch"), "/batch/", True),
        (Fault(status=500, path="/batch/"), "/batch", True),
        (Fault(status=500, path="/e"), "/engage", False),
        (Fault(status=500, path="/flags"), "/flags/definitions", True),
        (Fault(status=500, path="/"), "/anything", True),
        (Fault(status=500, method="POST"), "/batch/", True),
        (Fault(status=500, method="GET"), "/batch/", False),
        (Fault(status=500, rate=0.0), "/batch/", False),
        (Fault(status=500, rate=1.0), "/batch/", True),
        (Fault(status=500, token="phc_t"), "/batch/", True),
        (Fault(status=500, token="phc_other"), "/batch/", False),
        (Fault(status=500, event="paid"), "/batch/", False),
    ],
)
def test_which_requests_a_fault_meets(fault: Fault, path: str, met: bool) -> None:
    faults = Faults(Random(1))
    faults.add(fault)
    chosen = faults.choose(path, is_capture=path.startswith("/batch"), token="phc_t", events=())
    assert (chosen is not None) is met


def test_a_rate_is_reproducible() -> None:
    def met() -> list[bool]:
        faults = Faults(Random(42))
        faults.add(Fault(status=500, rate=0.3, times=20))
        return [faults.choose("/batch", is_capture=True, token=None, events=()) is not None for _ in range(200)]

    assert met() == met()
    assert sum(met()) == 20


@pytest.mark.parametrize(
    ("fields", "advice"),
    [
        ({}, "needs `status`, `drop` or `delay`"),
        ({"status": 500, "drop": "before"}, "not both"),
        ({"delay": 1, "body": "x"}, "need a `status`"),
        ({"status": 500, "path": "batch"}, "begin with a slash"),
        ({"status": 500, "method": "post"}, "must be in capitals"),
        ({"status": 500, "path": "/_emulator/reset"}, "choose another `path`"),
        ({"status": 500, "headers": {"X-A": "1\r\nX-B: 2"}}, "printable ASCII"),
        ({"status": 500, "headers": {"X A": "1"}}, "printable ASCII"),
        ({"status": 99}, ">= 200"),
        ({"status": 600}, "<= 599"),
        ({"status": "500"}, "Expected `int | null`"),
        ({"status": 500, "rate": 2}, "<= 1"),
        ({"status": 500, "times": 0}, ">= 1"),
        ({"delay": -1}, ">= 0"),
        ({"drop": "during"}, "Invalid enum value 'during'"),
        ({"status": 500, "colour": "red"}, "unknown field `colour`"),
        ({"status": 500, "id": 3}, "leave it out"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(
    emulator: Emulator, client: httpx2.Client, fields: dict[str, Any], advice: str
) -> None:
    answer = client.post("/_emulator/faults", json=fields)
    assert answer.status_code == 400
    assert advice in answer.json()["error"]
    with pytest.raises(UsageError, match="is invalid"):
        emulator.fault(**fields)
    assert emulator.faults() == []
