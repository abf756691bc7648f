"""`manage.py hogbox_status`: waiting events, dead letters, age of the flag definitions, workers, problems."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import UTC, datetime, timedelta
from typing import Any

from hogbox._operations.page import how_to_open
from hogbox._operations.status import StatusReport, finding_document, read_status
from hogbox._store.inspection.snapshot import DefinitionsRow
from hogbox._wire.host import shorten
from hogbox._wire.printable import one_line
from hogbox.integrations.django.command import HogboxCommand, open_database
from hogbox.integrations.django.configuration import configuration


class Command(HogboxCommand):
    """Prints the status."""

    help = "Print the backlog, the dead letters, the flag definitions, the live workers, and any problems."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The command's own arguments."""
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Run. Raises TablesError if the tables are missing or of another version."""
        configured = configuration()
        with open_database(configured) as database:
            status = read_status(database, lease=configured.delivery.lease_seconds)
        report = _report(status, datetime.now(UTC))
        self.stdout.write(
            json.dumps(report, default=str) if options["json"] else "\n".join(map(one_line, _lines(report)))
        )


def _report(status: StatusReport, now: datetime) -> dict[str, Any]:
    standing = status.standing
    return {
        "level": status.severity.name.lower(),
        "findings": [finding_document(one) for one in status.findings],
        "waiting": standing.backlog.events,
        "oldest_captured_at": _moment(now, standing.backlog.oldest),
        "dead_letters": sum(reason.events for reason in standing.dead),
        "definitions": [_definitions(one, now) for one in standing.definitions if one.revision is not None],
        "workers": [worker.id for worker in status.living],
    }


def _definitions(one: DefinitionsRow, now: datetime) -> dict[str, Any]:
    return {
        "project": shorten(one.project),
        "revision": one.revision,
        "right_at": _moment(now, one.age),
        "last_refresh": one.last_status,
        "last_reason": one.last_reason,
        "last_refresh_at": _moment(now, one.last),
    }


def _lines(report: dict[str, Any]) -> list[str]:
    since = report["oldest_captured_at"]
    return [
        f"waiting: {report['waiting']}" + (f", the oldest since {_text(since)}" if since else ""),
        f"dead letters: {report['dead_letters']}",
        *map(_definitions_line, report["definitions"] or [{}]),
        f"workers alive: {', '.join(report['workers']) or 'none'}",
        *(f"{one['level']}: {one['text']}; see: {how_to_open(one['page'])}" for one in report["findings"]),
    ]


def _definitions_line(one: dict[str, Any]) -> str:
    if not one:
        return "flag definitions: none"
    last = " ".join(filter(None, (one["last_refresh"], one["last_reason"]))) or "never"
    at = f" at {_text(one['last_refresh_at'])}" if one["last_refresh_at"] else ""
    return f"flag definitions of {one['project']}: revision {one['revision']}, last refresh {last}{at}"


def _moment(now: datetime, age: float | None) -> datetime | None:
    return None if age is None else now - timedelta(seconds=age)


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
