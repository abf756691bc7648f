"""Whether the outbox has room for another event, by the bounds that the user has set."""

from __future__ import annotations

from typing import Final, NamedTuple

RAISE: Final = "raise"
DEAD_LETTER: Final = "dead-letter"
POLICIES: Final = (RAISE, DEAD_LETTER)
"""What becomes of an event for which there is no room."""


class Bounds(NamedTuple):
    """How large the outbox and a SQLite database may become; 0: as large as they like."""

    rows: int = 0
    bytes: int = 0
    disk: int = 0

    def most_rows(self, average: int) -> int | None:
        """The rows that there may be, where payloads have this many bytes on average; None: any number."""
        by_bytes = -(-self.bytes // max(1, average)) if self.bytes else None
        return min((bound for bound in (self.rows or None, by_bytes) if bound is not None), default=None)


NO_BOUNDS: Final = Bounds()


class Full(NamedTuple):
    """That there is no room, and why."""

    reason: str
    disk: bool = False
    """Whether it is the disk: then dead letters have no room either."""


def full_disk(used: int | None, bounds: Bounds) -> Full | None:
    """Whether a SQLite database that uses so many bytes is as large as it may be."""
    if not bounds.disk or used is None or used < bounds.disk:
        return None
    return Full(f"the database uses {used:,} bytes, and HOGBOX_SQLITE_BYTES allows {bounds.disk:,}", disk=True)


def full_outbox(rows: int, average: int, bounds: Bounds) -> Full | None:
    """Whether an outbox of at least so many rows, with payloads of this average size, is as full as it may be."""
    if bounds.rows and rows >= bounds.rows:
        return Full(f"the outbox holds {rows:,} events or more, and HOGBOX_OUTBOX_ROWS allows {bounds.rows:,}")
    if bounds.bytes and rows * max(1, average) >= bounds.bytes:
        size = f"{rows:,} events of about {average:,} bytes, or more"
        return Full(f"the outbox holds {size}, and HOGBOX_OUTBOX_BYTES allows {bounds.bytes:,}")
    return None
