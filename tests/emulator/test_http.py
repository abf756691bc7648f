"""Capture over real HTTP: the routes, the answers (wire protocol 3.2, 3.3), the sizes on the wire."""

from __future__ import annotations

import gzip
import json
import socket
import time
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
import pytest

from hogbox.emulator import Emulator, Settings
from tests.emulator.conftest import Build

ROUTES = ["/batch", "/i/v0/e", "/e", "/capture", "/track", "/engage"]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("route", ROUTES)
def test_every_capture_route_takes_a_batch(
    emulator: Emulator, client: httpx2.Client, batch: Build, route: str, slash: str
) -> None:
    answer = client.post(route + slash, json=batch())
    assert (answer.status_code, answer.json()) == (200, {"status": "Ok"})
    assert answer.headers["content-type"] == "application/json"
    assert [event.path for event in emulator.events()] == [route + slash]


@pytest.mark.parametrize("route", ROUTES)
def test_every_capture_route_takes_options_get_and_beacons(
    emulator: Emulator, client: httpx2.Client, batch: Build, route: str
) -> None:
    data = json.dumps(batch())
    assert client.options(route).json() == {"status": "Ok"}
    assert client.get(route, params={"data": data}).json() == {"status": "Ok"}
    beacon = client.post(route, params={"beacon": "1"}, content=data)
    assert (beacon.status_code, beacon.content) == (204, b"")
    assert client.put(route, content=data).status_code == 405
    assert emulator.summary()["events"] == 2


def test_a_gzipped_batch_arrives(emulator: Emulator, client: httpx2.Client, batch: Build) -> None:
    body = gzip.compress(json.dumps(batch()).encode())
    assert client.post("/batch/", content=body, headers={"Content-Encoding": "gzip"}).status_code == 200
    assert emulator.summary()["events"] == 1


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/_readiness", 200), ("/_liveness", 200), ("/flags2", 404)])
def test_other_paths(client: httpx2.Client, path: str, status: int) -> None:
    assert client.get(path).status_code == status


@pytest.mark.parametrize("path", ["/", "/_readiness", "/_liveness"])
def test_the_status_is_only_read(client: httpx2.Client, path: str) -> None:
    assert client.head(path).status_code == 200
    assert client.post(path).status_code == 405


@pytest.mark.parametrize("offset", [0, -86_400 * 365])
def test_every_answer_has_the_servers_date(emulator: Emulator, client: httpx2.Client, offset: int) -> None:
    emulator.configure(clock_offset=offset)
    for answer in (client.get("/"), client.post("/batch/"), client.get("/flags/definitions"), client.get("/nowhere")):
        [date] = answer.headers.get_list("date")
        assert abs(parsedate_to_datetime(date).timestamp() - offset - time.time()) < 60


def test_one_bad_event_rejects_the_whole_batch(
    emulator: Emulator, client: httpx2.Client, batch: Build, event: Build
) -> None:
    answer = client.post("/batch/", json=batch(event(), event(distinct_id=...), event()))
    assert (answer.status_code, answer.text) == (400, "event submitted without a distinct_id")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert emulator.events() == []


