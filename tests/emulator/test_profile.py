"""What `/flags` knows of people and groups: what events said of them, over real HTTP, and how much is kept."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from hogbox.emulator import Emulator
from hogbox.emulator.profile import Profiles
from hogbox.emulator.record import ReceivedEvent
from tests.emulator.conftest import Build
from tests.emulator.flag_case import definitions, flag, where

IN_COMPANY = where("seats", 12, kind="group", group_type_index=0)
FLAGS = definitions(
    flag("team", where("plan", "team")),
    flag("unset", where("plan", None, "is_not_set")),
    flag("big", IN_COMPANY, filters={"aggregation_group_type_index": 0}),
)


@pytest.fixture(autouse=True)
def flags(emulator: Emulator) -> None:
    emulator.set_flags(FLAGS)


def values(client: httpx2.Client, query: str = "v=2", /, **fields: Any) -> dict[str, bool]:
    answer = client.post(f"/flags/?{query}", json={"token": "phc_t", "distinct_id": "u1", **fields}).json()
    assert answer["errorsWhileComputingFlags"] is False
    return {key: detail["enabled"] for key, detail in answer["flags"].items()}


KNOWN: dict[str, tuple[list[dict[str, Any]], bool]] = {
    "nothing": ([], False),
    "$identify": ([{"event": "$identify", "$set": {"plan": "team"}}], True),
    "$set among the properties": ([{"properties": {"$set": {"plan": "team"}}}], True),
    "the root wins": ([{"properties": {"$set": {"plan": "free"}}, "$set": {"plan": "team"}}], True),
    "$set_once": ([{"$set_once": {"plan": "team"}}], True),
    "$set_once among the properties": ([{"properties": {"$set_once": {"plan": "team"}}}], True),
    "$set_once comes too late": ([{"$set": {"plan": "free"}}, {"$set_once": {"plan": "team"}}], False),
    "$set overrides": ([{"$set": {"plan": "free"}}, {"$set": {"plan": "team"}}], True),
    "$unset": ([{"$set": {"plan": "team"}}, {"properties": {"$unset": ["plan", "other"]}}], False),
    "of another person": ([{"distinct_id": "u2", "$set": {"plan": "team"}}], False),
    "a personless event": ([{"$set": {"plan": "team"}, "properties": {"$process_person_profile": False}}], False),
    "nonsense": ([{"properties": {"$set": ["plan"], "$unset": "plan"}}], False),
    "what was known before $identify": (
        [
            {"distinct_id": "anonymous", "$set": {"plan": "team"}},
            {"event": "$identify", "properties": {"$anon_distinct_id": "anonymous"}},
        ],
        True,
    ),
    "what an alias says later": (
        [
            {"event": "$create_alias", "properties": {"alias": "u2"}},
            {"event": "$create_alias", "properties": {"alias": "u2"}},
            {"distinct_id": "u2", "$set": {"plan": "team"}},
        ],
        True,
    ),
    "the identified person's own stays": (
        [
            {"$set": {"plan": "team"}},
            {"distinct_id": "anonymous", "$set": {"plan": "free"}},
            {"event": "$identify", "properties": {"$anon_distinct_id": "anonymous"}},
        ],
        True,
    ),
    "an alias of oneself, or of nobody": (
        [
            {"event": "$create_alias", "properties": {"alias": "u1"}},
            {"event": "$create_alias", "properties": {"alias": " "}},
            {"event": "$create_alias", "properties": {"alias": 5}},
        ],
        False,
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_what_events_say_of_a_person(client: httpx2.Client, batch: Build, event: Build, name: str) -> None:
    events, known = KNOWN[name]
    for fields in events:
        assert client.post("/batch/", json=batch(event(**fields))).status_code == 200
    found = values(client)
    assert found["team"] is known
    if name in ("nothing", "$unset", "of another person"):
        assert found["unset"] is True


def test_what_the_request_says_wins(client: httpx2.Client, batch: Build, event: Build) -> None:
    client.post("/batch/", json=batch(event(**{"$set": {"plan": "team"}})))
    assert values(client)["team"] is True
    assert values(client, person_properties={"plan": "free"})["team"] is False
    assert values(client, person_properties={"other": 1})["team"] is True
    assert values(client, "v=2&only_use_override_person_properties=true")["team"] is False


def test_a_person_is_of_one_project(client: httpx2.Client, batch: Build, event: Build) -> None:
    client.post("/batch/", json=batch(event(**{"$set": {"plan": "team"}}), api_key="phc_other"))
    assert values(client)["team"] is False
    assert values(client, token="phc_other")["team"] is True


def test_what_events_say_of_a_group(client: httpx2.Client, batch: Build, event: Build) -> None:
    said = {"$group_type": "company", "$group_key": "c-19", "$group_set": {"seats": 12}}
    groups = {"groups": {"company": "c-19"}}
    client.post("/batch/", json=batch(event(event="$groupidentify", properties={**said, "$group_type": 5})))
    assert values(client, **groups)["big"] is False
    client.post("/batch/", json=batch(event(event="$groupidentify", properties=said)))
    assert values(client, **groups)["big"] is True
    assert values(client)["big"] is False
    assert values(client, groups={"company": "c-20"})["big"] is False
    assert values(client, **groups, group_properties={"company": {"seats": 3}})["big"] is False
    client.post("/batch/", json=batch(event(event="$groupidentify", properties={**said, "$group_set": {"x": 1}})))
    assert values(client, **groups)["big"] is True


def test_events_that_were_not_stored_say_nothing(
    emulator: Emulator, client: httpx2.Client, batch: Build, event: Build
) -> None:
    emulator.fault(status=503, times=1)
    client.post("/batch/", json=batch(event(**{"$set": {"plan": "team"}})))
    assert values(client)["team"] is False
    client.post("/batch/", json=batch(event(**{"$set": {"plan": "team"}})))
    assert values(client)["team"] is True
    emulator.reset()
    emulator.set_flags(FLAGS)
    assert values(client)["team"] is False


def said(distinct_id: str, event: str = "$set", /, **properties: Any) -> ReceivedEvent:
    return ReceivedEvent(
        request=1,
        arrived_at=0.0,
        path="/batch/",
        token="phc_t",
        uuid="",
        event=event,
        distinct_id=distinct_id,
        timestamp=None,
        time="",
        properties=properties,
    )


def test_the_profiles_that_changed_longest_ago_are_forgotten_first() -> None:
    profiles = Profiles(limit=1000)
    for number in range(10):
        profiles.learn(said("first", **{"$set": {"number": number}}))
        profiles.learn(said(f"u{number}", **{"$set": {"text": "x" * 100}}))
    assert profiles.person("phc_t", "first") == {"number": 9}
    assert profiles.person("phc_t", "u9") == {"text": "x" * 100}
    assert profiles.person("phc_t", "u0") == {}
    assert len(profiles) == 4


def test_a_profile_that_is_too_large_is_not_kept() -> None:
    profiles = Profiles(limit=1000)
    profiles.learn(said("u1", **{"$set": {"text": "x" * 2000}}))
    assert (len(profiles), profiles.person("phc_t", "u1")) == (0, {})
    profiles.learn(said("u1", **{"$set": {"plan": "team"}}))
    assert profiles.person("phc_t", "u1") == {"plan": "team"}


def test_many_distinct_ids_of_one_person_are_bounded_too() -> None:
    profiles = Profiles(limit=10_000)
    for number in range(1000):
        profiles.learn(said("u1", "$identify", **{"$anon_distinct_id": f"a{number}", "$set": {"n": number}}))
        profiles.learn(said(f"b{number}", "$create_alias", alias=f"c{number}"))
    assert profiles.person("phc_t", "b999") == {}
    assert len(profiles._by_key) < 100
    profiles.learn(said("u1", "$identify", **{"$anon_distinct_id": "a", "$set": {"n": 5}}))
    assert profiles.person("phc_t", "a") == {"n": 5}
