"""Create, check and migrate hogbox's tables."""

from __future__ import annotations

from sqlalchemy import Engine

from hogbox._store.connections.database import Database, read_version
from hogbox._store.connections.engine import dialect_of
from hogbox._store.schema.migration import migrate, render
from hogbox._store.schema.table import Tables

__all__ = ["check_tables", "create_tables", "migration_sql", "migration_sql_from"]


def create_tables(database: Engine | str, *, table_prefix: str = "posthog_") -> tuple[int, int]:
    """Create hogbox's tables, or upgrade older ones. Returns the schema versions before (0: no tables) and after.

    Safe to call at every start and from several processes at once.

    Arguments:
        database: A SQLAlchemy Engine or a URL.
        table_prefix: The prefix of the table names.

    Raises TablesNewer if a newer version of hogbox created the tables, ConfigurationError, or the database's errors.
    """
    target = Database(database, table_prefix)
    try:
        return migrate(target.engine, target.tables)
    finally:
        target.close()


def migration_sql(database: Engine | str, *, table_prefix: str = "posthog_") -> list[str]:
    """The SQL statements that `create_tables` would run on this database now; an empty list if the tables are current.

    Only reads the version of the existing tables. Raises what `create_tables` raises.
    """
    target = Database(database, table_prefix)
    try:
        with target.engine.connect() as connection:
            before = read_version(connection, target.tables) or 0
        return render(target.engine.dialect, target.tables, before)
    finally:
        target.close()


def migration_sql_from(version: int, dialect: str, *, table_prefix: str = "posthog_") -> list[str]:
    """The SQL statements that upgrade tables of a version (0: no tables), without a database connection.

    `dialect` is `sqlite`, `postgresql`, `mariadb` or `mysql`. Raises UnsupportedDatabase for any other dialect, and
    TablesNewer for a version that is newer than this hogbox.
    """
    return render(dialect_of(dialect), Tables(table_prefix), version)


def check_tables(database: Engine | str, *, table_prefix: str = "posthog_") -> None:
    """Raise TablesMissing, TablesOutdated or TablesNewer unless this version of hogbox can use the tables."""
    target = Database(database, table_prefix)
    try:
        target.check()
    finally:
        target.close()