TEXTS: dict[str, tuple[Any, int, str]] = {
    "decode": (b"\xff", 400, "failed to decode request: invalid UTF8 in request payload"),
    "empty batch": ({"api_key": "t", "batch": []}, 400, "request holds no event"),
    "no body": (b"", 400, "request missing data payload"),
    "no name": (
        {"api_key": "t", "event": "", "distinct_id": "u"},
        400,
        "event submitted with an empty event name",
    ),
    "no distinct id": ({"api_key": "t", "event": "e"}, 400, "event submitted without a distinct_id"),
    "cookieless": (
        {"api_key": "t", "event": "e", "distinct_id": "u", "properties": {"$cookieless_mode": 1}},
        400,
        "event submitted with invalid cookieless mode",
    ),
    "no key": ({"event": "e", "distinct_id": "u"}, 401, "event submitted without an api_key"),
    "two keys": (
        [{"api_key": "a", "event": "e"}, {"api_key": "b", "event": "e"}],
        401,
        "batch submitted with inconsistent api_key values",
    ),
    "bad key": ({"api_key": "phx_1", "event": "e"}, 401, "API key is not valid: personal_api_key"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_errors_are_plain_text(client: httpx2.Client, name: str) -> None:
    body, status, text = TEXTS[name]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post("/batch/", content=content)
    assert (answer.status_code, answer.text) == (status, text)


def test_json_that_does_not_fit_says_where(client: httpx2.Client, batch: Build, event: Build) -> None:
    answer = client.post("/batch/", json=batch(event(), event(timestamp=5)))
    assert answer.status_code == 400
    assert answer.text.startswith("failed to parse request: ")
    assert "$.batch[1].timestamp" in answer.text or "$[1].timestamp" in answer.text


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (408, "client stopped sending data"),
        (429, "rate limited"),
        (500, "internal server error: injected by the emulator"),
        (503, "transient error, please retry"),
        (413, "maximum event size exceeded: injected by the emulator"),
        (418, ""),
    ],
)
def test_errors_that_only_a_fault_can_bring_have_posthogs_text(
    emulator: Emulator, client: httpx2.Client, batch: Build, status: int, text: str
) -> None:
    emulator.fault(status=status)
    answer = client.post("/batch/", json=batch())
    assert (answer.status_code, answer.text) == (status, text)


def test_a_body_over_20_mib_is_413_and_the_connection_survives(
    emulator: Emulator, client: httpx2.Client, batch: Build, event: Build
) -> None:
    frame = len(json.dumps(batch(event(), filler="")))
    fits = json.dumps(batch(event(), filler="x" * (20 * 1024 * 1024 - frame)))
    assert len(fits) == 20 * 1024 * 1024
    answer = client.post("/batch/", content=fits + " ")
    assert answer.status_code == 413
    assert answer.text == "maximum event size exceeded: request body exceeds 20971520 bytes"
    assert client.post("/batch/", content=fits).status_code == 200


def test_a_body_over_100_mib_inflated_is_413(client: httpx2.Client) -> None:
    answer = client.post("/batch/", content=gzip.compress(b" " * (100 * 1024 * 1024 + 1), 1))
    assert answer.status_code == 413
    assert answer.text.startswith("maximum event size exceeded: Decompressed payload would exceed")


def test_an_event_too_large_is_413_after_its_predecessors_are_stored(
    emulator: Emulator, client: httpx2.Client, batch: Build, event: Build
) -> None:
    large = event(distinct_id="u2", properties={"x": "y" * 1_000_000})
    assert client.post("/batch/", json=batch(event(), large, event())).status_code == 413
    assert [stored.distinct_id for stored in emulator.events()] == ["u1"]


def test_a_client_that_stops_sending_gets_408(emulator: Emulator) -> None:
    emulator.configure(body_timeout=0.05)
    with socket.create_connection((emulator.host, emulator.port), timeout=10) as connection:
        connection.sendall(b"POST /batch/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_goes_away_is_remembered_without_an_answer(emulator: Emulator) -> None:
    with socket.create_connection((emulator.host, emulator.port)) as connection:
        connection.sendall(b"POST /batch/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        emulator.wait_for(lambda emulator: emulator.summary()["in_flight"] == 1)
    emulator.wait_for(lambda emulator: emulator.summary()["in_flight"] == 0)
    [request] = emulator.requests()
    assert (request.status, request.dropped, request.events) == (None, False, 0)


def test_quota_and_unknown_keys_are_switches(emulator: Emulator, client: httpx2.Client, batch: Build) -> None:
    assert emulator.configure(quota=["events"]) == Settings(quota=("events",))
    assert client.post("/batch/", json=batch()).json() == {"status": "Ok"}
    emulator.configure(quota=[], known_tokens=["phc_other"])
    answer = client.post("/batch/", json=batch())
    assert (answer.status_code, answer.text) == (401, "API key is not valid: unknown")
    assert emulator.events() == []


def test_the_servers_clock_can_be_wrong(emulator: Emulator, client: httpx2.Client, batch: Build, event: Build) -> None:
    emulator.configure(clock_offset=-86_400 * 365 * 30)
    client.post("/batch/", json=batch(event(timestamp="2026-03-04T10:00:00Z")))  # far ahead of that clock: now
    [stored] = emulator.events()
    assert stored.time < "2010"
    assert stored.arrived_at > 1_700_000_000
