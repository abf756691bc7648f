"""The properties of `$exception` (wire protocol 2.11)."""

from __future__ import annotations

import json
import linecache
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox._events.exception import (
    FINGERPRINT,
    MAX_EXCEPTIONS,
    MAX_LIST_BYTES,
    MAX_VALUE_BYTES,
    RESERVED,
    exception_properties,
    merge_properties,
)
from hogbox._events.frame import ProjectCode
from hogbox._events.in_app import CodePlaces

Entry = dict[str, Any]


def no_source(filename: str, namespace: dict[str, Any] | None) -> Sequence[str]:
    return []


def properties(error: object, **known: Any) -> dict[str, Any]:
    project = ProjectCode(lines=known.pop("lines", no_source), places=CodePlaces(root=known.pop("root", "/srv")))
    return exception_properties(error, project=project, **known)


def entries(error: object, **known: Any) -> list[Entry]:
    listed: list[Entry] = properties(error, **known)["$exception_list"]
    return listed


def entry(error: object, **known: Any) -> Entry:
    (only,) = entries(error, **known)
    return only


def caught(act: Callable[[], object]) -> BaseException:
    try:
        act()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def shape(error: BaseException) -> list[tuple[str, str | None, int | None]]:
    """Each entry's value, relation to its parent, and parent."""
    return [
        (each["value"], each["mechanism"].get("source"), each["mechanism"].get("parent_id")) for each in entries(error)
    ]


class PaymentError(Exception):
    pass


def test_a_raised_exception_becomes_an_entry_with_its_stack() -> None:
    def pay() -> NoReturn:
        raise PaymentError("card declined")

    found = entry(caught(pay), lines=linecache.getlines)
    frames = found.pop("stacktrace")
    assert found == {
        "type": "PaymentError",
        "value": "card declined",
        "module": __name__,
        "mechanism": {"type": "generic", "handled": True, "synthetic": False, "exception_id": 0},
    }
    assert frames["type"] == "raw"
    assert frames["frames"][-1]["context_line"] == '        raise PaymentError("card declined")'


def test_an_exception_that_was_never_raised_has_no_stack_and_is_not_synthetic() -> None:
    assert entry(ValueError("no")) == {
        "type": "ValueError",
        "value": "no",
        "mechanism": {"type": "generic", "handled": True, "synthetic": False, "exception_id": 0},
    }


def test_a_nested_class_is_known_by_its_qualified_name() -> None:
    class DeclinedError(Exception):
        pass

    assert entry(DeclinedError())["type"].endswith("<locals>.DeclinedError")


def test_a_class_without_a_name_still_has_a_type() -> None:
    assert entry(type("", (Exception,), {})())["type"] == "Exception"


def said_by(error: BaseException, **attributes: object) -> str:
    vars(error).update(attributes)
    value: str = entry(error)["value"]
    return value


def test_the_value_is_the_exceptions_text_else_its_message_else_its_detail() -> None:
    assert said_by(PaymentError("text"), message="message", detail="detail") == "text"
    assert said_by(PaymentError(), message="message", detail="detail") == "message"
    assert said_by(PaymentError(), message=7, detail="detail") == "detail"
    assert said_by(PaymentError(), message="") == ""


# Levels, sources, fingerprints


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("fatal", "fatal"),
        ("error", "error"),
        ("warning", "warning"),
        ("log", "log"),
        ("info", "info"),
        ("debug", "debug"),
        ("critical", "fatal"),
        ("alert", "fatal"),
        ("emergency", "fatal"),
        ("warn", "warning"),
        ("notice", "info"),
        ("trace", "debug"),
        (" WARNING ", "warning"),
        ("loud", None),
        ("", None),
        (None, None),
        (40, None),
    ],
)
def test_a_level_is_one_that_posthog_knows_or_unset(given: Any, sent: str | None) -> None:
    assert properties("boom", level=given).get("$exception_level") == sent


