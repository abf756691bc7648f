"""Tables and text for a terminal: plain lines without control characters."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from hogbox._wire.printable import one_line

_UNKNOWN: Final = "?"
"""Printed for a value that is not a timestamp, written by another program."""

_UNITS: Final = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def lined_up(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns under their titles, two spaces apart; the last one is not padded."""
    table = [head, *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in table) for index in range(len(head) - 1)]
    lines = (
        "  ".join([*(f"{cell:{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in table
    )
    return "\n".join(line.rstrip() for line in lines)


def cut(text: str, length: int) -> str:
    """A text on one line, truncated to this length."""
    line = one_line(text)
    return line if len(line) <= length else f"{line[: length - 1]}…"


def age_of(milliseconds: object) -> str:
    """The approximate age of this timestamp: `5m`, `3d`."""
    if not isinstance(milliseconds, int):
        return _UNKNOWN
    seconds = max(0, int(time.time()) - milliseconds // 1000)
    return next((f"{seconds // size}{unit}" for unit, size in _UNITS if seconds >= size), "0s")


def moment_of(milliseconds: object) -> str:
    """This timestamp in UTC: `2026-01-31T12:00:00Z`."""
    if not isinstance(milliseconds, int):
        return _UNKNOWN
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return _UNKNOWN
