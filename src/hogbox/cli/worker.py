"""`hogbox worker`."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Annotated

import typer

from hogbox._operations.console import log_to_stderr
from hogbox._settings.delivery import DeliverySettings
from hogbox._worker.refresher import Refresher
from hogbox._worker.worker import Worker
from hogbox.cli.option import (
    DatabaseUrl,
    Host,
    ProjectToken,
    TablePrefix,
    Verbose,
    load_settings,
    open_database,
)
from hogbox.telemetry import Telemetry

MetricsPort = Annotated[
    int | None,
    typer.Option(min=0, max=65535, help="Serve /metrics, /healthz and /readyz on this port; 0 picks a free one."),
]
MetricsHost = Annotated[
    str, typer.Option(help="Address to serve them on. There is no authentication: keep it inside your network.")
]


def worker(
    database_url: DatabaseUrl = None,
    host: Host = None,
    project_token: ProjectToken = None,
    table_prefix: TablePrefix = None,
    metrics_port: MetricsPort = None,
    metrics_host: MetricsHost = "127.0.0.1",
    verbose: Verbose = False,
) -> None:
    """Deliver events to PostHog until SIGTERM or SIGINT; then finish open requests and release the shards.

    Run as many workers as you like: they share the work, and take over from a worker that dies.

    With a project token and POSTHOG_PERSONAL_API_KEY, workers also keep the flag definitions fresh: together they send
    one request every POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS.

    Example: hogbox worker --database-url postgresql://app@localhost/app
    """
    # Imported only here: the import takes as long as some other commands run.
    from hogbox._operations.metrics.server import serve

    settings = load_settings(database_url, host, table_prefix, project_token)
    log_to_stderr(requests=verbose)
    with closing(open_database(settings)) as database:
        telemetry, delivery = Telemetry(), DeliverySettings.load(os.environ)
        refresher = Refresher(database, settings, telemetry=telemetry)
        process = Worker(database, settings.host, delivery, refresher, telemetry=telemetry)
        with serve(metrics_host, metrics_port, database, telemetry, process.health, delivery.lease_seconds):
            process.run_until_signal()
