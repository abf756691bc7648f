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

AsSql = Annotated[bool, typer.Option("--sql", help="Print the SQL that it would run, and run nothing.")]
Dialect = Annotated[
    str | None,
    typer.Option(help="With --sql, without a database: sqlite, postgresql, mariadb or mysql."),
]
FromVersion = Annotated[
    int | None,
    typer.Option(min=0, help="With --dialect: the version of the tables that are there.  [default: 0, none]"),
]


def migrate(
    database_url: DatabaseUrl = None,
    table_prefix: TablePrefix = None,
    as_sql: AsSql = False,
    dialect: Dialect = None,
    from_version: FromVersion = None,
) -> None:
    """Create hogbox's tables, or bring older ones up to date. Exits with 0 where they are up to date then.

    With --sql it prints what it would do to the tables that are there, or, with --dialect, to those of a version.

    Example: hogbox migrate --database-url sqlite:///app.db
    """
    if from_version is not None and dialect is None:
        raise typer.BadParameter("--from-version goes with --dialect; for a database, the version that is there counts")
    if dialect is not None:
        if not as_sql:
            raise typer.BadParameter("--dialect goes with --sql")
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
        say(f"hogbox's tables are created (version {after})")
    else:
        say(f"hogbox's tables are migrated from version {before} to {after}")


def _print_sql(statements: Iterable[str]) -> None:
    """Statements on standard output; that there are none is said on standard error, so that a script stays empty."""
    written = [f"{statement};" for statement in statements]
    if written:
        say("\n".join(written))
    else:
        say("hogbox's tables are up to date: there is nothing to run", err=True)
