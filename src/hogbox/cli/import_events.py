"""`hogbox import`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from hogbox._operations.importer import Imported, Importer, Progress, check
from hogbox._settings.client import ClientSettings
from hogbox._wire.host import require_token
from hogbox._wire.printable import counted
from hogbox.cli.option import DatabaseUrl, TablePrefix, load_settings, open_database
from hogbox.cli.terminal import Terminal, say
from hogbox.errors import ConfigurationError

STDIN = Path("-")

File = Annotated[Path, typer.Argument(help="File of JSON lines; - reads standard input, which can't be resumed.")]
Token = Annotated[
    str | None, typer.Option("--project-token", help="Project to import into.  [env: POSTHOG_PROJECT_TOKEN]")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only validate the file; needs no database.")]


def import_events(
    file: File,
    database_url: DatabaseUrl = None,
    project_token: Token = None,
    table_prefix: TablePrefix = None,
    dry_run: DryRun = False,
) -> None:
    """Import historical events into the outbox, for workers to deliver as a historical migration.

    Each line is an object with event, distinct_id and timestamp, and optionally properties, groups and uuid. The whole
    file is validated first; nothing is written if a line is invalid. After an interruption, run the command again to
    resume.

    before_send hooks are part of the application and do not run here.

    Example: hogbox import events.jsonl --database-url sqlite:///app.db --project-token phc_example
    """
    if file != STDIN and not file.is_file():
        raise ConfigurationError(f"file not found: {str(file)!r}")
    if dry_run:
        _check_only(file)
        return
    settings = load_settings(database_url, None, table_prefix, project_token)
    result = _import(file, settings)
    say(_summary(result))


def _summary(result: Imported) -> str:
    if result.before and not result.events:
        return f"already imported: {counted(result.before, 'event')} written by an earlier run"
    earlier = f", {result.before} by an earlier run" if result.before else ""
    return f"{counted(result.events, 'event')} written to the outbox{earlier}"


def _check_only(file: Path) -> None:
    if file == STDIN:
        raise ConfigurationError("--dry-run needs a file: standard input can be read only once")
    ClientSettings.load(os.environ, token_needed=False)
    with _bar("checking", file) as report:
        checked = check(file, report)
    say(f"{counted(checked.events, 'event')}, no errors")


def _import(file: Path, settings: ClientSettings) -> Imported:
    project = require_token(settings.project_token)
    if settings.disabled:
        raise ConfigurationError("hogbox is disabled (HOGBOX_DISABLED): nothing is imported")
    with closing(open_database(settings)) as database:
        importer = Importer(database, project)
        if file == STDIN:
            say("standard input can't be resumed: after an interruption, pass all of it again", err=True)
            return importer.run_stream(sys.stdin.buffer, lambda _: None)
        with _bar("checking", file) as report:
            checked = check(file, report)
        with _bar("importing", file) as report:
            return importer.run(file, checked, report)


@contextmanager
def _bar(what: str, file: Path) -> Iterator[Progress]:
    """A progress bar if standard error is a terminal."""
    console = Terminal(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console) as bar:
        task = bar.add_task(what, total=file.stat().st_size)
        yield lambda done: bar.update(task, completed=done)
