"""What changed between two documents, and when a flag last did."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox.flags._value import MISSING
from hogbox.flags._words.change import difference, last_changes, path_words
from tests.flags.samples import condition, document, flag, person_filter

PRO = condition(person_filter("plan", "exact", ["pro"]), rollout_percentage=30)
OLD = condition(person_filter("age", "gt", 60))


def sentences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    found = difference(document(before), document(after))
    assert (found.added, found.removed, found.other) == ((), (), ())
    return [str(change) for changes in found.changed.values() for change in changes]


def test_flags_are_added_and_removed() -> None:
    found = difference(document(flag("a"), flag("b")), document(flag("b"), flag("c")))
    assert (found.added, found.removed, found.changed) == (("c",), ("a",), {})
    assert found


def test_the_same_does_not_differ() -> None:
    one = document(flag("a", PRO))
    assert not difference(one, copy.deepcopy(one))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (flag("f"), flag("f", active=False), ["active: true -> false"]),
        (flag("f", PRO), flag("f", {**PRO, "rollout_percentage": 50}), ["condition 1, rollout percentage: 30 -> 50"]),
        (flag("f", PRO), flag("f", OLD, PRO), [f"condition 1: added, {json.dumps(OLD)}"]),
        (flag("f", OLD, PRO), flag("f", PRO), [f"condition 1: removed, was {json.dumps(OLD)}"]),
        (flag("f", OLD), flag("f", condition(person_filter("age", "lt", 60))),
         ["condition 1, filter 1, operator: 'gt' -> 'lt'"]),
        (flag("f", PRO), flag("f", condition(person_filter("plan", "exact", ["pro", "team"]), rollout_percentage=30)),
         ["condition 1, filter 1, value: ['pro'] -> ['pro', 'team']"]),
        (flag("f", payloads={"true": "1"}), flag("f", payloads={"true": "2", "a": "3"}),
         ["payload of 'true': '1' -> '2'", "payload of 'a': added, '3'"]),
        (flag("f", multivariate={"variants": [{"key": "a", "rollout_percentage": 1}]}),
         flag("f", multivariate={"variants": [{"key": "a", "rollout_percentage": 2}]}),
         ["variant 1, rollout percentage: 1 -> 2"]),
        (flag("f"), flag("f", x={"a": "b" * 300}), [f'x: added, {{"a": "{"b" * 193}…']),
        (flag("f", x=1), flag("f", x=True), ["x: 1 -> true"]),
        (flag("f", x=[1]), flag("f", x=None), ["x: [1] -> None"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_change_in_words(before: dict[str, Any], after: dict[str, Any], expected: list[str]) -> None:
    assert sentences(before, after) == expected


def test_what_changes_besides_the_flags_is_told() -> None:
    before = {**document(), "cohorts": {"5": {"type": "OR", "values": [person_filter("a", "exact", 1)]}}}
    after = {
        "flags": [],
        "cohorts": {"5": {"type": "OR", "values": [person_filter("a", "exact", 2)]}},
        "group_type_mapping": {"0": "company"},
    }
    found = difference(before, after)
    assert [str(one) for one in found.other] == [
        "cohort 5, filter 1, value: 1 -> 2",
        'group type mapping: added, {"0": "company"}',
    ]
    assert found.other[1].before is MISSING


def test_places_without_a_name_are_told_too() -> None:
    assert path_words(()) == "everything"
    assert path_words(("filters",)) == "filters"
    assert path_words(("tags", 0, "a_b")) == "tags, item 1, a b"


def test_what_is_no_list_of_flags_has_none() -> None:
    assert difference({"flags": 3}, {"flags": [4, {"key": 5}, flag("a")]}).added == ("a",)


def test_what_is_nested_without_end_is_compared_as_a_whole() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = {"a": deep}
    found = difference({**document(), "x": deep}, {**document(), "x": 2})
    assert len(found.other) == 1
    assert difference({**document(), "x": {"b": deep}}, {**document(), "x": {"b": {**deep, "c": 1}}}).other


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(one=JSON, other=JSON)
def test_any_two_flags_can_be_compared(one: Any, other: Any) -> None:
    found = difference(document(flag("f", x=one)), document(flag("f", x=other)))
    alike = one == other and repr(one) == repr(other)
    assert not (alike and found)
    assert all(str(change) for changes in found.changed.values() for change in changes)


def test_when_a_flag_last_changed() -> None:
    revisions = [
        (9, document(flag("new"), flag("same"), flag("changed", OLD))),
        (8, document(flag("same"), flag("changed", OLD))),
        (6, document(flag("same"), flag("changed"))),
    ]
    assert last_changes(revisions) == {"new": 9, "changed": 8}
    assert last_changes([]) == {}
    assert last_changes([(1, document(flag("a")))]) == {"a": 1}
