"""Media and long texts in the content of AI events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox._events.media import CUT_TO, ContentReader

BASE64 = "iVBORw0KGgo" * 30
WORDS = "what is in this picture? " * 20

REPLACED: dict[str, tuple[Any, Any]] = {
    "a data URL": ("data:image/png;base64,AAAA", "[base64 image redacted]"),
    "with a parameter": ("data:audio/wav;rate=8000;base64,AAAA", "[base64 audio redacted]"),
    "of another kind": ("data:application/pdf;base64,AAAA", "[base64 file redacted]"),
    "OpenAI's image": (
        [{"type": "image_url", "image_url": {"url": BASE64}}],
        [{"type": "image_url", "image_url": {"url": "[base64 image redacted]"}}],
    ),
    "OpenAI's audio": (
        {"input_audio": {"data": BASE64, "format": "wav"}},
        {"input_audio": {"data": "[base64 audio redacted]", "format": "wav"}},
    ),
    "OpenAI's generated image": (
        {"type": "image_generation_call", "result": BASE64},
        {"type": "image_generation_call", "result": "[base64 image redacted]"},
    ),
    "Anthropic's": (
        {"source": {"type": "base64", "media_type": "application/pdf", "data": BASE64}},
        {"source": {"type": "base64", "media_type": "application/pdf", "data": "[base64 file redacted]"}},
    ),
    "Gemini's bytes": (
        {"inline_data": {"mime_type": "video/mp4", "data": b"\0\1"}},
        {"inline_data": {"mime_type": "video/mp4", "data": "[base64 video redacted]"}},
    ),
    "in a list under the key": ({"data": [BASE64, "short"]}, {"data": ["[base64 image redacted]", "short"]}),
    "a kind beside it": ({"type": "video", "data": BASE64}, {"type": "video", "data": "[base64 video redacted]"}),
}

KEPT: dict[str, Any] = {
    "text": WORDS,
    "text under a media key": {"data": WORDS},
    "an id": {"data": "aGVsbG8"},
    "a link": {"image_url": {"url": "https://example.com/cat.png"}},
    "base64 elsewhere": {"signature": BASE64},
    "a tool's result": {"type": "tool_result", "result": BASE64},
    "a data URL that is text": "data:text/plain,hello",
    "no text": [1, 2.5, None, True, {"a": {}}],
}


@pytest.mark.parametrize(("value", "expected"), REPLACED.values(), ids=REPLACED)
def test_media_is_replaced(value: Any, expected: Any) -> None:
    assert ContentReader().read(value, "$ai_input") == expected


@pytest.mark.parametrize("value", KEPT.values(), ids=KEPT)
def test_what_is_no_media_is_kept(value: Any) -> None:
    assert ContentReader().read(value, "$ai_input") == value


def test_a_long_text_is_cut_and_what_is_kept_is_counted() -> None:
    reader = ContentReader(CUT_TO)
    assert reader.read(["x" * 5000, {"a": "é" * 5001}], "$ai_input") == [
        "x" * 5000,
        {"a": "é" * 5000 + "... [truncated]"},
    ]
    assert reader.characters == 10_000 + len("... [truncated]")


def test_the_value_itself_is_not_changed() -> None:
    value = {"data": [BASE64]}
    ContentReader().read(value, "$ai_input")
    assert value == {"data": [BASE64]}


def test_a_list_in_itself_and_lists_of_lists_take_no_time() -> None:
    within: list[Any] = ["data:image/png;base64,AAAA"]
    within.append(within)
    assert ContentReader().read(within, "$ai_input")[0] == "[base64 image redacted]"
    doubled: Any = ["x"]
    for _ in range(90):
        doubled = [doubled, {"data": doubled}]
    assert ContentReader().read(doubled, "$ai_input")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@given(JSON)
def test_json_without_media_is_copied_as_it_is(value: Any) -> None:
    assert ContentReader(CUT_TO).read(value, "$ai_input") == value
