"""Escaping: a text becomes ASCII, and comes back as it was."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hogbox._events.escape import escape, unescape

TEXT = st.text(st.characters(codec="utf-8"))


@given(TEXT)
def test_a_json_text_keeps_its_meaning_and_comes_back_as_it_was(text: str) -> None:
    written = json.dumps({text: [text]}, ensure_ascii=False)
    stored = escape(written)
    assert stored.isascii()
    assert json.loads(stored) == {text: [text]}
    assert unescape(stored) == written


@pytest.mark.parametrize(
    "written", [r'"\\u00e9"', r'"\u0022\u0000"', r'"\ud800"', r'"a\\\\u00e9\n"', '"\x7f"', r'"\ud83d"', r'"\u005c"']
)
def test_what_was_escaped_for_another_reason_keeps_its_meaning(written: str) -> None:
    assert json.loads(unescape(written)) == json.loads(written)
    assert escape(written) == written


def test_both_forms_are_understood() -> None:
    assert unescape('"é\\u00e9\\ud83e\\udd94"') == '"éé🦔"'
    assert escape("キー: 無効") == "\\u30ad\\u30fc: \\u7121\\u52b9"
    assert unescape("\\u30ad\\u30fc: \\u7121\\u52b9") == "キー: 無効"