def test_a_manual_capture_is_an_error_with_no_source_and_no_fingerprint() -> None:
    found = properties(ValueError("no"))
    assert found.keys() == {"$exception_list", "$exception_level"}
    assert found["$exception_level"] == "error"


def test_source_and_fingerprint_are_passed_on_untouched() -> None:
    found = properties("boom", source="django.middleware", fingerprint=" Mine ")
    assert found["$exception_source"] == "django.middleware"
    assert found[FINGERPRINT] == " Mine "


@pytest.mark.parametrize("malformed", ["", None, 7])
def test_a_malformed_field_is_dropped_on_its_own(malformed: Any) -> None:
    found = properties("boom", source=malformed, fingerprint=malformed, mechanism_type=malformed, handled=malformed)
    assert found.keys() == {"$exception_list", "$exception_level"}
    assert found["$exception_list"][0]["mechanism"] == {"synthetic": True, "exception_id": 0}


# Chains


def test_a_cause_follows_what_it_led_to() -> None:
    def act() -> NoReturn:
        try:
            raise LookupError("root")
        except LookupError as error:
            raise PaymentError("outer") from error

    first, second = entries(caught(act), mechanism_type="middleware", handled=False)
    assert (first["value"], second["value"]) == ("outer", "root")
    assert first["mechanism"] == {
        "type": "middleware",
        "handled": False,
        "synthetic": False,
        "exception_id": 0,
    }
    assert second["mechanism"] == {
        "type": "chained",
        "source": "cause",
        "synthetic": False,
        "exception_id": 1,
        "parent_id": 0,
    }
    assert "stacktrace" in second


def test_a_context_is_followed_where_there_is_no_cause() -> None:
    def act() -> NoReturn:
        try:
            raise LookupError("root")
        except LookupError:
            raise PaymentError("outer")  # noqa: B904 the context is what is tested

    assert shape(caught(act)) == [("outer", None, None), ("root", "context", 0)]


def test_raising_from_none_ends_the_chain() -> None:
    def act() -> NoReturn:
        try:
            raise LookupError("root")
        except LookupError:
            raise PaymentError("outer") from None

    assert shape(caught(act)) == [("outer", None, None)]


def test_the_context_is_followed_where_a_cause_does_not_suppress_it() -> None:
    outer = PaymentError("outer")
    outer.__context__, outer.__cause__ = LookupError("context"), LookupError("cause")
    outer.__suppress_context__ = False
    assert shape(outer) == [("outer", None, None), ("context", "context", 0)]


def test_a_chain_that_bites_its_tail_is_listed_once() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__context__, second.__cause__ = second, first
    assert shape(first) == [("first", None, None), ("second", "context", 0)]
    first.__cause__ = first
    assert shape(first) == [("first", None, None)]


def test_members_of_a_group_are_its_children_in_their_order_with_their_own_below_each() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__ = KeyError("below one")
    inner = ExceptionGroup("inner", [two])
    group = ExceptionGroup("outer", [one, inner])
    assert shape(group) == [
        ("outer (2 sub-exceptions)", None, None),
        ("one", "member", 0),
        ("'below one'", "cause", 1),
        ("inner (1 sub-exception)", "member", 0),
        ("two", "member", 3),
    ]


def test_a_groups_own_cause_comes_before_its_members() -> None:
    group = BaseExceptionGroup("outer", [ValueError("member")])
    group.__cause__ = LookupError("cause")
    assert shape(group) == [
        ("outer (1 sub-exception)", None, None),
        ("cause", "cause", 0),
        ("member", "member", 0),
    ]


def test_an_exception_that_is_cause_and_member_is_listed_once() -> None:
    shared = ValueError("shared")
    group = ExceptionGroup("outer", [shared, shared])
    group.__cause__ = shared
    assert shape(group) == [("outer (2 sub-exceptions)", None, None), ("shared", "cause", 0)]


def failing_with(value: str) -> NoReturn:
    raise PaymentError(value)


