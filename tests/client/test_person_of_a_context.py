"""Contexts that ask who it is, and contexts that are entered again."""

from __future__ import annotations

import pytest

from hogbox._client.person import resolve_person
from hogbox.context import get_context, identify_context, new_context, tag, use_context
from hogbox.errors import InvalidEvent, MissingDistinctId


def test_who_it_is_is_asked_each_time_that_it_matters() -> None:
    answers = iter([None, "ada", 7])
    with new_context(distinct_id="claimed", find_distinct_id=lambda: next(answers)):
        assert [resolve_person(None, None) for _ in range(3)] == ["claimed", "ada", "7"]


def test_the_callback_and_the_argument_win_without_a_question() -> None:
    def never() -> str:
        raise AssertionError("nobody has to ask")

    with new_context(find_distinct_id=never):
        assert resolve_person("identified", None) == "identified"
        assert resolve_person(None, "argument") == "argument"


@pytest.mark.parametrize("personless", [True, False])
def test_nobody_found(personless: bool) -> None:
    with new_context(find_distinct_id=lambda: None, personless=personless):
        if personless:
            assert resolve_person(None, None) is None
        else:
            with pytest.raises(MissingDistinctId):
                resolve_person(None, None)


def test_an_answer_that_is_no_id() -> None:
    with new_context(find_distinct_id=lambda: 1.5), pytest.raises(InvalidEvent):  # type: ignore[arg-type,return-value]
        resolve_person(None, None)


def test_who_is_named_later_wins() -> None:
    with new_context(find_distinct_id=lambda: "found"):
        with new_context():
            assert resolve_person(None, None) == "found"
        with new_context(distinct_id="inner"):
            assert resolve_person(None, None) == "inner"
        identify_context("named")
        assert resolve_person(None, None) == "named"


def test_a_context_can_be_entered_again() -> None:
    with new_context(distinct_id="ada") as context:
        pass
    with use_context(context):
        assert resolve_person(None, None) == "ada"
        tag("step", 2)
    assert get_context() is None
    assert context.tags == {"step": 2}
