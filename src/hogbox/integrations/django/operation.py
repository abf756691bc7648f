"""The operation of this app's migrations: hogbox's own SQL instead of Django's."""

from __future__ import annotations

from typing import Any

from django.db import router  # type: ignore[import-untyped]
from django.db.migrations.operations.base import Operation  # type: ignore[import-untyped]
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import DropTable

from hogbox._store.schema.migration import migrate, render
from hogbox._store.schema.table import Tables
from hogbox.errors import UnsupportedDatabase
from hogbox.integrations.django.configuration import table_prefix
from hogbox.integrations.django.engine import open_engine


class MigrateTables(Operation):  # type: ignore[misc]
    """Upgrade hogbox's tables from one version to another.

    It starts from the existing version: tables that `hogbox migrate` created or upgraded are left as they are.
    Reversing the first migration removes the tables and all events in them; reversing a later one changes nothing.

    Arguments:
        before: The version of the migration before this one; 0 for none.
        version: The version that this migration is for.
    """

    reversible = True
    reduces_to_sql = True

    def __init__(self, before: int, version: int) -> None:
        self.before = before
        self.version = version

    def state_forwards(self, *_: Any) -> None:
        """No change: the models have their own operations."""

    def database_forwards(self, app_label: str, schema_editor: Any, *_: Any) -> None:
        """Create or upgrade the tables. Raises TablesNewer if a newer version of hogbox created them."""
        connection, tables = schema_editor.connection, Tables(table_prefix())
        if not router.allow_migrate(connection.alias, app_label):
            return
        if schema_editor.collect_sql:
            # `sqlmigrate`: the first migration is printed completely, later ones with the missing steps only.
            before = max(self.before, _version(connection, tables)) if self.before else 0
            _execute(schema_editor, render(_dialect(connection), tables, before))
        elif connection.features.can_rollback_ddl:
            _execute(schema_editor, render(_dialect(connection), tables, _version(connection, tables)))
        else:
            _migrate(connection.alias, tables)

    def database_backwards(self, app_label: str, schema_editor: Any, *_: Any) -> None:
        """Remove the tables, if this is the first migration."""
        if self.before or not router.allow_migrate(schema_editor.connection.alias, app_label):
            return
        dialect = _dialect(schema_editor.connection)
        tables = reversed(Tables(table_prefix()).metadata.sorted_tables)
        _execute(schema_editor, [str(DropTable(table, if_exists=True).compile(dialect=dialect)) for table in tables])

    def describe(self) -> str:
        """The text of `migrate --plan`."""
        return f"Upgrade hogbox's tables to version {self.version}"


def _execute(schema_editor: Any, statements: list[str]) -> None:
    for statement in statements:
        schema_editor.execute(statement, params=None)


def _migrate(alias: str, tables: Tables) -> None:
    """As `hogbox migrate`: without transactional DDL, an interrupted migration continues with the missing steps."""
    engine = open_engine(alias, pooled=False)
    try:
        migrate(engine, tables)
    finally:
        engine.dispose()


def _version(connection: Any, tables: Tables) -> int:
    """The version of the tables that are there; 0 for none."""
    name = tables.schema.name
    with connection.cursor() as cursor:
        if name not in connection.introspection.table_names(cursor):
            return 0
        cursor.execute(f"SELECT MAX(version) FROM {connection.ops.quote_name(name)}")  # noqa: S608 - a checked prefix
        return cursor.fetchone()[0] or 0


def _dialect(connection: Any) -> Dialect:
    """A dialect whose parameter style has no percent signs: it would double those in the SQL."""
    match connection.vendor:
        case "sqlite":
            return sqlite.dialect(paramstyle="named")
        case "postgresql":
            return postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
        case "mysql":
            return mysql.dialect(paramstyle="named")
        case other:
            raise UnsupportedDatabase(
                f"hogbox does not support Django's {other!r}: exclude its app from this database with a database router"
            )
