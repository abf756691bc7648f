"""Local variables of a frame: off by default, bounded, without secrets, and without running anybody's code."""

from __future__ import annotations

import linecache
import os
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hogbox._events.frame import ProjectCode, stack_frames
from hogbox._events.in_app import CodePlaces
from hogbox._events.local_variable import MAX_VALUE_CHARACTERS, MAX_VARIABLES, variable_texts


class Order:
    def __repr__(self) -> str:
        raise AssertionError("code of the application was run")


def charge(card: str, order: Order) -> None:
    password = card[::-1]
    raise ValueError(len(password))


def frames(project: ProjectCode) -> list[dict[str, Any]]:
    with pytest.raises(ValueError, match="19") as caught:
        charge("4111 1111 1111 1111", Order())
    return stack_frames(caught.value.__traceback__, project=project, room=1_000_000)


def test_frames_tell_no_variables_unless_they_are_asked_for() -> None:
    for frame in frames(ProjectCode(lines=linecache.getlines, places=CodePlaces(root=os.getcwd()))):
        assert "code_variables" not in frame


def test_those_of_the_applications_frames_are_told_without_secrets() -> None:
    *_, last = frames(ProjectCode(lines=linecache.getlines, places=CodePlaces(root=os.getcwd()), local_variables=True))
    assert last["code_variables"] == {
        "card": "'[redacted]'",
        "order": f"<{Order.__module__}.Order>",
        "password": "[redacted]",
    }


@pytest.mark.parametrize("outside", [{"root": "/somewhere/else"}, {"root": "/", "exclude": ["tests"]}])
def test_those_of_other_frames_never_are(outside: dict[str, Any]) -> None:
    project = ProjectCode(lines=linecache.getlines, places=CodePlaces(**outside), local_variables=True)
    assert not [frame for frame in frames(project) if "code_variables" in frame and not frame.get("in_app")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (Decimal("1.50"), "Decimal('1.50')"),
        ({"a": [1, (2,)], "Api_Key": "x"}, "{'a': [1, (2)], 'Api_Key': [redacted]}"),
        (["ada@example.com", b"x"], "['[redacted]', b'x']"),
        ([[[[1]]]], "[[[...]]]"),
        (list(range(99)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...]"),
        (10**500, "<int of 1661 bits>"),
        ("token=abc", "'token=[redacted]'"),
        (Order(), f"<{Order.__module__}.Order>"),
    ],
)
def test_values_as_text(value: Any, text: str) -> None:
    assert variable_texts({"value": value}) == {"value": text}


def test_modules_classes_and_functions_are_left_out() -> None:
    assert variable_texts({"os": os, "Order": Order, "charge": charge, "len": len, "__name__": "x", "n": 1}) == {
        "n": "1"
    }


def test_a_secret_that_the_cut_would_split_is_found() -> None:
    text = variable_texts({"note": "x" * (MAX_VALUE_CHARACTERS - 20) + " phx_" + "a" * 40})["note"]
    assert "phx" not in text


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(), st.recursive(st.text() | st.integers(), st.lists), max_size=30))
def test_they_are_few_and_short(variables: dict[str, Any]) -> None:
    shown = variable_texts(variables)
    assert len(shown) <= MAX_VARIABLES
    assert all(len(text) <= MAX_VALUE_CHARACTERS for text in [*shown, *shown.values()])
