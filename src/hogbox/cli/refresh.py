"""`hogbox refresh`."""

from __future__ import annotations

from contextlib import closing

import typer

from hogbox._operations.console import log_to_stderr
from hogbox._worker.refresher import Refresher
from hogbox.cli.option import (
    DatabaseUrl,
    Host,
    ProjectToken,
    TablePrefix,
    Verbose,
    load_settings,
    open_database,
)
from hogbox.cli.terminal import say


def refresh(
    database_url: DatabaseUrl = None,
    project_token: ProjectToken = None,
    host: Host = None,
    table_prefix: TablePrefix = None,
    verbose: Verbose = False,
) -> None:
    """Fetch a project's flag definitions from PostHog now, store them, and print the result.

    Requires a key in POSTHOG_PERSONAL_API_KEY. Exits with 0 for updated and unchanged, 1 for an error, 2 if the token
    or the key is missing (skipped), 3 if PostHog's cache of the definitions is cold (empty, stale).

    Example: hogbox refresh --database-url sqlite:///app.db --project-token phc_example
    """
    settings = load_settings(database_url, host, table_prefix, project_token)
    log_to_stderr(requests=verbose)
    with closing(open_database(settings)) as database:
        result = Refresher(database, settings).refresh()
    say(f"{result}: {result.detail}" if result.detail else str(result))
    raise typer.Exit(result.exit_code)
