"""Property values made fit for JSON: whatever comes in, what goes out can be encoded, and nothing is raised (P8)."""

from __future__ import annotations

import dataclasses
import itertools
import math
import sys
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from typing import Any, NamedTuple
from unittest.mock import MagicMock
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hogbox._events.value import MAX_DEPTH, MAX_INTEGER, MAX_PROBLEMS, MAX_VALUES, clean_properties, clean_text, text_of


class Plan(StrEnum):
    PRO = "pro"


class Kind(str, Enum):  # noqa: UP042 - the older way, whose str() is "Kind.COMPANY"
    COMPANY = "company"


class Size(IntEnum):
    LARGE = 3


class Colour(Enum):
    RED = "red"
    MIXED = ("red", 1)


class Text(str):
    """As the safe strings of template engines are."""


class Whole(int):
    pass


class Real(float):
    pass


class Point(NamedTuple):
    x: int
    y: int


@dataclasses.dataclass
class Item:
    sku: str
    price: Decimal


class Order:
    """A pydantic model, by the only method that is asked of one."""

    def model_dump(self) -> dict[str, Any]:
        return {"id": UUID(int=7), "at": date(2026, 3, 4)}


class Silent:
    """Has no text."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


class Shy:
    """Doesn't even tell its class."""

    @property  # type: ignore[misc]  # typed as an attribute; proxies override it like this
    def __class__(self) -> Any:
        raise RuntimeError


class Broken(Sequence[int]):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: Any) -> Any:
        raise ConnectionError


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


@dataclasses.dataclass
class Child:
    parent: dict[str, Any]


@pytest.mark.parametrize("kind", ["dict", "list", "dataclass", "top"])
def test_p8_what_contains_itself_is_null_there(kind: str) -> None:
    loop: dict[str, Any] = {"rows": list(range(100))}
    loop["again"] = {"dict": loop, "list": [[loop]], "dataclass": Child(loop), "top": None}[kind]
    properties = loop if kind == "top" else {"loop": loop}
    if kind == "top":
        loop["self"] = loop
    cleaned, problems = clean_properties(properties)
    assert count(cleaned) < 120
    assert len(problems) == 1
    assert problems[0].endswith(": it contains itself; sent as null")


def test_p8_what_contains_itself_twice_at_each_level_ends_soon() -> None:
    tree: dict[str, Any] = {}
    tree["left"] = tree["right"] = tree
    cleaned, problems = clean_properties(tree)
    assert cleaned == {"left": None, "right": None}
    assert len(problems) == 2


def test_p8_one_list_repeated_without_end_is_kept_only_so_often() -> None:
    wide: list[Any] = list(range(1000))
    cleaned, problems = clean_properties({"rows": [wide] * 1000})
    assert 50_000 < count(cleaned) < 110_000
    assert problems == ["the same objects make more than 50 times the values; further ones are sent as null"]


def test_an_object_may_be_repeated_as_long_as_there_is_not_much_more_for_it() -> None:
    address = {"city": "Vienna", "zip": "1010"}
    rows = [{"order": number, "address": address} for number in range(2000)]
    cleaned, problems = clean_properties({"rows": rows, "first": address})
    assert cleaned == {"rows": rows, "first": address}
    assert problems == []


def test_p8_lists_that_refer_to_each_other_are_cut_before_they_grow_a_hundredfold() -> None:
    lists: list[Any] = [1, 1]
    mappings: dict[str, Any] = {"a": 1, "b": 1}
    for _ in range(30):
        lists, mappings = [lists, lists], {"a": mappings, "b": mappings}
    for value in (lists, mappings, Child({"value": lists})):
        cleaned, problems = clean_properties({"value": value})
        assert count(cleaned) < 100 * 70
        assert any("further ones are sent as null" in problem for problem in problems)


