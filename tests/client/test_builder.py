"""The events as they wait in the outbox (wire protocol, section 2)."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from hogbox import PostHog, __version__
from hogbox._events.identifier import shard_of
from hogbox.testing import CapturedEvents
from tests.client.conftest import TOKEN, Client, Only
from tests.fixtures.database import TestDatabase

LIBRARY = {"$lib": "hogbox", "$lib_version": __version__, "$is_server": True, "$geoip_disable": True}

Given = Callable[[], dict[str, Any]]


@pytest.fixture
def given(database: TestDatabase, captured_events: CapturedEvents) -> Given:
    """Reads the properties of the one event, without those of the machine and the library."""
    return lambda: captured_events.only(database.engine).given


def test_a_row_has_project_lane_shard_and_payload(posthog: PostHog, database: TestDatabase) -> None:
    posthog.capture(None, "paid", distinct_id="u1")
    (row,) = database.rows("posthog_outbox")
    assert (row["project"], row["lane"], row["shard"]) == (TOKEN, "analytics", shard_of(TOKEN, "u1"))


def test_capture(posthog: PostHog, only: Only, given: Given) -> None:
    uuid = posthog.capture(None, "paid", distinct_id="u1", properties={"total": 41.5, "plan": "pro"})
    event = only()
    assert list(event) == ["uuid", "event", "distinct_id", "timestamp", "properties"]
    assert (event["uuid"], event["event"], event["distinct_id"]) == (uuid, "paid", "u1")
    assert UUID(uuid).version == 7
    assert given() == {"total": 41.5, "plan": "pro"}
    assert LIBRARY.items() <= event["properties"].items()


def test_capture_says_on_which_machine(posthog: PostHog, only: Only) -> None:
    posthog.capture(None, "paid", distinct_id="u1")
    properties = only()["properties"]
    assert properties["$python_version"] == ".".join(map(str, sys.version_info[:3]))
    assert properties["$python_runtime"] == platform.python_implementation()
    assert properties["$os"]
    assert "" not in properties.values()


def test_capture_with_groups(posthog: PostHog, given: Given) -> None:
    posthog.capture(None, "paid", distinct_id="u1", groups={"company": "c-19", "seat": 7})
    assert given() == {"$groups": {"company": "c-19", "seat": "7"}}


@pytest.mark.parametrize("nothing", [None, {}])
def test_capture_without_groups_or_properties(posthog: PostHog, given: Given, nothing: Any) -> None:
    posthog.capture(None, "paid", distinct_id="u1", groups=nothing, properties=nothing)
    assert given() == {}


def test_person_properties_stay_inside_the_properties(posthog: PostHog, given: Given) -> None:
    properties = {"$set": {"plan": "team"}, "$set_once": {"first_plan": "free"}, "$session_id": "s1"}
    posthog.capture(None, "paid", distinct_id="u1", properties=properties)
    assert given() == properties


def test_what_the_library_says_of_itself_cannot_be_overwritten(posthog: PostHog, only: Only) -> None:
    posthog.capture(None, "paid", distinct_id="u1", properties={"$lib": "mine", "$is_server": False})
    assert LIBRARY.items() <= only()["properties"].items()


def test_what_the_caller_changes_later_does_not_change_the_event(posthog: PostHog, given: Given) -> None:
    basket = ["book"]
    properties: dict[str, Any] = {"basket": basket}
    posthog.capture(None, "paid", distinct_id="u1", properties=properties)
    basket.append("pen")
    properties["more"] = 1
    assert given() == {"basket": ["book"]}


def test_identify_sets_all_properties(posthog: PostHog, only: Only) -> None:
    uuid = posthog.identify(None, distinct_id="u1", properties={"plan": "team", "seats": 3})
    event = only()
    assert (event["uuid"], event["event"], event["distinct_id"]) == (uuid, "$identify", "u1")
    assert event["properties"] == {"$set": {"plan": "team", "seats": 3}, **LIBRARY}


def test_identify_with_parts(posthog: PostHog, only: Only) -> None:
    parts = {"$set": {"plan": "team"}, "$set_once": {"first_plan": "free"}, "$anon_distinct_id": "anon-51"}
    posthog.identify(None, distinct_id="u1", properties=parts)
    assert only()["properties"] == {**parts, **LIBRARY}


def test_identify_with_set_keeps_other_properties_beside_it(posthog: PostHog, only: Only) -> None:
    posthog.identify(None, distinct_id="u1", properties={"$set": {"plan": "team"}, "source": "form"})
    assert only()["properties"] == {"$set": {"plan": "team"}, "source": "form", **LIBRARY}


def test_identify_without_set_sets_what_is_no_part(posthog: PostHog, only: Only) -> None:
    posthog.identify(None, distinct_id="u1", properties={"plan": "team", "$set_once": {"first_plan": "free"}})
    assert only()["properties"] == {"$set": {"plan": "team"}, "$set_once": {"first_plan": "free"}, **LIBRARY}


def test_identify_without_properties(posthog: PostHog, only: Only) -> None:
    posthog.identify(None, distinct_id="u1")
    assert only()["properties"] == {"$set": {}, **LIBRARY}


def test_group_identify(posthog: PostHog, only: Only) -> None:
    posthog.group_identify(None, "company", "c-19", properties={"name": "Acme", "seats": 12})
    event = only()
    assert (event["event"], event["distinct_id"]) == ("$groupidentify", "$company_c-19")
    group = {"$group_type": "company", "$group_key": "c-19", "$group_set": {"name": "Acme", "seats": 12}}
    assert event["properties"] == {**group, **LIBRARY}


def test_group_identify_without_properties_sets_none(posthog: PostHog, only: Only) -> None:
    posthog.group_identify(None, "company", 19)
    assert only()["properties"] == {"$group_type": "company", "$group_key": "19", "$group_set": {}, **LIBRARY}


def test_group_identify_for_a_person(posthog: PostHog, only: Only) -> None:
    posthog.group_identify(None, "company", "c-19", distinct_id="u1")
    assert only()["distinct_id"] == "u1"


def test_alias(posthog: PostHog, only: Only) -> None:
    posthog.alias(None, "anon-51", distinct_id="u1")
    event = only()
    assert (event["event"], event["distinct_id"]) == ("$create_alias", "u1")
    assert event["properties"] == {"distinct_id": "u1", "alias": "anon-51", **LIBRARY}


@pytest.mark.parametrize(
    ("distinct_id", "text"),
    [("u1", "u1"), (17, "17"), (UUID(int=17), "00000000-0000-0000-0000-000000000011"), ("Zoë \N{PILE OF POO}",) * 2],
)
def test_distinct_ids_are_kept_as_text(posthog: PostHog, only: Only, distinct_id: Any, text: str) -> None:
    posthog.capture(None, "paid", distinct_id=distinct_id)
    assert only()["distinct_id"] == text


@pytest.mark.parametrize(
    ("default", "argument", "expected"),
    [(True, None, True), (False, None, ...), (True, False, False), (False, True, True)],
)
def test_geoip_is_decided_by_the_event_then_by_the_client(
    client: Client, only: Only, default: bool, argument: bool | None, expected: object
) -> None:
    client(disable_geoip=default).capture(None, "paid", distinct_id="u1", disable_geoip=argument)
    assert only()["properties"].get("$geoip_disable", ...) == expected


def test_every_method_returns_the_uuid_of_its_event(posthog: PostHog, database: TestDatabase) -> None:
    uuids = [
        posthog.capture(None, "paid", distinct_id="u1"),
        posthog.identify(None, distinct_id="u1"),
        posthog.group_identify(None, "company", "c-19"),
        posthog.alias(None, "anon", distinct_id="u1"),
        posthog.capture_exception(None, "it broke"),
    ]
    assert [event["uuid"] for event in database.events()] == uuids
    assert len(set(uuids)) == 5


@pytest.mark.parametrize("length", [192, 400])
def test_a_long_group_key_is_delivered(posthog: PostHog, only: Only, length: int) -> None:
    posthog.group_identify(None, "company", "k" * length, properties={"seats": 3})
    event = only()
    assert event["properties"]["$group_key"] == "k" * length
    assert len(event["distinct_id"]) <= 200


def test_what_posthog_would_cut_or_ignore_is_a_dead_letter(posthog: PostHog, database: TestDatabase) -> None:
    posthog.group_identify(None, "company", "k" * 401)
    posthog.alias(None, "undefined", distinct_id="u1")
    posthog.capture(None, "e" * 201, distinct_id="u1")
    assert database.events() == []
    assert len(database.dead_letters()) == 3


def test_an_anonymous_id_that_names_nobody_is_left_out_with_a_warning(
    posthog: PostHog, only: Only, caplog: pytest.LogCaptureFixture
) -> None:
    posthog.identify(None, distinct_id="u1", properties={"plan": "pro", "$anon_distinct_id": "undefined"})
    assert only()["properties"]["$set"] == {"plan": "pro"}
    assert "$anon_distinct_id" not in only()["properties"]
    assert "$anon_distinct_id 'undefined'" in caplog.text
