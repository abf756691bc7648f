"""The `before_send` chain (wire protocol 2.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hogbox._events.event import Event, encode
from hogbox._events.hook import BadHook, hook_chain, run_hooks
from hogbox.errors import ConfigurationError

UUID_TEXT = "01990f6a-3c4e-7b51-9a55-0d2a6f0b7c11"
TIMESTAMP = "2026-03-04T10:15:30.250000+00:00"


def new_event() -> Event:
    return {
        "uuid": UUID_TEXT,
        "event": "invoice paid",
        "distinct_id": "u-8842",
        "timestamp": TIMESTAMP,
        "properties": {"total": 41.5},
    }


def adding(name: str) -> Callable[[Event], Event]:
    def add(event: Event) -> Event:
        event["properties"].setdefault("seen by", []).append(name)
        return event

    return add


def setting(**fields: Any) -> Callable[[Event], Any]:
    return lambda event: {**event, **fields}


def dropping(event: Event) -> None:
    return None


def failing(event: Event) -> Event:
    raise LookupError("no such plan")


class Speechless(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def speechless(event: Event) -> Event:
    raise Speechless


def unreachable(event: Event) -> Event:
    raise AssertionError("a hook behind the end of the chain was called")


class Masking:
    def __call__(self, event: Event) -> Event:
        raise LookupError("no mask")


@pytest.mark.parametrize(
    ("hooks", "expected"),
    [
        pytest.param(None, (), id="none"),
        pytest.param([], (), id="no hooks"),
        pytest.param(dropping, (dropping,), id="one"),
        pytest.param([failing, dropping], (failing, dropping), id="list"),
        pytest.param((hook for hook in (failing, dropping)), (failing, dropping), id="any iterable"),
    ],
)
def test_hooks_stay_in_their_order(hooks: Any, expected: Any) -> None:
    assert hook_chain(hooks) == expected


@pytest.mark.parametrize("hooks", [5, "scrub", [dropping, None], {"a": 1}], ids=["number", "text", "list", "dict"])
def test_p8_what_cannot_be_called_is_refused_at_once(hooks: Any) -> None:
    with pytest.raises(ConfigurationError, match="before_send must be a callable or a list of them, not"):
        hook_chain(hooks)


def test_without_hooks_an_event_stays_as_it_is() -> None:
    assert run_hooks(new_event(), ()) == (new_event(), [])


def test_each_hook_gets_the_last_ones_event() -> None:
    event, problems = run_hooks(new_event(), [adding("first"), adding("second")])
    assert event == {**new_event(), "properties": {"total": 41.5, "seen by": ["first", "second"]}}
    assert problems == []


def test_none_refuses_the_event_and_ends_the_chain() -> None:
    assert run_hooks(new_event(), [adding("first"), dropping, unreachable]) == (None, [])


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        pytest.param(failing, "before_send failing raised LookupError: no such plan", id="function"),
        pytest.param(Masking(), "before_send Masking raised LookupError: no mask", id="object"),
        pytest.param(speechless, "before_send speechless raised Speechless", id="exception without text"),
    ],
)
def test_p2_a_hook_that_raises_ends_the_chain_and_the_event_is_not_sent_raw(hook: Any, message: str) -> None:
    with pytest.raises(BadHook) as caught:
        run_hooks(new_event(), [hook, unreachable])
    assert str(caught.value) == message
    assert isinstance(caught.value.__cause__, Exception)


@pytest.mark.parametrize(
    "answer",
    [True, "invoice paid", [], {}, {"properties": None}, {**new_event(), "properties": []}],
    ids=["flag", "text", "list", "empty", "no properties", "properties of a wrong type"],
)
def test_an_answer_that_is_no_event_is_not_sent(answer: Any) -> None:
    with pytest.raises(BadHook, match=f"returned {type(answer).__name__}, which is not an event: return the event or"):
        run_hooks(new_event(), [lambda _: answer])


@pytest.mark.parametrize("field", ["event", "distinct_id"])
@pytest.mark.parametrize("value", [None, "", " ", 5], ids=repr)
def test_a_name_or_distinct_id_that_is_no_text_is_not_sent(field: str, value: Any) -> None:
    with pytest.raises(BadHook, match=f"before_send set '{field}' to {value!r}: it must be text and not empty"):
        run_hooks(new_event(), [setting(**{field: value})])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"distinct_id": "u-1"}, {"distinct_id": "u-1"}, id="distinct id"),
        pytest.param({"event": "a\ud800"}, {"event": "a\N{REPLACEMENT CHARACTER}"}, id="name of broken text"),
        pytest.param({"distinct_id": "\ud800"}, {"distinct_id": "\N{REPLACEMENT CHARACTER}"}, id="id of broken text"),
        pytest.param({"uuid": UUID_TEXT.upper()}, {"uuid": UUID_TEXT}, id="uuid in capitals"),
        pytest.param(
            {"timestamp": "2026-01-02T08:00:00+05:30"},
            {"timestamp": "2026-01-02T02:30:00.000000+00:00"},
            id="time of another zone",
        ),
        pytest.param({"type": "capture", "$set": {"a": 1}}, {}, id="unknown fields are left out"),
    ],
)
def test_a_changed_field_is_used(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    event, problems = run_hooks(new_event(), [setting(**fields)])
    assert event == {**new_event(), **expected}
    assert problems == []


@pytest.mark.parametrize("field", ["uuid", "timestamp"])
@pytest.mark.parametrize("value", [None, "", "yesterday", 17, 1.5], ids=repr)
def test_p3_an_invalid_uuid_or_time_gives_way_to_the_original(field: str, value: Any) -> None:
    def spoil(event: Any) -> Any:
        event[field] = value
        return event

    assert run_hooks(new_event(), [spoil]) == (new_event(), [])


def test_p8_values_that_a_hook_adds_are_cleaned_too() -> None:
    event, problems = run_hooks(new_event(), [setting(properties={"tags": {"a"}, "odd": object()})])
    assert event is not None
    assert event["properties"] == {"tags": ["a"], "odd": None}
    assert problems == ["property 'odd': object has no JSON form; sent as null"]
    encode(event)
