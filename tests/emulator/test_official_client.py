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
