"""What a capture writes, in the caller's transaction: an event that waits, or one that PostHog would refuse."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    Insert,
    bindparam,
    insert,
)

from hogbox._store.dialects.element import epoch_ms
from hogbox._store.schema.table import Tables

EVENT_VALUES: Final = ("shard", "project", "lane", "payload")
"""The parameters of `insert_event`, in order."""

DEAD_LETTER_VALUES: Final = (*EVENT_VALUES, "event_uuid", "reason")
"""The parameters of `insert_dead_letter`, in order."""


class CaptureStatements:
    """One INSERT for each place where a captured event can go."""

    def __init__(self, tables: Tables) -> None:
        self.insert_event = _insert_event(tables)
        self.insert_dead_letter = _insert_dead_letter(tables)


def _insert_event(tables: Tables) -> Insert:
    """Put one event into the outbox, in the caller's transaction."""
    values: dict[str, Any] = {name: bindparam(name) for name in EVENT_VALUES}
    return insert(tables.outbox).inline().values(**values, created_at=epoch_ms())


def _insert_dead_letter(tables: Tables) -> Insert:
    """Put an event that PostHog would refuse among the dead letters, in the caller's transaction."""
    values: dict[str, Any] = {name: bindparam(name) for name in DEAD_LETTER_VALUES}
    return insert(tables.dead_letters).inline().values(**values, created_at=epoch_ms(), died_at=epoch_ms())
