"""The control API under `/_emulator/`."""

from __future__ import annotations

import gzip
import json
from typing import Any

import httpx2
import pytest

from hogbox.emulator import Emulator
from hogbox.emulator.setting import Limits
from tests.emulator.conftest import Build
from tests.emulator.flag_case import definitions, flag

UUIDS = [f"01990f6a-3c4e-7b51-9a55-0d2a6f0b7c{number:02x}" for number in range(4)]

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def sent(client: httpx2.Client, batch: Build, event: Build) -> None:
    """Three events of two people, the last of them twice."""
    first = event(uuid=UUIDS[0], timestamp="2026-03-04T10:00:00Z")
    second = event(uuid=UUIDS[1], event="left", distinct_id="u2")
    third = event(uuid=UUIDS[2], distinct_id="u2")
    client.post("/batch/", json=batch(first, second))
    client.post("/e/", json=batch(third, api_key="phc_other"))
    client.post("/e/", json=batch(third, api_key="phc_other"))


def get(client: httpx2.Client, control: str, /, **parameters: Any) -> Any:
    answer = client.get(f"/_emulator/{control}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize(
    ("parameters", "sequences"),
    [
        ({}, [1, 2, 3, 4]),
        ({"event": "left"}, [2]),
        ({"distinct_id": "u2"}, [2, 3, 4]),
        ({"distinct_id": "u2", "event": "paid"}, [3, 4]),
        ({"uuid": UUIDS[2]}, [3, 4]),
        ({"token": "phc_other"}, [3, 4]),
        ({"since": 2}, [3, 4]),
        ({"limit": 2}, [1, 2]),
        ({"limit": 0}, []),
        ({"unique": "true"}, [1, 2, 3]),
        ({"unique": "true", "since": 2, "limit": 5}, [3]),
        ({"distinct_id": "nobody"}, []),
    ],
)
def test_events_are_filtered(client: httpx2.Client, parameters: dict[str, Any], sequences: list[int]) -> None:
    found = get(client, "events", **parameters)
    assert [event["sequence"] for event in found["events"]] == sequences
    assert found["forgotten"] == 0


@pytest.mark.usefixtures("sent")
def test_events_have_everything_or_the_fields_asked_for(client: httpx2.Client) -> None:
    [event] = get(client, "events", limit=1)["events"]
    assert event.pop("arrived_at") > 1_700_000_000
    assert event == {
        "sequence": 1,
        "request": 1,
        "path": "/batch/",
        "token": "phc_t",
        "uuid": UUIDS[0],
        "event": "paid",
        "distinct_id": "u1",
        "timestamp": "2026-03-04T10:00:00Z",
        "time": "2026-03-04T10:00:00+00:00",
        "properties": {},
        "set": None,
        "set_once": None,
        "historical_migration": False,
        "sent_at": None,
        "person_processing": True,
    }
    assert get(client, "events", limit=1, fields="uuid, distinct_id")["events"] == [
        {"uuid": UUIDS[0], "distinct_id": "u1"}
    ]
    assert get(client, "events", limit=1, fields="event")["events"] == [{"event": "paid"}]


@pytest.mark.usefixtures("sent")
def test_the_summary_counts(client: httpx2.Client) -> None:
    client.post("/batch/", content=b"{")
    client.get("/nowhere")
    assert get(client, "summary") == {
        "requests": 5,
        "in_flight": 0,
        "events": 4,
        "unique_events": 3,
        "statuses": {"200": 3, "400": 1, "404": 1},
        "definitions": {},
        "flags": {},
        "connections_dropped": 0,
        "faults_fired": 0,
        "events_forgotten": 0,
        "requests_forgotten": 0,
    }


