"""Values of a person's and a group's properties: a local read, a remote one and an event take them alike."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from typing import Any, NoReturn
from uuid import UUID

import pytest
from hypothesis import assume, given
from pydantic import BaseModel

from hogbox._events.value import clean_properties
from hogbox.emulator import Emulator
from hogbox.flags import Reason
from hogbox.flags._value import UNUSABLE, json_value
from tests.client.conftest import TOKEN, Client, Only
from tests.emulator.flag_case import definitions, flag, where
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store
from tests.flags.strategies import THINGS


class Plan(enum.Enum):
    PRO = "pro"
    ULTRA = Decimal("99.5")
    TERMS = (date(2024, 6, 1), Decimal(2))
    NAN = float("nan")
    NONE = None


class Word(enum.StrEnum):
    PRO = "pro"


class OldWord(str, enum.Enum):  # noqa: UP042
    PRO = "pro"


class Level(enum.IntEnum):
    TWO = 2


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class IntRight(enum.IntFlag):
    READ = 1
    WRITE = 2


class Labelled(str, enum.Enum):  # noqa: UP042
    """A text whose value is another one."""

    PRO = "p", "pro"

    def __new__(cls, text: str, value: str) -> Labelled:
        member = str.__new__(cls, text)
        member._value_ = value
        return member


class Inner(enum.Enum):
    OUTER = Word.PRO


class Money(Decimal):
    """A subclass, as libraries for money have."""


class Broken(Decimal):
    def __float__(self) -> NoReturn:
        raise RuntimeError("no number")


@dataclass
class Company:
    plan: str = "pro"


class Customer(BaseModel):
    plan: str = "pro"


AGREED: list[tuple[Any, Any]] = [
    (Decimal("1.5"), 1.5),
    (Decimal(1), 1.0),
    (Decimal("-0"), -0.0),
    (Decimal("0.1"), 0.1),
    (Decimal("1e16"), 1e16),
    (Decimal("1e-7"), 1e-7),
    (Decimal("1.00"), 1.0),
    (Decimal("12345678901234567890.12345678901234567890"), 12345678901234567890.12345678901234567890),
    (Decimal("1e-400"), 0.0),
    (Money("9.99"), 9.99),
    (Plan.PRO, "pro"),
    (Plan.ULTRA, 99.5),
    (Plan.TERMS, ["2024-06-01", 2.0]),
    (Plan.NONE, None),
    (Word.PRO, "pro"),
    (OldWord.PRO, "pro"),
    (Labelled.PRO, "pro"),
    (Inner.OUTER, "pro"),
    (Level.TWO, 2),
    (Right.READ | Right.WRITE, 3),
    (IntRight.READ | IntRight.WRITE, 3),
    ([Decimal(1), Plan.PRO, (Level.TWO,)], [1.0, "pro", [2]]),
    ({"a": Decimal("2.50"), "b": {"c": Right.WRITE}}, {"a": 2.5, "b": {"c": 2}}),
    ({Plan.PRO: 1, Word.PRO: 1}, {"pro": 1}),
    (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    (datetime(2024, 6, 1, 12, tzinfo=UTC), "2024-06-01T12:00:00+00:00"),
    (date(2024, 6, 1), "2024-06-01"),
    ((1, "a"), [1, "a"]),
]
"""Values that a local read knows, and what is sent for them."""

UNKNOWN: list[Any] = [
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("Infinity"),
    Decimal("1e400"),
    Broken("1.5"),
    Plan.NAN,
    [Decimal("NaN")],
    {"a": Plan.NAN},
    {"a", "b"},
    frozenset({1}),
    b"pro",
    time(12),
    Fraction(1, 2),
    Company(),
    Customer(),
    object(),
]
"""Values of which a local read does not say what PostHog would."""


def test_a_local_read_agrees_with_a_remote_one(client: Client, database: TestDatabase, emulator: Emulator) -> None:
    group = {"filters": {"aggregation_group_type_index": 0}}
    flags: list[dict[str, Any]] = []
    for number, (_, sent) in enumerate(AGREED):
        name = f"p{number}"
        flags += [
            flag(f"same-{number}", where(name, sent)),
            flag(f"text-{number}", where(name, _text(sent))),
            flag(f"other-{number}", where(name, sent, "is_not")),
            flag(f"more-{number}", where(name, 1.2, "gt")),
            flag(f"has-{number}", where(name, "0", "icontains")),
            flag(f"later-{number}", where(name, "2024-05-01", "is_date_after")),
            flag(f"company-{number}", where(name, sent, kind="group", group_type_index=0), **group),
        ]
    document = definitions(*flags)
    store(database, TOKEN, document)
    emulator.set_flags(document)
    posthog = client(host=emulator.url)
    properties = {f"p{number}": value for number, (value, _) in enumerate(AGREED)}
    about: dict[str, Any] = {
        "distinct_id": "ada",
        "person_properties": properties,
        "groups": {"company": "c"},
        "group_properties": {"company": properties},
    }
    here = posthog.get_all_flags(None, **about)
    assert here == posthog.evaluate_all_flags(None, **about).flags
    alone: dict[str, Any] = {"distinct_id": "ada", "person_properties": properties}
    for number in range(len(AGREED)):
        assert here[f"text-{number}"] is True
        assert here[f"company-{number}"] is here[f"same-{number}"]
        assert posthog.get_feature_flag(None, f"same-{number}", **alone) is here[f"same-{number}"]


def test_what_has_no_certain_form_is_left_to_posthog(
    client: Client, database: TestDatabase, emulator: Emulator
) -> None:
    flags = [
        one
        for number in range(len(UNKNOWN))
        for one in (
            flag(f"is-{number}", where(f"p{number}", "pro")),
            flag(f"set-{number}", where(f"p{number}", 1, "is_set")),
        )
    ]
    document = definitions(*flags)
    store(database, TOKEN, document)
    emulator.set_flags(document)
    posthog = client(host=emulator.url)
    about: dict[str, Any] = {
        "distinct_id": "ada",
        "person_properties": {f"p{number}": value for number, value in enumerate(UNKNOWN)},
    }
    snapshot = posthog.flags(None, **about)
    assert {snapshot.result(key).reason for key in snapshot.keys} == {Reason.MISSING_CONTEXT}
    assert posthog.get_feature_flag(None, "set-0", **about, fallback="remote") is True


@pytest.mark.parametrize(
    ("key", "decided"),
    [
        (UUID(int=7), True),
        (Plan.PRO, True),
        (Labelled.PRO, True),
        (Decimal("7.5"), True),
        (Level.TWO, True),
        (7, True),
        (Plan.NONE, True),
        (True, True),
        ("", True),
        (b"acme", False),
        (float("nan"), False),
        (NotImplemented, False),
    ],
    ids=repr,
)
def test_the_key_of_a_group_is_the_one_that_is_sent(
    client: Client, database: TestDatabase, emulator: Emulator, key: Any, decided: bool
) -> None:
    halves = {"aggregation_group_type_index": 0, "groups": [{"properties": [], "rollout_percentage": 50}]}
    names = [f"half-{number}" for number in range(20)]
    document = definitions(*(flag(name, filters=halves) for name in names))
    store(database, TOKEN, document)
    emulator.set_flags(document)
    posthog = client(host=emulator.url)
    about: dict[str, Any] = {"distinct_id": "ada", "groups": {"company": key}}
    remote = posthog.evaluate_all_flags(None, **about).flags
    assert posthog.get_all_flags(None, **about) == (remote if decided else {})


def test_a_device_in_the_properties_is_the_one_that_is_sent(
    client: Client, database: TestDatabase, emulator: Emulator
) -> None:
    halves = {"groups": [{"properties": [], "rollout_percentage": 50}]}
    flags = [flag(f"half-{number}", filters=halves, bucketing_identifier="device_id") for number in range(20)]
    document = definitions(*flags)
    store(database, TOKEN, document)
    emulator.set_flags(document)
    posthog = client(host=emulator.url)
    about: dict[str, Any] = {"distinct_id": "ada", "person_properties": {"$device_id": UUID(int=7)}}
    remote = posthog.evaluate_all_flags(None, **about).flags
    assert set(remote.values()) == {True, False}
    assert posthog.get_all_flags(None, **about) == remote


def test_an_event_carries_the_values_that_are_compared(client: Client, only: Only) -> None:
    client().capture(None, "bought", distinct_id="ada", properties={"p": [value for value, _ in AGREED]})
    assert json.dumps(only()["properties"]["p"]) == json.dumps([sent for _, sent in AGREED])


@given(THINGS)
def test_what_a_read_compares_is_what_an_event_would_carry(value: Any) -> None:
    compared = json_value(value)
    if compared is not UNUSABLE:
        assume("\\ud" not in json.dumps(compared))  # half a character, which can't be sent
        sent, problems = clean_properties({"p": value})
        assert problems == []
        assert json.dumps(sent["p"], sort_keys=True) == json.dumps(compared, sort_keys=True)


def _text(value: Any) -> str:
    """The compact JSON of a value; a text is itself."""
    if isinstance(value, str):
        return value
    if value == 1e-7:
        return "1e-7"
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
