"""Create, check and migrate hogbox's tables."""

from __future__ import annotations

from sqlalchemy import Engine

from hogbox._store.connections.database import Database, read_version
from hogbox._store.connections.engine import dialect_of
from hogbox._store.schema.migration import migrate, render
from hogbox._store.schema.table import Tables

__all__ = ["check_tables", "create_tables", "migration_sql", "migration_sql_from"]


def create_tables(database: Engine | str, *, table_prefix: str = "posthog_") -> tuple[int, int]:
    """Create hogbox's tables, or bring older ones up to date; returns the schema versions before (0: none) and after.

    Safe to call at every start and from several processes at once. Raises TablesNewer where a newer hogbox made them.
    """
    target = Database(database, table_prefix)
    try:
        return migrate(target.engine, target.tables)
    finally:
        target.close()


def migration_sql(database: Engine | str, *, table_prefix: str = "posthog_") -> list[str]:
    """The SQL that `create_tables` would run on this database now, a statement each; nothing where it would do nothing.

    Only reads the version that is there. Raises TablesNewer where a newer hogbox made the tables.
    """
    target = Database(database, table_prefix)
    try:
        with target.engine.connect() as connection:
            before = read_version(connection, target.tables) or 0
        return render(target.engine.dialect, target.tables, before)
    finally:
        target.close()


def migration_sql_from(version: int, dialect: str, *, table_prefix: str = "posthog_") -> list[str]:
    """The same for tables of a version (0: none), without a database: `sqlite`, `postgresql`, `mariadb` or `mysql`.

    Raises UnsupportedDatabase for another dialect, TablesNewer for a version that this hogbox doesn't know.
    """
    return render(dialect_of(dialect), Tables(table_prefix), version)


def check_tables(database: Engine | str, *, table_prefix: str = "posthog_") -> None:
    """Raise TablesMissing, TablesOutdated or TablesNewer unless this hogbox can use the tables."""
    target = Database(database, table_prefix)
    try:
        target.check()
    finally:
        target.close()