def test_requests_are_remembered(client: httpx2.Client, batch: Build) -> None:
    body = gzip.compress(json.dumps(batch()).encode())
    client.post("/batch/?ver=1", content=body, headers={"Content-Encoding": "gzip", "X-Other": "1"})
    client.post("/e/", content=b"{")
    batched, broken = get(client, "requests")["requests"]
    assert batched.pop("headers").items() >= {"content-encoding": "gzip"}.items()
    assert batched.pop("arrived_at") > 1_700_000_000
    assert batched == {
        "sequence": 1,
        "method": "POST",
        "path": "/batch/",
        "query": "ver=1",
        "body_size": len(body),
        "token": "phc_t",
        "events": 1,
        "status": 200,
        "dropped": False,
        "fault": None,
        "error": None,
        "body": None,
    }
    assert (broken["status"], broken["events"]) == (400, 0)
    assert broken["error"].startswith("failed to parse request: ")
    assert "x-other" not in broken["headers"]
    assert get(client, "requests", path="/batch")["requests"][0]["sequence"] == 1
    assert get(client, "requests", since=1, limit=1)["requests"] == [broken]


def test_bodies_are_kept_decompressed_and_cut_where_asked_for(client: httpx2.Client, batch: Build) -> None:
    client.patch("/_emulator/settings", json={"keep_bodies": 9})
    text = json.dumps(batch())
    client.post("/batch/", content=gzip.compress(text.encode()))
    client.post("/batch/", content='{"é": "é", "a"}')
    bodies = [request["body"] for request in get(client, "requests")["requests"]]
    assert bodies == [text[:9], '{"é": "']


def test_settings_are_read_changed_and_replaced(client: httpx2.Client) -> None:
    fresh = get(client, "settings")
    assert fresh == {
        "known_tokens": None,
        "quota": [],
        "secret_keys": None,
        "definitions_per_minute": 600,
        "capture_v1": True,
        "ai_lane": True,
        "cold_cache": False,
        "mixed_feed": True,
        "remote_config_per_minute": 600,
        "typed_records": True,
        "flags_rate_limit": "off",
        "flags_burst": 625,
        "failed_flags": [],
        "flag_errors": False,
        "clock_offset": 0.0,
        "body_timeout": 30.0,
        "keep_bodies": 0,
    }
    changed = client.patch("/_emulator/settings", json={"quota": ["exceptions"]})
    assert changed.json() == {**fresh, "quota": ["exceptions"]}
    assert client.patch("/_emulator/settings", json={"clock_offset": 5}).json()["quota"] == ["exceptions"]
    assert client.put("/_emulator/settings", json={"clock_offset": 5}).json()["quota"] == []
    client.post("/_emulator/reset")
    assert get(client, "settings") == fresh


def test_faults_are_added_listed_and_removed(client: httpx2.Client) -> None:
    added = client.post("/_emulator/faults", json={"status": 500, "times": 2})
    assert (added.status_code, added.json()["id"], added.json()["fired"]) == (201, 1, 0)
    client.post("/_emulator/faults", json={"drop": "before"})
    assert [fault["id"] for fault in get(client, "faults")["faults"]] == [1, 2]
    assert client.delete("/_emulator/faults/1").status_code == 204
    gone = client.delete("/_emulator/faults/1")
    assert (gone.status_code, gone.json()["error"]) == (
        404,
        "there is no fault 1: GET /_emulator/faults lists them",
    )
    assert client.delete("/_emulator/faults").json() == {"faults": []}


def test_flags_are_set_told_and_removed(emulator: Emulator, client: httpx2.Client) -> None:
    nothing = {"definitions": None, "etag": None, "file": None, "problem": None}
    assert get(client, "flags") == nothing
    sent = definitions(flag("new-ui"))
    put = client.put("/_emulator/flags", json=sent)
    assert (put.status_code, put.json()) == (200, get(client, "flags"))
    assert put.json() == {**nothing, "definitions": sent, "etag": put.json()["etag"]}
    assert client.put("/_emulator/flags", content=b"{", headers=JSON).status_code == 400
    assert emulator.flags() == sent
    assert client.delete("/_emulator/flags").json() == nothing
    assert emulator.flags() is None
    client.put("/_emulator/flags", json={"flags": []})
    assert get(client, "flags")["definitions"] == {"flags": [], "group_type_mapping": {}, "cohorts": {}}
    client.post("/_emulator/reset")
    assert get(client, "flags") == nothing


