"""Property values made fit for JSON: whatever comes in, what goes out can be encoded, and nothing is raised (P8)."""

from __future__ import annotations

import math
from typing import Any

from hogbox._events.value import MAX_DEPTH, MAX_PROBLEMS, MAX_VALUES, clean_properties


def depth_of(value: Any) -> int:
    """Levels of containers along the first value of each."""
    levels = 0
    while isinstance(value, (dict, list)) and value:
        levels += 1
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
    return levels


def count(value: Any) -> int:
    """The values inside."""
    inside = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return len(inside) + sum(count(one) for one in inside)


def test_p8_what_contains_itself_ends_at_the_deepest_level() -> None:
    loop: dict[str, Any] = {}
    loop["again"] = loop
    cleaned, problems = clean_properties(loop)
    assert depth_of(cleaned) == MAX_DEPTH + 1
    assert len(problems) == 1
    assert "nested deeper than 100 levels (or contains itself); sent as null" in problems[0]


def test_p8_what_contains_itself_twice_at_each_level_ends_soon() -> None:
    tree: dict[str, Any] = {}
    tree["left"] = tree["right"] = tree
    cleaned, problems = clean_properties(tree)
    assert count(cleaned) < MAX_VALUES + 2 * MAX_DEPTH
    assert len(problems) == MAX_PROBLEMS


def test_p8_one_list_repeated_without_end_is_kept_only_so_often() -> None:
    wide: list[Any] = list(range(1000))
    cleaned, problems = clean_properties({"rows": [wide] * 1000})
    assert [len(row) for row in cleaned["rows"] if row is not None] == [1000] * (MAX_VALUES // 1000)
    assert problems == ["more than 500,000 values in one event; the rest is left out"]


def test_p8_an_endless_sequence_is_cut() -> None:
    cleaned, problems = clean_properties({"numbers": range(10**12), "next": [1], "plan": "pro"})
    assert len(cleaned["numbers"]) == MAX_VALUES
    assert (cleaned["next"], cleaned["plan"]) == (None, "pro")
    assert problems == ["more than 500,000 values in one event; the rest is left out"]


def test_many_values_without_a_form_are_reported_only_so_often() -> None:
    cleaned, problems = clean_properties({"series": [math.nan] * 20_000})
    assert cleaned == {"series": [None] * 20_000}
    assert problems == [
        f"property 'series.{index}': nan has no JSON form; sent as null" for index in range(MAX_PROBLEMS)
    ]
