"""`hogbox status`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing
from typing import Annotated, Final

import typer
from rich.live import Live

from hogbox._operations.console import describe
from hogbox._operations.status import StatusReport, document, read_status
from hogbox._settings.delivery import DeliverySettings
from hogbox._settings.report import settings_in_force
from hogbox._wire.printable import json_text
from hogbox.cli.option import DatabaseUrl, TablePrefix, load_settings, open_database
from hogbox.cli.status_page import page_of
from hogbox.cli.terminal import Terminal, say

CANNOT_BE_ASKED: Final = 3
_PAUSE: Final = 1.0

AsJson = Annotated[bool, typer.Option("--json", help="For programs: one JSON object.")]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Look again every second, until Ctrl-C.")]


def status(
    database_url: DatabaseUrl = None, table_prefix: TablePrefix = None, as_json: AsJson = False, watch: Watch = False
) -> None:
    """Show the backlog, holds, dead letters, workers, and the age of flag definitions.

    Lists every problem with the page that explains the fix. Changes nothing. Exits with 0 if healthy, 1 if something
    needs attention (degraded), 2 if events or flags are blocked until someone acts (broken), 3 if the database can't
    be reached.

    Example: hogbox status --database-url sqlite:///app.db
    """
    try:
        level = _show(database_url, table_prefix, as_json, watch)
    except BrokenPipeError:
        raise  # by who reads the output: the command line ends quietly then
    except Exception as error:
        say(f"hogbox: {describe(error)}", err=True)
        raise typer.Exit(CANNOT_BE_ASKED) from None
    raise typer.Exit(level)


def _show(database_url: str | None, table_prefix: str | None, as_json: bool, watch: bool) -> int:
    settings = load_settings(database_url, None, table_prefix)
    delivery = DeliverySettings.load(os.environ)
    arguments = {"database_url": database_url, "table_prefix": table_prefix}
    effective = settings_in_force(settings, delivery, os.environ, arguments)
    given = settings.definitions_key is not None
    with closing(open_database(settings)) as database:

        def look() -> StatusReport:
            return read_status(database, lease=delivery.lease_seconds, key_given=given, settings=effective)

        if not watch:
            seen = look()
            _print(seen, as_json)
            return seen.severity
        return _watch(look, as_json)


def _print(seen: StatusReport, as_json: bool) -> None:
    if as_json:
        say(json_text(document(seen)))
    else:
        Terminal().print(page_of(seen))


def _watch(look: Callable[[], StatusReport], as_json: bool) -> int:
    seen = look()
    try:
        if as_json:
            while True:
                _print(seen, as_json)
                time.sleep(_PAUSE)
                seen = look()
        with Live(page_of(seen), console=Terminal(), auto_refresh=False) as live:
            while True:
                time.sleep(_PAUSE)
                seen = look()
                live.update(page_of(seen), refresh=True)
    except KeyboardInterrupt:
        return seen.severity
