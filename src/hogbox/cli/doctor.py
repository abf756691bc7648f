"""`hogbox doctor`."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.text import Text

from hogbox._operations.console import describe
from hogbox._operations.doctor import Check, Health, examine, worst
from hogbox._wire.printable import json_text
from hogbox.cli.option import DatabaseUrl, Host, ProjectToken, TablePrefix, load_settings
from hogbox.cli.terminal import Terminal, say

SendTestEvent = Annotated[
    bool, typer.Option("--send-test-event", help="Send an event named 'hogbox doctor' to the project.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: one JSON object.")]

_COLOURS = {Health.OK: "green", Health.WARNING: "yellow", Health.PROBLEM: "red"}


def doctor(
    database_url: DatabaseUrl = None,
    host: Host = None,
    project_token: ProjectToken = None,
    table_prefix: TablePrefix = None,
    send_test_event: SendTestEvent = False,
    as_json: AsJson = False,
) -> None:
    """Try out what hogbox needs from this machine: settings, database, privileges, clock, PostHog, token and key.

    Says of each what was found and what to do. Leaves nothing in the database. The key in POSTHOG_PERSONAL_API_KEY is
    tried with one request for flag definitions, which PostHog counts. Exits with 0 where all is well, 1 for a warning,
    2 for a problem.

    Example: hogbox doctor --database-url sqlite:///app.db --send-test-event
    """
    try:
        settings = load_settings(database_url, host, table_prefix, project_token)
        checks = examine(settings, os.environ, send_test_event=send_test_event)
    except Exception as error:
        checks = (
            Check("settings", Health.PROBLEM, describe(error), "correct the setting; see docs/reference/settings.md"),
        )
    if as_json:
        say(json_text(_document(checks)))
    else:
        _print(checks)
    raise typer.Exit(worst(checks))


def _document(checks: tuple[Check, ...]) -> dict[str, object]:
    rows = [
        {"name": one.name, "health": one.health.name.lower(), "found": one.found, "todo": one.todo} for one in checks
    ]
    return {"health": worst(checks).name.lower(), "checks": rows}


def _print(checks: tuple[Check, ...]) -> None:
    console = Terminal()
    for check in checks:
        line = Text(f"{check.health.name.lower():<8}", style=_COLOURS[check.health])
        console.print(line.append(f"{check.name}: {check.found}", style="default"))
        if check.todo:
            console.print(Text(f"        {check.todo}"))