@pytest.mark.parametrize("same", [False, True])
def test_p8_an_endless_mapping_is_cut(same: bool) -> None:
    class Endless(Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            return 1

        def __iter__(self) -> Iterator[str]:
            return itertools.repeat("k") if same else (f"k{number}" for number in itertools.count())

        def __len__(self) -> int:
            return 1

    cleaned, problems = clean_properties({"inner": Endless(), "next": "pro"})
    assert len(cleaned["inner"]) == (1 if same else MAX_VALUES - 1)
    assert cleaned["next"] == "pro"
    assert "more than 500,000 values in one event; the rest is left out" in problems
    assert len(clean_properties(Endless())[0]) <= MAX_VALUES


def test_p8_a_long_text_that_is_repeated_is_kept_only_so_often() -> None:
    text = "x" * 1_000_000
    for value in ([text] * 40, {f"k{number}": text for number in range(40)}, [[text] * 40] * 40):
        cleaned, problems = clean_properties({"value": value})
        assert len(msgspec.json.encode(cleaned)) < 12_000_000
        assert problems == ["more than 8,388,608 characters in one event; further text is left out"]


def test_p8_plain_objects_that_share_their_parts_are_kept_only_so_often() -> None:
    shared: dict[str, Any] = {"n": 1}
    for _ in range(5):
        shared = {f"k{number}": shared for number in range(100)}
    cleaned, problems = clean_properties(shared)
    assert count(cleaned) < 100 * 500
    assert problems == ["the same objects make more than 50 times the values; further ones are sent as null"]


def test_p8_an_endless_sequence_is_cut() -> None:
    cleaned, problems = clean_properties({"numbers": range(10**12), "next": [1], "plan": "pro"})
    assert len(cleaned["numbers"]) == MAX_VALUES - 1
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


PLAIN: list[tuple[str, Any, Any]] = [
    ("text", "pro", "pro"),
    ("text beyond ascii", "Zoë 🦔", "Zoë 🦔"),
    ("subclass of str", Text("pro"), "pro"),
    ("lone surrogate", "a\ud800b", "a\N{REPLACEMENT CHARACTER}b"),
    ("NUL", "a\0b", "a\0b"),
    ("yes", True, True),
    ("no", False, False),
    ("nothing", None, None),
    ("integer", 41, 41),
    ("beyond 64 bits", 2**70, 2**70),
    ("subclass of int", Whole(4), 4),
    ("float", 41.5, 41.5),
    ("subclass of float", Real(4.5), 4.5),
    ("Decimal", Decimal("41.50"), 41.5),
    ("UUID", UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    ("date", date(2026, 3, 4), "2026-03-04"),
    ("time", time(10, 15), "10:15:00"),
    ("naive datetime", datetime.fromisoformat("2026-03-04T10:15:00"), "2026-03-04T10:15:00"),
    ("aware datetime", datetime(2026, 3, 4, tzinfo=timezone(timedelta(hours=5))), "2026-03-04T00:00:00+05:00"),
    ("bytes", b"caf\xc3\xa9", "café"),
    ("bytes that are no text", b"\xff", "\N{REPLACEMENT CHARACTER}"),
    ("bytearray", bytearray(b"ab"), "ab"),
    ("memoryview", memoryview(b"ab"), "ab"),
    ("StrEnum", Plan.PRO, "pro"),
    ("str and Enum", Kind.COMPANY, "company"),
    ("IntEnum", Size.LARGE, 3),
    ("Enum", Colour.RED, "red"),
    ("Enum of a tuple", Colour.MIXED, ["red", 1]),
    ("list", [1, "a", None], [1, "a", None]),
    ("tuple", (1, (2,)), [1, [2]]),
    ("named tuple", Point(1, 2), [1, 2]),
    ("set", {7}, [7]),
    ("frozenset", frozenset({7}), [7]),
    ("range", range(3), [0, 1, 2]),
    ("deque", deque([1, 2]), [1, 2]),
    ("keys of a dict", {"a": 1}.keys(), ["a"]),
    ("dict", {"a": {"b": [1.5]}}, {"a": {"b": [1.5]}}),
    ("OrderedDict", OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    ("dataclass", Item("x", Decimal("1.5")), {"sku": "x", "price": 1.5}),
    ("pydantic model", Order(), {"id": "00000000-0000-0000-0000-000000000007", "at": "2026-03-04"}),
]


@pytest.mark.parametrize(("value", "expected"), [pytest.param(*row, id=name) for name, *row in PLAIN])
def test_a_value_has_its_json_form(value: Any, expected: Any) -> None:
    cleaned, problems = clean_properties({"direct": value, "listed": [value], "below": {"it": value}})
    assert cleaned == {"direct": expected, "listed": [expected], "below": {"it": expected}}
    assert type(cleaned["direct"]) is type(expected)
    assert problems == []


FORMLESS: list[tuple[str, Any, str]] = [
    ("NaN", math.nan, "nan has no JSON form"),
    ("infinity", -math.inf, "-inf has no JSON form"),
    ("subclass of float", Real("nan"), "nan has no JSON form"),
    ("Decimal NaN", Decimal("NaN"), "nan has no JSON form"),
    ("signalling NaN", Decimal("sNaN"), "Decimal could not be read (ValueError)"),
    ("Decimal beyond float", Decimal("1e999"), "inf has no JSON form"),
    ("object", object(), "object has no JSON form"),
    ("class", Item, "type has no JSON form"),
    ("model's class", Order, "type has no JSON form"),
    ("function", len, "builtin_function_or_method has no JSON form"),
    ("generator", (one for one in "ab"), "generator has no JSON form"),
    ("exception", ValueError("x"), "ValueError has no JSON form"),
    ("duration", timedelta(1), "timedelta has no JSON form"),
    ("complex", 1j, "complex has no JSON form"),
    ("Fraction", Fraction(1, 3), "Fraction has no JSON form"),
    ("no text", Silent(), "Silent has no JSON form"),
    ("no class", Shy(), "Shy could not be read (RuntimeError)"),
    ("failing sequence", Broken(), "Broken could not be read (ConnectionError)"),
]


@pytest.mark.parametrize(("value", "why"), [pytest.param(*row, id=name) for name, *row in FORMLESS])
def test_p8_a_value_without_a_form_is_null_and_reported(value: Any, why: str) -> None:
    cleaned, problems = clean_properties({"first": 1, "odd": value, "last": 2})
    assert cleaned == {"first": 1, "odd": None, "last": 2}
    assert problems == [f"property 'odd': {why}; sent as null"]


KEYS: list[tuple[str, Any, str]] = [
    ("integer", 1, "1"),
    ("nothing", None, "None"),
    ("tuple", (1, 2), "(1, 2)"),
    ("lone surrogate", "\ud800", "\N{REPLACEMENT CHARACTER}"),
    ("beyond ascii", "größe", "größe"),
    ("subclass of str", Text("plan"), "plan"),
    ("StrEnum", Plan.PRO, "pro"),
    ("str and Enum", Kind.COMPANY, "company"),
    ("Enum", Colour.RED, "red"),
]


@pytest.mark.parametrize(("key", "expected"), [pytest.param(*row, id=name) for name, *row in KEYS])
def test_a_key_becomes_text(key: Any, expected: str) -> None:
    cleaned, problems = clean_properties({key: 1, "below": {key: [2]}})
    assert cleaned == {expected: 1, "below": {expected: [2]}}
    assert all(type(one) is str for one in cleaned)
    assert problems == []


def test_p8_a_key_without_text_is_named_after_its_type() -> None:
    cleaned, problems = clean_properties({"a": {Silent(): 1}})
    assert cleaned == {"a": {"<Silent>": 1}}
    assert problems == ["property 'a': a key of type Silent has no text (RuntimeError); sent as null"]


def test_what_the_caller_changes_later_does_not_change_the_event() -> None:
    inner: dict[str, Any] = {"n": 1}
    items = [inner]
    cleaned, _ = clean_properties({"items": items})
    inner["n"] = 2
    items.append({})
    assert cleaned == {"items": [{"n": 1}]}


@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1])
def test_nesting_is_kept_down_to_the_deepest_level(levels: int) -> None:
    nested: list[Any] = []
    for _ in range(levels - 1):
        nested = [nested]
    cleaned, problems = clean_properties({"nested": nested})
    assert bool(problems) is (levels > MAX_DEPTH)
    assert msgspec.json.encode(cleaned).count(b"[") == min(levels, MAX_DEPTH)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("plain", "plain", id="ascii"),
        pytest.param("\ufeffé", "\ufeffé", id="byte order mark"),
        pytest.param("\ud83e\udd94", "🦔", id="a pair of surrogates"),
        pytest.param("\ufeff\udc00", "\ufeff\N{REPLACEMENT CHARACTER}", id="low surrogate alone"),
        pytest.param(Text("é"), "é", id="subclass"),
    ],
)
def test_text_is_made_fit_for_utf_8(text: str, expected: str) -> None:
    assert clean_text(text) == expected
    assert type(clean_text(text)) is str


