"""Texts of others can't make a terminal do something, or a log show a line that is none."""

from __future__ import annotations

import json
import logging

import pytest

from hogbox._operations.console import LineFormatter
from hogbox._wire.definitions import RefreshContext, Reply, interpret
from hogbox._wire.printable import json_text, one_line, printable
from hogbox._wire.verdict import judge, no_answer

OBEYED = [
    *(chr(code) for code in range(0x20) if chr(code) not in "\t\n"),
    *(chr(code) for code in range(0x7F, 0xA0)),
    *"\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    "\ud800",
]


@pytest.mark.parametrize("character", OBEYED)
def test_what_a_terminal_obeys_is_replaced(character: str) -> None:
    assert printable(f"a{character}b\n\tc") == "a\N{REPLACEMENT CHARACTER}b\n\tc"
    shown = json_text({"a": [character]}, indent=1)
    assert character not in shown
    assert json.loads(shown) == {"a": [character]}


@pytest.mark.parametrize("text", ["Zoë", "東京", "👩‍👧 family", "a\u00a0b", "ی‌ک"])
def test_other_text_is_as_it_is(text: str) -> None:
    assert printable(text) == text
    assert text in json_text([text])


def test_one_line_is_one_line_and_hides_secrets() -> None:
    text = "busy\r\n2026-01-01 INFO forged\x85\u2028x \x1b[2J phc_secret"
    assert one_line(text, hide=["phc_secret"]) == "busy 2026-01-01 INFO forged\ufffd\ufffdx \ufffd[2J [hidden]"
    assert one_line("abc", 2) == "ab"


def test_reasons_are_clean_where_they_are_made() -> None:
    body = "busy \x1b]0;x\x07\r\nINFO forged\x85line"
    clean = "busy \ufffd]0;x\ufffd INFO forged\ufffdline"
    assert judge(503, body).reason == f"HTTP 503: {clean}"
    assert no_answer(body).reason == clean
    found = interpret(Reply(500, body.encode(), location="http://x/\x1b"), RefreshContext(False, None), dict)
    assert found.detail == f"HTTP 500: {clean} (redirects to http://x/\ufffd)"


def test_a_message_is_one_line_of_the_log_and_its_traceback_is_printable() -> None:
    formatter = LineFormatter("%(levelname)s %(message)s")
    record = logging.LogRecord("hogbox", logging.INFO, "", 1, "took\n2026 ERROR forged \x1b[2J", (), None)
    assert formatter.format(record) == "INFO took 2026 ERROR forged \ufffd[2J"
    try:
        raise ValueError("\x1b[2J")
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    lines = formatter.format(record).splitlines()
    assert lines[0].startswith("INFO took")
    assert lines[-1] == "ValueError: \ufffd[2J"
