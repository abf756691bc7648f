"""Uuids as PostHog writes them."""

from __future__ import annotations

from typing import Final
from uuid import UUID

_LENGTH: Final = 36


def canonical_uuid(text: str) -> str:
    """The uuid in lower case and with hyphens, as PostHog's answers name it; the text itself where it is not one."""
    if len(text) == _LENGTH and text.islower() and text[8] == text[13] == text[18] == text[23] == "-":
        return text
    try:
        return str(UUID(text.strip()))
    except ValueError:
        return text
