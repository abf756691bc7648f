"""The properties of each kind of event (wire protocol 2.4 to 2.9)."""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest

from hogbox._events import builder
from hogbox._events.identity import garbled
from hogbox.errors import InvalidEvent


class Kind(str, Enum):  # noqa: UP042 - the older way, whose str() is "Kind.COMPANY"
    COMPANY = "company"


def test_every_event_names_its_sender() -> None:
    assert builder.library_properties("0.1.0") == {"$lib": "hogbox", "$lib_version": "0.1.0", "$is_server": True}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, {"$set": {}}, id="none"),
        pytest.param({"plan": "team"}, {"$set": {"plan": "team"}}, id="all are set"),
        pytest.param(
            {"plan": "team", "$set_once": {"first": "free"}, "$anon_distinct_id": "anon-51"},
            {"$set": {"plan": "team"}, "$set_once": {"first": "free"}, "$anon_distinct_id": "anon-51"},
            id="all but its parts are set",
        ),
        pytest.param(
            {"$set": {"plan": "team"}, "source": "import"},
            {"$set": {"plan": "team"}, "source": "import"},
            id="explicit $set",
        ),
        pytest.param({"$set": None, "plan": "x"}, {"$set": None, "plan": "x"}, id="explicit $set of nothing"),
        pytest.param(MappingProxyType({"plan": "team"}), {"$set": {"plan": "team"}}, id="any mapping"),
    ],
)
def test_identify_sets_what_it_is_given(given: Any, expected: dict[str, Any]) -> None:
    assert builder.identify_properties(given) == expected


def test_group_identify_has_type_key_and_properties() -> None:
    assert builder.group_identify_properties("company", "c-19", {"seats": 12}) == {
        "$group_type": "company",
        "$group_key": "c-19",
        "$group_set": {"seats": 12},
    }


def test_a_group_has_a_distinct_id_of_its_own() -> None:
    assert builder.group_distinct_id("company", "c-19") == "$company_c-19"


def test_alias_repeats_the_distinct_id() -> None:
    assert builder.alias_properties("anon-51", "u-8842") == {"distinct_id": "anon-51", "alias": "u-8842"}


def test_group_types_and_keys_become_text() -> None:
    groups = {"company": 19, Kind.COMPANY: Kind.COMPANY, "site": UUID(int=7), 4: "four", "odd": "a\udc80"}
    assert builder.group_map(groups) == {
        "company": "company",
        "site": "00000000-0000-0000-0000-000000000007",
        "4": "four",
        "odd": "a\N{REPLACEMENT CHARACTER}",
    }


@pytest.mark.parametrize("groups", ["company", ["company"], 5], ids=repr)
def test_p8_groups_that_are_no_mapping_are_refused(groups: Any) -> None:
    with pytest.raises(InvalidEvent, match=r"groups must be a mapping such as \{'company': 'c-19'\}, not"):
        builder.group_map(groups)


@pytest.mark.parametrize("groups", [{"company": None}, {"company": " "}, {None: "c-19"}, {"": "c-19"}], ids=repr)
def test_p8_a_group_without_a_name_is_refused(groups: Any) -> None:
    with pytest.raises(InvalidEvent, match=r"a group (key|type) must"):
        builder.group_map(groups)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("c-19", "c-19"), (19, "19"), (UUID(int=7), "00000000-0000-0000-0000-000000000007"), (Kind.COMPANY, "company")],
)
def test_text_is_taken_from_what_has_it(value: Any, expected: str) -> None:
    assert builder.require_text(value, "group_key") == expected


@pytest.mark.parametrize("value", [None, True, 1.5, b"c", {}, [], (), {1}], ids=repr)
def test_p8_what_is_no_text_is_refused_by_name(value: Any) -> None:
    with pytest.raises(InvalidEvent, match="group_key must be text, not "):
        builder.require_text(value, "group_key")


@pytest.mark.parametrize("value", ["", " \n", "\N{NO-BREAK SPACE}"], ids=repr)
def test_p8_blank_text_is_refused_by_name(value: str) -> None:
    with pytest.raises(InvalidEvent, match="group_key must not be empty"):
        builder.require_text(value, "group_key")


def test_properties_are_taken_as_they_are() -> None:
    value = {"plan": object()}
    assert builder.require_properties(value) is value


def test_properties_of_another_mapping_are_read_at_once() -> None:
    assert builder.require_properties(MappingProxyType({"plan": "pro"})) == {"plan": "pro"}


def test_no_properties_are_none() -> None:
    assert builder.require_properties(None) == {}


@pytest.mark.parametrize("value", ["plan", [("plan", "pro")], 5], ids=repr)
def test_p8_properties_that_are_no_mapping_are_refused(value: Any) -> None:
    with pytest.raises(InvalidEvent, match=r"properties must be a mapping such as \{'plan': 'pro'\}, not"):
        builder.require_properties(value)


@pytest.mark.parametrize("key", ["k" * 191, "k" * 192, "k" * 400, "k" * 401, "é" * 150, "a\0b"])
@pytest.mark.parametrize("kind", ["company", "t" * 150])
def test_a_groups_own_distinct_id_is_one_that_posthog_keeps(kind: str, key: str) -> None:
    distinct_id = builder.group_distinct_id(kind, key)
    assert len(distinct_id.encode()) <= 200
    assert garbled(distinct_id) is None
    assert distinct_id != builder.group_distinct_id(kind, key + "x")
    if len(f"${kind}_{key}") <= 200 and key.isascii() and "\0" not in key:
        assert distinct_id == f"${kind}_{key}"
