"""Content: what the tables hold, for those who look on, such as a test."""

from __future__ import annotations

from sqlalchemy import Select, String, literal_column, select

from hogbox._store.dialects.element import table_exists
from hogbox._store.schema.table import Tables


class ContentStatements:
    """Reads of whole tables. They take no parameters."""

    def __init__(self, tables: Tables) -> None:
        self.read_outbox = _read_outbox(tables)
        self.read_dead_letters = _read_dead_letters(tables)
        self.find_definitions = _find_definitions(tables)


def _read_outbox(tables: Tables) -> Select[int, str, str, str]:
    """All events that wait, in the order in which they were captured."""
    outbox = tables.outbox.c
    return select(outbox.id, outbox.project, outbox.lane, outbox.payload).order_by(outbox.id)


def _read_dead_letters(tables: Tables) -> Select[int, str, str, str, str, int | None]:
    """All dead letters, in the order in which they became such."""
    dead = tables.dead_letters.c
    return select(dead.id, dead.project, dead.lane, dead.payload, dead.reason, dead.status).order_by(dead.id)


def _find_definitions(tables: Tables) -> Select[bool]:
    """Whether there is a table of flag definitions."""
    return select(table_exists(literal_column(f"'{tables.flag_definitions.name}'", String)))
