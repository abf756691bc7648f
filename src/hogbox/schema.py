"""Create, check and migrate hogbox's tables."""

from __future__ import annotations

from sqlalchemy import Engine

from hogbox._store.database import Database
from hogbox._store.migration import migrate


def create_tables(database: Engine | str, *, table_prefix: str = "posthog_") -> tuple[int, int]:
    """Create hogbox's tables, or bring older ones up to date; returns the schema versions before (0: none) and after.

    Safe to call at every start and from several processes at once. Raises TablesNewer where a newer hogbox made them.
    """
    target = Database(database, table_prefix)
    try:
        return migrate(target.engine, target.tables)
    finally:
        target.close()


def check_tables(database: Engine | str, *, table_prefix: str = "posthog_") -> None:
    """Raise TablesMissing, TablesOutdated or TablesNewer unless this hogbox can use the tables."""
    target = Database(database, table_prefix)
    try:
        target.check()
    finally:
        target.close()
