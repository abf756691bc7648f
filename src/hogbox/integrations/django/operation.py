"""The operation of this app's migrations: hogbox's own SQL, whatever Django's models say."""

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
    """Bring hogbox's tables from one version to another.

    It begins with the version that is there: tables that `hogbox migrate` made, or brought further, are right as they
    are. Undone, the first one removes the tables with all that waits in them; later ones leave them as they are.

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
        """Nothing: the models are operations of their own."""

    def database_forwards(self, app_label: str, schema_editor: Any, *_: Any) -> None:
        """Make or change the tables. Raises TablesNewer where a newer hogbox did."""
        connection, tables = schema_editor.connection, Tables(table_prefix())
        if not router.allow_migrate(connection.alias, app_label):
            return
        if schema_editor.collect_sql:
            # Printed to be run by hand: the first migration as a whole, of later ones what the tables lack.
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
        """What `migrate --plan` says."""
        return f"Make hogbox's tables those of version {self.version}"


def _execute(schema_editor: Any, statements: list[str]) -> None:
    for statement in statements:
        schema_editor.execute(statement, params=None)


def _migrate(alias: str, tables: Tables) -> None:
    """As `hogbox migrate` does it: where a migration may be cut off in the middle, it goes on with what is missing."""
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
    """Not of a style with percent signs: it would double those that are meant."""
    match connection.vendor:
        case "sqlite":
            return sqlite.dialect(paramstyle="named")
        case "postgresql":
            return postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
        case "mysql":
            return mysql.dialect(paramstyle="named")
        case other:
            raise UnsupportedDatabase(f"hogbox keeps no tables in Django's {other!r}: keep its app off with a router")
