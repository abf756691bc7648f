"""The official client takes the emulator for PostHog: it polls, decides locally and asks where it cannot."""

from __future__ import annotations

from collections.abc import Iterator

import posthog
import pytest

from hogbox.emulator import Emulator
from tests.emulator.flag_case import definitions, flag, on, where

HALF = {"properties": [], "rollout_percentage": 50}
FLAGS = definitions(
    flag("team", where("plan", "team"), filters={"payloads": {"true": '{"limit": 5}'}}),
    flag("dependent", on("team")),
    flag("continuous", HALF, ensure_experience_continuity=True),
)
TEAM = {"plan": "team"}


@pytest.fixture
def official(emulator: Emulator) -> Iterator[posthog.Posthog]:
    emulator.set_flags(FLAGS)
    client = posthog.Posthog("phc_t", host=emulator.url, secret_key="phs_secret", poll_interval=3600, sync_mode=True)
    yield client
    client.shutdown()


def test_it_polls_and_decides_locally(emulator: Emulator, official: posthog.Posthog) -> None:
    emulator.set_flags(definitions(*FLAGS["flags"][:2]))
    official.load_feature_flags()  # type: ignore[no-untyped-call]
    assert official.evaluate_flags("u1", person_properties=TEAM).get_flag("dependent") is True
    assert official.evaluate_flags("u1", person_properties={"plan": "free"}).get_flag("dependent") is False
    official.load_feature_flags()  # type: ignore[no-untyped-call]
    assert emulator.summary()["definitions"]["304"] >= 1
    assert emulator.summary()["flags"] == {}


def test_it_asks_where_it_cannot_decide(emulator: Emulator, official: posthog.Posthog) -> None:
    people = [official.evaluate_flags(f"u{number}") for number in range(20)]
    assert {flags.get_flag("continuous") for flags in people} == {True, False}
    assert people[1].get_flag("team") is False
    official.set(distinct_id="u1", properties=TEAM)
    known = official.evaluate_flags("u1")
    assert (known.get_flag("team"), known.get_flag_payload("team")) == (True, {"limit": 5})
    assert emulator.summary()["flags"] == {"200": 21}


@pytest.mark.parametrize(
    ("mode", "compression", "paths"),
    [
        ("v0", "none", ["/batch/", "/i/v0/ai/batch/"]),
        ("v1", "none", ["/i/v1/analytics/events", "/i/v0/ai/batch/"]),
        ("v1", "gzip", ["/i/v1/analytics/events", "/i/v0/ai/batch/"]),
        ("v1", "deflate", ["/i/v1/analytics/events", "/i/v0/ai/batch/"]),
        ("v1", "zstd", ["/i/v1/analytics/events", "/i/v0/ai/batch/"]),
    ],
)
def test_it_sends_events(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, mode: str, compression: str, paths: list[str]
) -> None:
    monkeypatch.setenv("POSTHOG_CAPTURE_MODE", mode)
    monkeypatch.setenv("POSTHOG_CAPTURE_COMPRESSION", compression)
    refused: list[Exception] = []
    client = posthog.Posthog("phc_t", host=emulator.url, on_error=lambda error, _: refused.append(error))
    emulator.result(event="no", result="drop")
    client.capture("paid", distinct_id="u1", properties={"total": 41.5, "$process_person_profile": False})
    client.capture("no", distinct_id="u1")
    client.capture_ai("$ai_span", distinct_id="u1")
    client.shutdown()
    requests = emulator.requests()
    assert [(request.path, request.status) for request in requests] == [(path, 200) for path in paths]
    assert requests[0].headers.get("content-encoding", "none") == compression
    paid = emulator.events()[0]
    assert (paid.properties["total"], paid.properties["$lib"]) == (41.5, "posthog-python")
    assert paid.properties["$process_person_profile"] is False
    stored = [event.event for event in emulator.events()]
    assert stored == (["paid", "no", "$ai_span"] if mode == "v0" else ["paid", "$ai_span"])
    assert len(refused) == (mode == "v1")


@pytest.mark.parametrize("typed", [True, False])
def test_it_reads_rules_flags(emulator: Emulator, official: posthog.Posthog, typed: bool) -> None:
    rules = {"version": 2, "return_type": "object", "default_value": {"seats": 40}, "rules": []}
    emulator.set_flags(definitions({"id": 5, "key": "limits", "active": True, "filters": rules}))
    emulator.configure(typed_records=typed)
    flags = official.evaluate_flags("u1")
    assert (flags.get_flag("limits"), flags.get_flag_payload("limits")) == (True, {"seats": 40})
    called = [event for event in emulator.events() if event.event == "$feature_flag_called"]
    assert [event.properties.get("$feature_flag_config_version") for event in called] == [2 if typed else None]