def chain(values: Sequence[str]) -> BaseException:
    """Exceptions that led to one another, the outermost first."""
    errors = [caught(partial(failing_with, value)) for value in values]
    for error, below in pairwise(errors):
        error.__context__ = below
    return errors[0]


def test_of_a_long_chain_the_first_fifty_are_listed() -> None:
    found = entries(chain([str(number) for number in range(80)]))
    assert [each["value"] for each in found] == [str(number) for number in range(50)]
    assert [each["mechanism"]["exception_id"] for each in found] == list(range(50))
    assert len(found) == MAX_EXCEPTIONS


def test_a_wide_group_does_not_push_out_its_cause() -> None:
    group = ExceptionGroup("outer", [ValueError(str(number)) for number in range(200)])
    group.__cause__ = LookupError("cause")
    found = entries(group)
    assert len(found) == MAX_EXCEPTIONS
    assert found[1]["value"] == "cause"
    assert found[-1]["value"] == "47"


Tree = st.recursive(
    st.builds(ValueError, st.text(max_size=5)),
    lambda below: st.one_of(
        st.builds(lambda members: ExceptionGroup("group", members), st.lists(below, min_size=1, max_size=6)),
        st.builds(lambda error, cause: chained(error, cause), below, below),
    ),
    max_leaves=80,
)


