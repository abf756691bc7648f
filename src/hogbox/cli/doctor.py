"""`hogbox doctor`."""

from __future__ import annotations

import os
from typing import Annotated, Final

import typer
from rich.text import Text

from hogbox._operations.console import describe
from hogbox._operations.doctor import examine
from hogbox._operations.finding import Finding, Severity, worst
from hogbox._operations.page import Page, how_to_open
from hogbox._wire.printable import json_text
from hogbox.cli.option import DatabaseUrl, Host, ProjectToken, TablePrefix, load_settings
from hogbox.cli.terminal import Terminal, say

SendTestEvent = Annotated[
    bool, typer.Option("--send-test-event", help="Send an event named 'hogbox doctor' to the project.")
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: one JSON object.")]

_WORDS: Final = {Severity.HEALTHY: "ok", Severity.DEGRADED: "warning", Severity.BROKEN: "problem"}
_COLOURS: Final = {Severity.HEALTHY: "green", Severity.DEGRADED: "yellow", Severity.BROKEN: "red"}


def doctor(
    database_url: DatabaseUrl = None,
    host: Host = None,
    project_token: ProjectToken = None,
    table_prefix: TablePrefix = None,
    send_test_event: SendTestEvent = False,
    as_json: AsJson = False,
) -> None:
    """Check this machine's settings, database, privileges, clock, connection to PostHog, token and key.

    Prints the result of each check and how to fix a problem. Leaves nothing in the database. The key in
    POSTHOG_PERSONAL_API_KEY is checked with one request for flag definitions, which PostHog counts. Exits with 0 if all
    checks pass, 1 for a warning, 2 for a problem.

    Example: hogbox doctor --database-url sqlite:///app.db --send-test-event
    """
    try:
        settings = load_settings(database_url, host, table_prefix, project_token)
        checks = examine(settings, os.environ, send_test_event=send_test_event)
    except Exception as error:
        checks = (Finding("settings", Severity.BROKEN, describe(error), "correct the setting", Page.SETTINGS),)
    if as_json:
        say(json_text(_document(checks)))
    else:
        _print(checks)
    raise typer.Exit(worst(checks))


def _document(checks: tuple[Finding, ...]) -> dict[str, object]:
    rows = [
        {
            "name": one.name,
            "health": _WORDS[one.severity],
            "found": one.text,
            "todo": "; ".join(filter(None, (one.todo, _page(one)))),
        }
        for one in checks
    ]
    return {"health": _WORDS[worst(checks)], "checks": rows}


def _print(checks: tuple[Finding, ...]) -> None:
    console = Terminal()
    for check in checks:
        line = Text(f"{_WORDS[check.severity]:<8}", style=_COLOURS[check.severity])
        console.print(line.append(f"{check.name}: {check.text}", style="default"))
        for advice in filter(None, (check.todo, _page(check))):
            console.print(Text(f"        {advice}"))


def _page(check: Finding) -> str:
    return f"see: {how_to_open(check.page)}" if check.page else ""
