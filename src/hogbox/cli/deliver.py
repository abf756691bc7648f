"""`hogbox deliver`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hogbox._operations.console import log_to_stderr
from hogbox._settings.delivery import DeliverySettings
from hogbox._worker.worker import Progress as Report
from hogbox._worker.worker import Worker
from hogbox.cli.option import (
    DatabaseUrl,
    Host,
    TablePrefix,
    Verbose,
    load_settings,
    open_database,
)
from hogbox.cli.terminal import Terminal, say

Timeout = Annotated[float, typer.Option(min=0, help="Stop after this many seconds; inf: no limit.")]


def deliver(
    database_url: DatabaseUrl = None,
    host: Host = None,
    table_prefix: TablePrefix = None,
    timeout: Timeout = 300.0,
    verbose: Verbose = False,
) -> None:
    """Deliver the events that are waiting now, then exit; for cron jobs. Exits with 1 if some are still waiting.

    Example: hogbox deliver --database-url sqlite:///app.db --timeout 60
    """
    settings = load_settings(database_url, host, table_prefix)
    log_to_stderr(requests=verbose)
    with closing(open_database(settings)) as database, _bar() as report:
        worker = Worker(database, settings.host, DeliverySettings.load(os.environ))
        result = worker.drain(database.await_reader(timeout), report)
    say(f"{result.delivered} delivered, {result.dead} dead, {result.waiting} waiting")
    raise typer.Exit(1 if result.waiting else 0)


@contextmanager
def _bar() -> Iterator[Report | None]:
    """A progress bar if standard error is a terminal, else None."""
    console = Terminal(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn("delivering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("delivering", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
