"""Options shared by several commands."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from hogbox._settings.client import ClientSettings
from hogbox._store.connections.database import Database
from hogbox.errors import ConfigurationError

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        "-d",
        help="sqlite:///app.db, postgresql://… or mysql://…  [env: HOGBOX_DATABASE_URL]",
    ),
]
Host = Annotated[str | None, typer.Option(help="Address of PostHog.  [env: POSTHOG_HOST]")]
ProjectToken = Annotated[
    str | None, typer.Option(help="Project of the flag definitions.  [env: POSTHOG_PROJECT_TOKEN]")
]
TablePrefix = Annotated[str | None, typer.Option(help="Prefix of hogbox's tables.  [env: HOGBOX_TABLE_PREFIX]")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also log every request.")]


def load_settings(
    database_url: str | None, host: str | None, table_prefix: str | None, project_token: str | None = None
) -> ClientSettings:
    """The settings of a command: it needs a database, and a project token only to refresh flag definitions."""
    settings = ClientSettings.load(
        os.environ,
        database_url=database_url,
        project_token=project_token,
        host=host,
        table_prefix=table_prefix,
        token_needed=False,
    )
    if settings.database_url is None:
        raise ConfigurationError("no database: pass --database-url sqlite:///app.db, or set HOGBOX_DATABASE_URL")
    return settings


def open_database(settings: ClientSettings) -> Database:
    """The database of these settings."""
    return Database(settings.database_url, settings.table_prefix)
