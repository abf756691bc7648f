"""Whether the outbox has room for another event, within the limits that the user has set."""

from __future__ import annotations

from typing import Final, NamedTuple

RAISE: Final = "raise"
DEAD_LETTER: Final = "dead-letter"
POLICIES: Final = (RAISE, DEAD_LETTER)
"""What happens to an event for which there is no room."""


class Bounds(NamedTuple):
    """The largest outbox (in rows and bytes of payloads) and SQLite database (in bytes); 0: no limit."""

    rows: int = 0
    bytes: int = 0
    disk: int = 0

    def most_rows(self, average: int) -> int | None:
        """The largest number of rows, with this average payload size in bytes; None: no limit."""
        by_bytes = -(-self.bytes // max(1, average)) if self.bytes else None
        return min((bound for bound in (self.rows or None, by_bytes) if bound is not None), default=None)


NO_BOUNDS: Final = Bounds()


class Full(NamedTuple):
    """There is no room for another event, for this reason."""

    reason: str
    disk: bool = False
    """Whether the database file is the limit: then there is no room for dead letters either."""


def full_disk(used: int | None, bounds: Bounds) -> Full | None:
    """Whether a SQLite database with this size in bytes has reached its limit."""
    if not bounds.disk or used is None or used < bounds.disk:
        return None
    return Full(f"the database uses {used:,} bytes, and HOGBOX_SQLITE_BYTES allows {bounds.disk:,}", disk=True)


def full_outbox(rows: int, average: int, bounds: Bounds) -> Full | None:
    """Whether an outbox with at least this many rows, of this average payload size in bytes, has reached a limit."""
    if bounds.rows and rows >= bounds.rows:
        return Full(f"the outbox holds {rows:,} events or more, and HOGBOX_OUTBOX_ROWS allows {bounds.rows:,}")
    if bounds.bytes and rows * max(1, average) >= bounds.bytes:
        size = f"{rows:,} events of about {average:,} bytes, or more"
        return Full(f"the outbox holds {size}, and HOGBOX_OUTBOX_BYTES allows {bounds.bytes:,}")
    return None
