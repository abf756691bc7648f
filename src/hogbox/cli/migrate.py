"""`hogbox migrate`."""

from __future__ import annotations

import typer

from hogbox.cli.option import DatabaseUrl, TablePrefix, load_settings
from hogbox.schema import create_tables


def migrate(database_url: DatabaseUrl = None, table_prefix: TablePrefix = None) -> None:
    """Create hogbox's tables, or bring older ones up to date.

    Example: hogbox migrate --database-url sqlite:///app.db
    """
    settings = load_settings(database_url, None, table_prefix)
    before, after = create_tables(settings.database_url or "", table_prefix=settings.table_prefix)
    if before == after:
        typer.echo(f"hogbox's tables are up to date (version {after})")
    elif before == 0:
        typer.echo(f"hogbox's tables are created (version {after})")
    else:
        typer.echo(f"hogbox's tables are migrated from version {before} to {after}")
