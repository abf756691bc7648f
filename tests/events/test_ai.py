"""What is left of AI events: privacy mode, errors, limits, names."""

from __future__ import annotations

from typing import Any

import pytest

from hogbox._events.ai import CONTENT, ai_properties, cut_event, error_summary
from hogbox._events.event import AI, ANALYTICS, Event, encode
from hogbox._events.limit import MAX_AI_STORED_BYTES, is_oversized, refusal
from hogbox._events.media import CUT_TO
from hogbox.errors import InvalidEvent

MEGABYTE = 1024 * 1024


class ProviderError(Exception):
    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        vars(self).update(fields)


class HostileError(Exception):
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no")

    def __str__(self) -> str:
        raise RuntimeError("no")


class RootlessError(Exception):
    @property
    def __cause__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no")


class Pretender:
    __class__ = ValueError  # type: ignore[assignment]


def chained() -> BaseException:
    try:
        try:
            raise KeyError("the prompt")
        except KeyError as error:
            raise ValueError("the prompt again") from error
    except ValueError as error:
        return error


SUMMARIES: dict[str, tuple[BaseException, str]] = {
    "a class alone": (ValueError("the prompt"), "ValueError"),
    "a status": (ProviderError("the prompt", status_code=429), "ProviderError: 429"),
    "a body": (
        ProviderError(
            "the prompt",
            status_code=400,
            code="context_length_exceeded",
            body={"error": {"type": "invalid_request_error", "param": "messages[0]", "message": "the prompt"}},
            request_id="req_1",
        ),
        "ProviderError: 400 context_length_exceeded invalid_request_error param=messages[0] request_id=req_1",
    ),
    "texts that are no codes": (
        ProviderError("x", status_code="400 the prompt", code="the prompt", param="a b", request_id="r\n"),
        "ProviderError",
    ),
    "a number that is no status": (ProviderError("x", status=7, code=True), "ProviderError"),
    "causes": (chained(), "ValueError (caused by KeyError)"),
    "attributes that raise": (HostileError(), "HostileError"),
    "a cause that raises": (RootlessError("x"), "RootlessError"),
}


@pytest.mark.parametrize(("error", "summary"), SUMMARIES.values(), ids=SUMMARIES)
def test_an_error_is_reduced_to_what_contains_no_text(error: BaseException, summary: str) -> None:
    assert error_summary(error) == summary


def test_an_endless_chain_of_causes_ends() -> None:
    error = ValueError("a")
    error.__context__ = TypeError("b")
    error.__context__.__context__ = error
    assert error_summary(error) == "ValueError (caused by TypeError, ValueError, TypeError)"


def test_privacy_mode_leaves_out_content_and_nothing_else() -> None:
    given = dict.fromkeys(CONTENT, "the prompt") | {"$ai_tokens": 3, "$ai_tools": [1], "$ai_error": chained()}
    expected = dict.fromkeys(CONTENT) | {
        "$ai_tokens": 3,
        "$ai_tools": [1],
        "$ai_error": "ValueError (caused by KeyError)",
    }
    for whole in (False, True):
        assert ai_properties(given, private=True, whole=whole) == expected
    assert ai_properties({"$ai_error": "the prompt"}, private=True, whole=False) == {"$ai_error": None}
    assert ai_properties({"$ai_error": Pretender()}, private=True, whole=False) == {"$ai_error": None}
    assert ai_properties({"$ai_model": "m"}, private=True, whole=False) == {"$ai_model": "m"}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("too long"), "too long"),
        (ValueError(), "ValueError"),
        (HostileError(), "HostileError"),
        ("as", "as"),
    ],
    ids=["text", "empty", "hostile", "a text"],
)
def test_without_privacy_mode_an_error_is_its_text(error: Any, text: str) -> None:
    assert ai_properties({"$ai_error": error}, private=False, whole=False) == {"$ai_error": text}


def test_content_beyond_all_limits_is_cut_before_anything_of_it_is_left_out() -> None:
    given = {"$ai_input": "x" * 9 * MEGABYTE, "$ai_output_choices": ["fine"]}
    read = ai_properties(given, private=False, whole=False)
    assert (len(read["$ai_input"]), read["$ai_output_choices"]) == (CUT_TO + len("... [truncated]"), ["fine"])
    assert ai_properties(given, private=False, whole=True) == given


def event(name: str = "$ai_generation", **properties: Any) -> Event:
    return {"uuid": "u", "event": name, "distinct_id": "u-1", "timestamp": "t", "properties": properties}


def refused(one: Event, lane: str = AI) -> str | None:
    return refusal(one, encode(one), lane)


def test_an_ai_event_may_be_larger_than_others() -> None:
    large = event(text="x" * MEGABYTE)
    assert refused(large) is None
    assert refused(large, ANALYTICS) == "the event has 1,048,674 bytes; PostHog accepts at most 921,600"
    room = 8 * MEGABYTE - len(encode(event(text="")))
    assert refused(event(text="x" * room)) is None
    assert refused(event(text="x" * (room + 1))) == "the event has 8,388,609 bytes; PostHog accepts at most 8,388,608"


@pytest.mark.parametrize(
    "text", ['"' * 4 * MEGABYTE, "é" * 2 * MEGABYTE, "x" * 12 * MEGABYTE], ids=["quotes", "é", "x"]
)
def test_an_event_that_a_database_may_not_store_raises_unless_it_is_cut(text: str) -> None:
    given: dict[str, Any] = {"$ai_input": [text, "short"]}
    large = event(**given)
    assert is_oversized(encode(large))
    with pytest.raises(InvalidEvent, match="capture less in one event"):
        refused(large)
    cut = cut_event(large)
    assert not is_oversized(encode(cut))
    assert cut["properties"]["$ai_input"][1] == "short"
    assert refused(cut) is None


def test_what_fits_when_it_is_escaped_fits() -> None:
    most = event(text='"' * 3 * MEGABYTE)
    assert len(encode(most)) < MAX_AI_STORED_BYTES
    assert not is_oversized(encode(most))
    assert refused(most) is None


@pytest.mark.parametrize(
    ("name", "fine"), [("$ai_generation", True), ("$ai_trace_clusters", True), ("$ai_new", False), ("paid", False)]
)
def test_a_name_that_posthog_refuses_on_the_ai_lane_is_refused(name: str, fine: bool) -> None:
    reason = refused(event(name))
    assert (reason is None) is fine
    assert fine or "does not accept events of this name" in str(reason)
    assert refused(event(name), ANALYTICS) is None
