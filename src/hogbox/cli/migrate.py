"""`hogbox migrate`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Annotated

import typer

from hogbox._settings.client import ClientSettings
from hogbox.cli.option import DatabaseUrl, TablePrefix, load_settings
from hogbox.cli.terminal import say
from hogbox.schema import create_tables, migration_sql, migration_sql_from

AsSql = Annotated[bool, typer.Option("--sql", help="Print the SQL instead of running it.")]
Dialect = Annotated[
    str | None,
    typer.Option(help="With --sql: print it for sqlite, postgresql, mariadb or mysql, without a database."),
]
FromVersion = Annotated[
    int | None,
    typer.Option(min=0, help="With --dialect: version of the existing tables.  [default: 0, no tables]"),
]


def migrate(
    database_url: DatabaseUrl = None,
    table_prefix: TablePrefix = None,
    as_sql: AsSql = False,
    dialect: Dialect = None,
    from_version: FromVersion = None,
) -> None:
    """Create or upgrade hogbox's tables. Exits with 0 if they are up to date afterwards.

    With --sql, prints the SQL for the tables in the database, or, with --dialect, for tables of a given version.

    Example: hogbox migrate --database-url sqlite:///app.db
    """
    if from_version is not None and dialect is None:
        raise typer.BadParameter("--from-version requires --dialect; otherwise the version is read from the database")
    if dialect is not None:
        if not as_sql:
            raise typer.BadParameter("--dialect requires --sql")
        prefix = ClientSettings.load(os.environ, table_prefix=table_prefix, token_needed=False).table_prefix
        _print_sql(migration_sql_from(from_version or 0, dialect, table_prefix=prefix))
        return
    settings = load_settings(database_url, None, table_prefix)
    if as_sql:
        _print_sql(migration_sql(settings.database_url or "", table_prefix=settings.table_prefix))
        return
    before, after = create_tables(settings.database_url or "", table_prefix=settings.table_prefix)
    if before == after:
        say(f"hogbox's tables are up to date (version {after})")
    elif before == 0:
        say(f"hogbox's tables were created (version {after})")
    else:
        say(f"hogbox's tables were migrated from version {before} to {after}")


def _print_sql(statements: Iterable[str]) -> None:
    """Print statements to standard output; the note that there are none goes to standard error, out of the script."""
    written = [f"{statement};" for statement in statements]
    if written:
        say("\n".join(written))
    else:
        say("hogbox's tables are up to date: there is nothing to run", err=True)