@given(st.text(st.characters()))
def test_any_text_can_be_encoded_and_what_could_be_is_unchanged(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode()
    assert clean_text(cleaned) == cleaned
    if not any("\ud800" <= one <= "\udfff" for one in text):
        assert cleaned == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("u-1", "u-1", id="text"),
        pytest.param(41, "41", id="integer"),
        pytest.param(UUID(int=7), "00000000-0000-0000-0000-000000000007", id="UUID"),
        pytest.param(Kind.COMPANY, "company", id="str and Enum"),
        pytest.param(Size.LARGE, "3", id="IntEnum"),
        pytest.param(Text("x"), "x", id="subclass of str"),
    ],
)
def test_the_text_of_an_id(value: Any, expected: str) -> None:
    assert text_of(value) == expected
    assert type(text_of(value)) is str


HASHABLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters()),
    st.binary(max_size=8),
    st.decimals().filter(lambda number: not number.is_snan()),
    st.fractions(),
    st.uuids(),
    st.datetimes(timezones=st.just(UTC) | st.none()),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.complex_numbers(),
    st.sampled_from([Plan.PRO, Kind.COMPANY, Size.LARGE, Colour.RED, Colour.MIXED, Text("é"), Point(1, 2), Item, len]),
    st.builds(object),
    st.builds(Silent),
    st.builds(Broken),
)
ODD = st.recursive(
    HASHABLE | st.builds(Remote) | st.builds(Order) | st.builds(Echo),
    lambda inside: (
        st.lists(inside, max_size=4)
        | st.tuples(inside, inside)
        | st.dictionaries(HASHABLE, inside, max_size=4)
        | st.frozensets(HASHABLE, max_size=4)
        | st.builds(Item, sku=inside, price=inside)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(HASHABLE, ODD, max_size=5))
def test_p8_any_properties_become_json_and_cleaning_them_again_changes_nothing(properties: dict[Any, Any]) -> None:
    cleaned, _ = clean_properties(properties)
    assert msgspec.json.decode(msgspec.json.encode(cleaned)).keys() == cleaned.keys()
    assert clean_properties(cleaned) == (cleaned, [])
