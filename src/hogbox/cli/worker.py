"""`hogbox worker`."""

from __future__ import annotations

import os
from contextlib import closing

from hogbox.cli.option import (
    DatabaseUrl,
    Host,
    ProjectToken,
    TablePrefix,
    Verbose,
    load_settings,
    log_to_stderr,
    open_database,
)
from hogbox.refresher import Refresher
from hogbox.settings import DeliverySettings
from hogbox.worker import Worker


def worker(
    database_url: DatabaseUrl = None,
    host: Host = None,
    project_token: ProjectToken = None,
    table_prefix: TablePrefix = None,
    verbose: Verbose = False,
) -> None:
    """Deliver events to PostHog until SIGTERM or SIGINT; then finish what is under way and give the shards back.

    Run as many as you like: they share the work, and take over from one that dies.

    With a project token and POSTHOG_PERSONAL_API_KEY they keep its flag definitions fresh too: all of them together
    send one request every POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS.

    Example: hogbox worker --database-url postgresql://app@localhost/app
    """
    settings = load_settings(database_url, host, table_prefix, project_token)
    log_to_stderr(verbose)
    with closing(open_database(settings)) as database:
        refresher = Refresher(database, settings)
        Worker(database, settings.host, DeliverySettings.load(os.environ), refresher).run_until_signal()
