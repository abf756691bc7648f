"""Text: what a column of text holds, for people. SQLite keeps values of any type in any column."""

from __future__ import annotations


def text_of(value: str | bytes) -> str:
    """The value; bytes in hexadecimal, as SQLite's shell shows them."""
    return value.hex().upper() if isinstance(value, bytes) else str(value)


def text_or_none(value: str | bytes | None) -> str | None:
    """The same of a column that may be null."""
    return None if value is None else text_of(value)
