"""Text as ASCII: what hogbox stores survives every encoding of a connection and of a database.

A character outside of ASCII is stored as JSON writes it, `\\u00e9`, or as two such surrogates. A JSON text that is
escaped has the same meaning to every JSON reader; other texts are shown unescaped.
"""

from __future__ import annotations

import json
import re
from typing import Final

_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]+")

_ESCAPES: Final = re.compile(r"(?<!\\)((?:\\\\)*)((?:\\u[0-9a-fA-F]{4})+)")
"""Escaped characters next to each other; a backslash that is escaped itself begins none."""

_ESCAPED: Final = "\\u"


def escape(text: str) -> str:
    """The text in ASCII."""
    return text if text.isascii() else _BEYOND_ASCII.sub(_escaped, text)


def unescape(text: str) -> str:
    """The text with its characters in place of their escapes. What is not escaped, and a lone surrogate, stay."""
    return _ESCAPES.sub(_unescaped, text) if _ESCAPED in text else text


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def _unescaped(match: re.Match[str]) -> str:
    text: str = json.loads(f'"{match[2]}"')
    try:
        text.encode()
    except UnicodeEncodeError:
        return match[0]
    # Control characters, quotes and backslashes have to stay escaped.
    return match[1] + json.dumps(text, ensure_ascii=False)[1:-1]