@pytest.mark.usefixtures("sent")
def test_a_reset_forgets_everything(client: httpx2.Client, batch: Build) -> None:
    client.post("/_emulator/faults", json={"status": 500})
    assert client.post("/_emulator/reset").json()["events"] == 0
    assert get(client, "events")["events"] == get(client, "requests")["requests"] == []
    assert client.post("/batch/", json=batch()).status_code == 200
    assert get(client, "events")["events"][0]["sequence"] == 1


@pytest.mark.parametrize(
    ("method", "path", "content", "advice"),
    [
        ("GET", "events?colour=red", None, "unknown field `colour`"),
        ("GET", "events?since=yesterday", None, "Expected `int`"),
        ("GET", "events?limit=-1", None, ">= 0"),
        (
            "GET",
            "events?fields=uuid,colour",
            None,
            "no field 'colour': choose `fields` from sequence, request",
        ),
        ("GET", "requests?event=paid", None, "unknown field `event`"),
        ("PUT", "flags", b"", "these flags cannot be served: the flag definitions are not JSON"),
        ("PUT", "flags", b'{"definitions": {"flags": []}}', "`flags` in the flag definitions is a list"),
        ("PUT", "flags", b'{"flags": [{"key": "a"}, {}]}', "flags[1] has no key"),
        ("POST", "faults", b"{", "send a JSON object"),
        ("POST", "faults", b"[]", "send a JSON object"),
        ("POST", "faults", b"\xff", "send a JSON object"),
        ("PATCH", "settings", b'{"colour": 1}', "unknown field `colour`"),
        ("PATCH", "settings", b'{"quota": ["all"]}', "Invalid enum value 'all'"),
        ("PATCH", "settings", b'{"body_timeout": 0}', "> 0"),
    ],
)
def test_bad_input_is_refused_with_advice(
    client: httpx2.Client, method: str, path: str, content: bytes | None, advice: str
) -> None:
    answer = client.request(method, f"/_emulator/{path}", content=content, headers=JSON)
    assert answer.status_code == 400
    assert advice in answer.json()["error"]


def test_the_controls_are_listed(client: httpx2.Client) -> None:
    assert "POST /_emulator/reset" in get(client, "")
    assert client.get("/_emulator").headers["location"].endswith("/_emulator/")
    lost = client.get("/_emulator/evnts")
    assert lost.status_code == 404
    assert lost.json()["error"] == "no such control: /_emulator/evnts"


def test_only_the_newest_are_kept_and_the_rest_is_counted(batch: Build, event: Build) -> None:
    limits = Limits(kept_events=3, kept_requests=2)
    with Emulator(limits=limits) as emulator, httpx2.Client(base_url=emulator.url) as client:
        for number in range(5):
            client.post("/batch/", json=batch(event(distinct_id=f"u{number}")))
        found = get(client, "events")
        assert [event["sequence"] for event in found["events"]] == [3, 4, 5]
        assert found["forgotten"] == 2
        assert [request.sequence for request in emulator.requests()] == [4, 5]
        summary = emulator.summary()
        assert (summary["events"], summary["events_forgotten"], summary["requests_forgotten"]) == (5, 2, 3)


def test_kept_bodies_are_bounded_together(batch: Build) -> None:
    with (
        Emulator(limits=Limits(kept_body_bytes=25)) as emulator,
        httpx2.Client(base_url=emulator.url) as client,
    ):
        emulator.configure(keep_bodies=10)
        for _ in range(4):
            client.post("/batch/", json=batch())
        assert [request.body is None for request in emulator.requests()] == [True, True, False, False]


def test_50_000_events_are_fetched_quickly(
    emulator: Emulator, client: httpx2.Client, batch: Build, event: Build
) -> None:
    for number in range(10):
        events = [event(distinct_id=f"u{number}-{index}") for index in range(5_000)]
        assert client.post("/batch/", json=batch(*events)).status_code == 200
    answer = client.get("/_emulator/events", params={"fields": "uuid,distinct_id,timestamp"})
    assert len(answer.json()["events"]) == len({event["uuid"] for event in answer.json()["events"]}) == 50_000
    assert answer.elapsed.total_seconds() < 5
