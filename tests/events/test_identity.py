"""Whose event it is, and which distinct ids PostHog would garble."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Any
from uuid import UUID

import pytest

from hogbox._events.identity import ILLEGAL, MAX_CHARACTERS, garbled, resolve
from hogbox.errors import InvalidEvent, MissingDistinctId


class Tenant(str, Enum):  # noqa: UP042 - the older way, whose str() is "Tenant.ACME"
    ACME = "acme"


class Number(IntEnum):
    SEVEN = 7


class Lazy:
    """A text that is not computed yet, as translations are."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("u-1", "u-1", id="text"),
        pytest.param("Zoë", "Zoë", id="beyond ascii"),
        pytest.param(" u-1 ", " u-1 ", id="blanks kept"),
        pytest.param("a\ud800", "a\N{REPLACEMENT CHARACTER}", id="lone surrogate"),
        pytest.param(8842, "8842", id="integer"),
        pytest.param(0, "0", id="zero"),
        pytest.param(UUID(int=7), "00000000-0000-0000-0000-000000000007", id="UUID"),
        pytest.param(Tenant.ACME, "acme", id="str and Enum"),
        pytest.param(Number.SEVEN, "7", id="IntEnum"),
        pytest.param(Lazy("u-1"), "u-1", id="lazy text"),
    ],
)
def test_a_distinct_id_becomes_text(value: Any, expected: str) -> None:
    assert resolve(None, value) == expected
    assert resolve(value, None) == expected
    assert type(resolve(None, value)) is str


def test_the_callbacks_answer_wins_over_the_argument() -> None:
    assert resolve("from the callback", "from the argument") == "from the callback"


@pytest.mark.parametrize(
    ("identified", "argument"),
    [
        pytest.param(None, None, id="neither"),
        pytest.param(None, "", id="empty"),
        pytest.param(None, " \t", id="blank"),
        pytest.param(None, "\N{NO-BREAK SPACE}", id="blank beyond ascii"),
        pytest.param("", "u-1", id="the callback's is empty"),
        pytest.param(None, Lazy(" "), id="blank once computed"),
    ],
)
def test_p8_nobody_named_raises_and_says_both_ways(identified: Any, argument: Any) -> None:
    with pytest.raises(MissingDistinctId, match=r"pass distinct_id=.*PostHog\(identify="):
        resolve(identified, argument)


@pytest.mark.parametrize("value", [True, 1.5, b"u-1", {}, [], ("u-1",), {"u-1"}], ids=repr)
def test_p8_what_cannot_be_an_id_raises(value: Any) -> None:
    with pytest.raises(InvalidEvent, match="distinct_id must be text, an integer or a UUID"):
        resolve(None, value)


def test_p8_an_object_without_a_text_of_its_own_raises() -> None:
    """It would be sent as `<User object at 0x7f…>`: another person after every restart."""
    with pytest.raises(InvalidEvent, match="distinct_id must be text, an integer or a UUID, not <object object at"):
        resolve(None, object())


def test_an_id_with_nul_is_garbled() -> None:
    assert garbled("u\0-1") == "distinct_id 'u\\x00-1' contains NUL, which PostHog replaces"


@pytest.mark.parametrize("illegal", sorted(ILLEGAL))
def test_an_id_that_names_nobody_is_garbled_in_any_case_and_with_blanks(illegal: str) -> None:
    for form in (illegal, illegal.upper(), f" {illegal}\n"):
        assert garbled(form) == f"distinct_id {form!r} is an id for which PostHog creates no person"


@pytest.mark.parametrize("legal", ["u-1", "00", "users", "00000000-0000-0000-0000-000000000001", "a" * MAX_CHARACTERS])
def test_any_other_id_is_not_garbled(legal: str) -> None:
    assert garbled(legal) is None


@pytest.mark.parametrize("character", ["a", "é", "🦔"])
def test_an_id_is_garbled_beyond_200_characters(character: str) -> None:
    assert garbled(character * 200) is None
    assert garbled(character * 201) == "distinct_id has 201 characters; PostHog truncates it to 200"
