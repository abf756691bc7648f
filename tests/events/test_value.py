"""Property values made fit for JSON: whatever comes in, what goes out can be encoded, and nothing is raised (P8)."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any
from unittest.mock import MagicMock

import msgspec
import pytest

from hogbox._events.value import MAX_DEPTH, MAX_INTEGER, MAX_PROBLEMS, MAX_VALUES, clean_properties


class Remote(Mapping[str, Any]):
    """A mapping that loses its connection after its first item."""

    def __iter__(self) -> Iterator[str]:
        yield from ("plan", "seats", "region")

    def __len__(self) -> int:
        return 3

    def __getitem__(self, key: str) -> Any:
        if key == "plan":
            return "pro"
        raise ConnectionError(key)


class Growing:
    """A value that changes the properties while they are read, as another thread would."""

    def __init__(self, properties: dict[str, Any]) -> None:
        self.properties = properties

    def model_dump(self) -> dict[str, Any]:
        self.properties["late"] = True
        return {}


class Echo:
    """A model that is its own dump."""

    def model_dump(self) -> Any:
        return self


def stack_depth() -> int:
    """The frames under way."""
    frame, depth = sys._getframe(), 0
    while frame.f_back:
        frame, depth = frame.f_back, depth + 1
    return depth


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


def test_p8_what_was_read_of_a_mapping_that_fails_is_kept() -> None:
    cleaned, problems = clean_properties({"inner": Remote(), "after": 1})
    assert cleaned == {"inner": {"plan": "pro"}, "after": 1}
    assert problems == ["property 'inner': could not be read to the end (ConnectionError); the rest is left out"]


def test_p8_properties_that_fail_themselves_are_kept_as_far_as_they_were_read() -> None:
    cleaned, problems = clean_properties(Remote())
    assert cleaned == {"plan": "pro"}
    assert problems == ["could not be read to the end (ConnectionError); the rest is left out"]


def test_p8_properties_that_change_while_they_are_read_are_kept_as_far_as_they_were_read() -> None:
    properties: dict[str, Any] = {"plan": "pro"}
    properties["model"] = Growing(properties)
    cleaned, problems = clean_properties(properties)
    assert cleaned == {"plan": "pro", "model": {}}
    assert problems == ["could not be read to the end (RuntimeError); the rest is left out"]


def test_p8_deep_in_the_stack_nesting_is_cut_where_python_ends() -> None:
    nested: list[Any] = []
    for _ in range(MAX_DEPTH - 2):
        nested = [nested]

    def below(frames: int) -> tuple[dict[str, Any], list[str]]:
        return below(frames - 1) if frames else clean_properties({"nested": nested, "plan": "pro"})

    cleaned, problems = below(sys.getrecursionlimit() - stack_depth() - 120)
    assert cleaned["plan"] == "pro"
    assert len(problems) == 1
    assert "RecursionError" in problems[0]


@pytest.mark.parametrize("value", [pytest.param(MagicMock(), id="mock"), pytest.param(Echo(), id="own dump")])
def test_p8_a_model_that_dumps_models_for_ever_is_null(value: Any) -> None:
    cleaned, problems = clean_properties({"model": value})
    assert cleaned == {"model": None}
    assert len(problems) == 1


@pytest.mark.parametrize("sign", [1, -1], ids=["positive", "negative"])
def test_an_integer_is_kept_up_to_what_a_float_can_be(sign: int) -> None:
    cleaned, problems = clean_properties({"most": sign * (MAX_INTEGER - 1), "list": [sign * (MAX_INTEGER - 1)]})
    assert cleaned == {"most": sign * (MAX_INTEGER - 1), "list": [sign * (MAX_INTEGER - 1)]}
    assert problems == []
    assert math.isfinite(float(msgspec.json.encode(cleaned["most"])))


@pytest.mark.parametrize("sign", [1, -1], ids=["positive", "negative"])
def test_p8_an_integer_too_large_for_any_parser_is_null(sign: int) -> None:
    cleaned, problems = clean_properties({"factorial": sign * MAX_INTEGER, "list": [sign * 10**5000]})
    assert cleaned == {"factorial": None, "list": [None]}
    assert problems == [
        "property 'factorial': an integer of 1024 bits has no JSON form; sent as null",
        "property 'list.0': an integer of 16610 bits has no JSON form; sent as null",
    ]
