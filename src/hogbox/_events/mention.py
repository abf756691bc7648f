"""Mentions: a person's distinct id in an error message, in the spellings that servers and libraries use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

_FORGOTTEN: Final = "[forgotten]"


def spellings(distinct_id: str) -> list[str]:
    """The distinct id as it may appear in a message: unchanged, on one line, in JSON, in a URL; longest first."""
    one_line = " ".join(distinct_id.split())
    within_json = (json.dumps(distinct_id, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False))
    url = quote(distinct_id.encode("utf-8", "replace"), safe="")
    found = {distinct_id, one_line, repr(distinct_id)[1:-1], *within_json, url} - {""}
    return sorted(found, key=lambda text: (-len(text), text))


def without(text: str, looked_for: Iterable[str]) -> str:
    """The text with each of these replaced, unless it is part of a longer word or number."""
    for one in looked_for:
        text = re.sub(rf"(?<!\w){re.escape(one)}(?!\w)", _FORGOTTEN, text)
    return text
