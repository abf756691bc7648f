"""`Emulator`: the Python face, from starting to leaving nothing behind."""

from __future__ import annotations

import socket
import threading

import httpx2
import pytest

from hogbox.emulator import Emulator, Settings
from hogbox.errors import UsageError
from tests.emulator.conftest import Build


def test_it_listens_on_loopback_on_a_free_port() -> None:
    with Emulator() as emulator:
        assert emulator.url == f"http://127.0.0.1:{emulator.port}"
        assert emulator.port > 0
        assert httpx2.get(emulator.url).status_code == 200
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(emulator.url)


def test_it_listens_on_ipv6() -> None:
    with Emulator(host="::1") as emulator:
        assert emulator.url == f"http://[::1]:{emulator.port}"
        assert httpx2.get(emulator.url).status_code == 200


def test_it_stops_with_requests_in_flight_and_leaves_no_thread(batch: Build) -> None:
    threads = threading.active_count()
    broken: list[Exception] = []
    emulator = Emulator().start()
    emulator.fault(delay=60)

    def post() -> None:
        try:
            httpx2.post(f"{emulator.url}/batch/", json=batch())
        except httpx2.HTTPError as error:
            broken.append(error)

    poster = threading.Thread(target=post)
    poster.start()
    emulator.wait_for(lambda emulator: emulator.faults()[0].fired == 1)
    emulator.stop()
    poster.join()
    assert len(broken) == 1
    assert threading.active_count() == threads
    emulator.stop()


def test_it_starts_once_and_answers_only_while_it_runs() -> None:
    emulator = Emulator()
    with pytest.raises(UsageError, match="not running"):
        emulator.events()
    with emulator, pytest.raises(UsageError, match="already running"):
        emulator.start()
    with pytest.raises(UsageError, match="not running"):
        emulator.reset()


def test_a_taken_port_fails_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        Emulator(port=taken.getsockname()[1]).start()


def test_events_are_filtered_and_unique(emulator: Emulator, client: httpx2.Client, batch: Build, event: Build) -> None:
    repeated = event(uuid="01990f6a-3c4e-7b51-9a55-0d2a6f0b7c11", timestamp="2026-03-04T10:00:00Z")
    for _ in range(2):
        client.post("/batch/", json=batch(repeated, event(distinct_id="u2")))
    assert len(emulator.events()) == 4
    assert [event.sequence for event in emulator.events(unique=True)] == [1, 2, 4]
    assert [event.sequence for event in emulator.events(distinct_id="u2", since=2, limit=1)] == [4]
    assert [request.events for request in emulator.requests(path="/batch")] == [2, 2]


def test_waiting_for_events(emulator: Emulator, batch: Build, event: Build) -> None:
    def post() -> None:
        for number in range(3):
            httpx2.post(f"{emulator.url}/batch/", json=batch(event(distinct_id=f"u{number}")))

    poster = threading.Thread(target=post)
    poster.start()
    assert [event.distinct_id for event in emulator.wait_for_events(3)] == ["u0", "u1", "u2"]
    poster.join()
    with pytest.raises(TimeoutError, match="was not met"):
        emulator.wait_for_events(4, timeout=0.01)


def test_settings_that_cannot_be_are_refused(emulator: Emulator) -> None:
    with pytest.raises(UsageError, match="unknown field `colour`"):
        emulator.configure(colour="red")
    assert emulator.configure() == Settings()


def test_faults_can_be_cleared(emulator: Emulator) -> None:
    emulator.fault(status=500)
    emulator.clear_faults()
    assert emulator.faults() == []


def test_a_reset_forgets_requests_that_are_still_being_answered(
    emulator: Emulator, client: httpx2.Client, batch: Build
) -> None:
    emulator.fault(delay=0.1)
    with pytest.raises(httpx2.ReadTimeout):
        client.post("/batch/", json=batch(), timeout=0.02)
    emulator.wait_for(lambda emulator: emulator.faults()[0].fired == 1)
    emulator.reset()
    emulator.fault(delay=0.15)
    client.post("/batch/", json=batch())
    assert (emulator.summary()["events"], emulator.summary()["statuses"]) == (1, {"200": 1})
