"""Printable: text from elsewhere without the characters that a terminal or a log viewer would interpret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

_OBEYED: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but for tabulator and newline, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # these change the direction of what follows
    "\u2028\u2029"  # these end a line
    "\ud800-\udfff]"  # and these can't be encoded
)


def printable(text: str) -> str:
    """The text with U+FFFD in place of each control character except tab and newline."""
    return _OBEYED.sub("\N{REPLACEMENT CHARACTER}", text)


def one_line(text: object, most: int | None = None, hide: Iterable[str] = ()) -> str:
    """The same on one line, with the secrets in `hide` replaced; the first `most` characters.

    For an excerpt of a response, a database error, a name in a log line: nothing in it can look like another line.
    """
    shown = str(text)
    for secret in hide:
        if secret:
            shown = shown.replace(secret, "[hidden]")
    # The control characters first: some of them are whitespace to split(), which would hide that they were there.
    return " ".join(printable(shown.replace("\r\n", "\n")).split())[:most]


def counted(number: int, noun: str) -> str:
    """A number of things: `1 event`, `2 events`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def json_text(document: Any, indent: int | None = None) -> str:
    """JSON for a terminal: text as it is, with every control character escaped, even where JSON allows it."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