def chained(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def reachable(outermost: BaseException) -> set[int]:
    pending, found = [outermost], set[int]()
    while pending:
        error = pending.pop()
        if id(error) not in found:
            found.add(id(error))
            pending += [each for each in (error.__cause__, *getattr(error, "exceptions", ())) if each]
    return found


@given(error=Tree, back=st.booleans())
def test_any_tree_is_listed_with_parents_before_children_and_every_number_once(error: Exception, back: bool) -> None:
    if back and error.__cause__:
        error.__cause__.__cause__ = error
    found = entries(error)
    json.dumps(found)
    assert len(found) == min(MAX_EXCEPTIONS, len(reachable(error)))
    assert [each["mechanism"]["exception_id"] for each in found] == list(range(len(found)))
    for number, each in enumerate(found[1:], start=1):
        assert 0 <= each["mechanism"]["parent_id"] < number
        assert each["mechanism"]["type"] == "chained"
        assert each["mechanism"]["source"] in {"cause", "context", "member"}
        assert "handled" not in each["mechanism"]
        assert None not in each.values()


# Sizes


def recursing(depth: int) -> None:
    if depth:
        recursing(depth - 1)
    raise PaymentError("at the bottom")


def test_an_ordinary_exception_keeps_a_hundred_frames_with_their_source() -> None:
    found = entry(caught(lambda: recursing(120)), lines=linecache.getlines)
    frames = found["stacktrace"]["frames"]
    assert len(frames) == 100
    assert all("context_line" in frame for frame in frames)


def test_endless_recursion_is_captured() -> None:
    def forever() -> None:
        forever()

    found = entry(caught(forever), lines=linecache.getlines)
    assert found["type"] == "RecursionError"
    assert len(found["stacktrace"]["frames"]) == 100


def endless_lines(filename: str, namespace: dict[str, Any] | None) -> Sequence[str]:
    return ["\x01" * 5_000] * 500


def test_the_worst_chain_stays_far_below_the_limit_of_an_event_and_keeps_its_root_cause() -> None:
    errors = [caught(lambda: recursing(150)) for _ in range(60)]
    for error, below in pairwise(errors):
        error.args = ("\x01" * 100_000,)
        error.__context__ = below
    found = entries(errors[0], lines=endless_lines)
    assert len(found) == MAX_EXCEPTIONS
    assert len(json.dumps(found)) <= MAX_LIST_BYTES + MAX_EXCEPTIONS * 100
    assert all(each["value"].startswith("\x01" * 500) for each in found)


def test_what_outer_exceptions_leave_goes_to_the_root_cause() -> None:
    root = caught(lambda: recursing(150))
    outer = chain([str(number) for number in range(20)])
    innermost = outer
    while innermost.__context__:
        innermost = innermost.__context__
    innermost.__context__ = root
    last = entries(outer, lines=linecache.getlines)[-1]
    assert last["value"] == "at the bottom"
    assert len(last["stacktrace"]["frames"]) == 100


def test_a_long_value_is_cut() -> None:
    assert entry(ValueError("é" * 10_000))["value"] == "é" * 4_094 + "..."
    assert len(entry("a" * 100_000)["value"]) == MAX_VALUE_BYTES


def test_text_that_utf8_cannot_hold_is_mended() -> None:
    entry(ValueError("\ud800"))["value"].encode()
    entry("\ud800")["value"].encode()


# What is no exception


def test_a_string_is_an_error_of_that_text_and_synthetic() -> None:
    assert entry("card declined") == {
        "type": "Error",
        "value": "card declined",
        "mechanism": {"type": "generic", "handled": True, "synthetic": True, "exception_id": 0},
    }


@pytest.mark.parametrize("make", [dict, SimpleNamespace])
def test_an_object_or_mapping_with_a_message_gives_its_message_name_and_stack(
    make: Callable[..., object],
) -> None:
    found = entry(make(message="card declined", name="PaymentError", stack="at pay (pay.js:1:2)"))
    assert (found["type"], found["value"]) == ("PaymentError", "card declined")
    assert found["mechanism"]["synthetic"] is True
    assert "stack" not in found["mechanism"]
    (frame,) = found["stacktrace"]["frames"]
    assert (frame["function"], frame["filename"], frame["lineno"], frame["colno"]) == ("pay", "pay.js", 1, 2)


def test_a_stack_in_an_unknown_form_is_kept_as_text() -> None:
    found = entry({"message": "card declined", "stack": "somewhere in pay"})
    assert found["mechanism"]["stack"] == "somewhere in pay"
    assert "stacktrace" not in found


def test_a_name_or_stack_that_is_no_text_is_not_used() -> None:
    found = entry({"message": "", "name": 7, "stack": ["pay"]})
    assert (found["type"], found["value"]) == ("Error", "")
    assert "stack" not in found["mechanism"]


@pytest.mark.parametrize(
    ("thing", "value"),
    [
        (42, "42"),
        (None, "None"),
        ({"message": 7, "name": "Ignored"}, "{'message': 7, 'name': 'Ignored'}"),
        (ValueError, "<class 'ValueError'>"),
    ],
)
def test_anything_else_is_an_error_of_its_text(thing: object, value: str) -> None:
    found = entry(thing)
    assert (found["type"], found["value"], found["mechanism"]["synthetic"]) == ("Error", value, True)


def test_looking_at_a_mapping_does_not_change_it() -> None:
    mapping: defaultdict[str, str] = defaultdict(lambda: "made up")
    entry(mapping)
    assert not mapping


# Hostile objects


class Hostile:
    """Raises whatever is done to it."""

    def __getattribute__(self, name: str) -> NoReturn:
        raise RuntimeError(name)

    def __str__(self) -> NoReturn:
        raise RuntimeError

    __repr__ = __str__


class HostileMapping(Mapping[str, str]):
    def __getitem__(self, key: str) -> NoReturn:
        raise RuntimeError

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError

    def __len__(self) -> NoReturn:
        raise RuntimeError

    def __repr__(self) -> NoReturn:
        raise RuntimeError


class HostileError(PaymentError):
    def __str__(self) -> NoReturn:
        raise RuntimeError

    @property
    def message(self) -> NoReturn:
        raise RuntimeError

    @property
    def detail(self) -> object:
        return self.args[0]

    @property
    def __context__(self) -> NoReturn:  # type: ignore[override]
        raise RuntimeError

    @property
    def __traceback__(self) -> str:  # type: ignore[override]
        return "not one"


class HostileGroup(ExceptionGroup[Exception]):
    @property
    def exceptions(self) -> Any:
        return self.message


class FalseFriend:
    """Says that it is an exception."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return ValueError

    def __str__(self) -> str:
        return "a friend"


class MappingError(Exception, Mapping[str, str]):
    """An exception that is a mapping too; its cause is an attribute all the same."""

    def __getitem__(self, key: str) -> NoReturn:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class LoudText(str):
    __slots__ = ()

    def __str__(self) -> NoReturn:
        raise RuntimeError

    def encode(self, *args: object) -> NoReturn:
        raise RuntimeError


@pytest.mark.parametrize(
    ("make", "type_", "value"),
    [
        (Hostile, "Error", "<unprintable Hostile object>"),
        (HostileMapping, "Error", "<unprintable HostileMapping object>"),
        (lambda: HostileError("detail"), "HostileError", "detail"),
        (lambda: HostileError(7), "HostileError", "<unprintable HostileError object>"),
        (lambda: HostileGroup("group", [ValueError()]), "HostileGroup", "group (1 sub-exception)"),
        (FalseFriend, "Error", "a friend"),
        (lambda: SimpleNamespace(message=LoudText("loud")), "Error", "loud"),
        (lambda: LoudText("loud"), "Error", "<unprintable LoudText object>"),
    ],
)
def test_p8_objects_that_misbehave_are_captured_all_the_same(
    make: Callable[[], object], type_: str, value: str
) -> None:
    found = entries(make())[0]
    assert (found["type"], found["value"]) == (type_, value)
    json.dumps(found)


def test_a_cause_is_found_on_an_exception_that_is_a_mapping() -> None:
    error = MappingError("outer")
    error.__cause__ = LookupError("cause")
    assert shape(error) == [("outer", None, None), ("cause", "cause", 0)]


# The caller's properties


def test_a_callers_properties_are_merged() -> None:
    own = properties("boom")
    assert merge_properties({"plan": "pro"}, own) == {"plan": "pro", **own}
    assert merge_properties(None, own) == own


def test_a_caller_cannot_set_what_belongs_to_the_exception() -> None:
    own = properties("boom", level=None)
    assert merge_properties(dict.fromkeys(RESERVED, "mine"), own) == own


def test_a_fingerprint_may_come_among_the_properties_but_the_argument_wins() -> None:
    bag = {FINGERPRINT: "in the bag"}
    assert merge_properties(bag, properties("boom"))[FINGERPRINT] == "in the bag"
    assert merge_properties(bag, properties("boom", fingerprint="argument"))[FINGERPRINT] == "argument"
    assert bag == {FINGERPRINT: "in the bag"}


@pytest.mark.parametrize("malformed", ["", None, 7])
def test_a_malformed_fingerprint_among_the_properties_is_dropped(malformed: object) -> None:
    assert FINGERPRINT not in merge_properties({FINGERPRINT: malformed}, properties("boom"))


def test_every_property_of_an_exception_but_its_fingerprint_is_reserved() -> None:
    own = properties("boom", source="django.middleware", fingerprint="mine")
    assert own.keys() - RESERVED == {FINGERPRINT}


class Record(dict[str, object]):
    """A mapping of the application's."""


def exploding() -> dict[str, object]:
    """Sixty objects, of which the text has 3 to the power of 60 parts."""
    inner: dict[str, object] = {"deepest": 1}
    for _ in range(60):
        inner = Record(a=inner, b=[inner], c=(inner,))
    return inner


@pytest.mark.parametrize(
    "error", [ValueError("failed", exploding()), KeyError(exploding()), OSError(2, "failed", exploding()), exploding()]
)
def test_p8_a_text_that_would_never_end_is_abridged(error: object) -> None:
    (entry,) = entries(error)
    assert 0 < len(entry["value"]) <= MAX_VALUE_BYTES


def test_arguments_of_a_usual_size_are_told_as_python_tells_them() -> None:
    itself: dict[str, object] = {"name": "Zoë", "many": list(range(1000))}
    itself["self"] = itself
    (entry,) = entries(ValueError(itself))
    assert entry["value"] == str(ValueError(itself))
