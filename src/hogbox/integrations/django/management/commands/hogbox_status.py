"""`manage.py hogbox_status`: what waits, what died, how fresh the flag definitions are, and who delivers."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from hogbox._store.database import Database
from hogbox._store.delivery import DeliveryStore
from hogbox._wire.host import shorten
from hogbox.integrations.django.command import HogboxCommand, open_database
from hogbox.integrations.django.configuration import configuration
from hogbox.integrations.django.models import DeadLetter, FlagDefinitions, OutboxEvent, Refresh, moment


class Command(HogboxCommand):
    """Prints how things stand."""

    help = "Print the backlog, the dead letters, the flag definitions and the workers that are alive."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Those of its own."""
        parser.add_argument("--json", action="store_true", help="For programs.")

    def handle(self, *_: Any, **options: Any) -> None:
        """Run. Raises TablesError where the tables can't be used."""
        configured = configuration()
        with open_database(configured) as database:
            database.check()
            status = _status(database, configured.delivery.lease_seconds)
        self.stdout.write(json.dumps(status, default=str) if options["json"] else "\n".join(_lines(status)))


def _status(database: Database, lease_seconds: float) -> dict[str, Any]:
    oldest = OutboxEvent.objects.order_by("id").values_list("created_at", flat=True).first()
    workers, _ = DeliveryStore(database, "status").read_leases(lease_seconds)
    return {
        "waiting": OutboxEvent.objects.count(),
        "oldest_captured_at": moment(oldest),
        "dead_letters": DeadLetter.objects.count(),
        "definitions": [_definitions(row) for row in FlagDefinitions.objects.order_by("project")],
        "workers": workers,
    }


def _definitions(row: FlagDefinitions) -> dict[str, Any]:
    last = Refresh.objects.filter(project=row.project).first()
    return {
        "project": shorten(row.project),
        "revision": row.revision,
        "fetched_at": moment(row.fetched_at),
        "last_refresh": last and last.last_status,
        "last_reason": last and last.last_reason,
        "last_refresh_at": last and moment(last.last_at),
    }


def _lines(status: dict[str, Any]) -> list[str]:
    since = status["oldest_captured_at"]
    return [
        f"waiting: {status['waiting']}" + (f", the oldest since {_text(since)}" if since else ""),
        f"dead letters: {status['dead_letters']}",
        *map(_definitions_line, status["definitions"] or [{}]),
        f"workers alive: {', '.join(status['workers']) or 'none'}",
    ]


def _definitions_line(one: dict[str, Any]) -> str:
    if not one:
        return "flag definitions: none"
    last = " ".join(filter(None, (one["last_refresh"], one["last_reason"]))) or "never"
    at = f" at {_text(one['last_refresh_at'])}" if one["last_refresh_at"] else ""
    return f"flag definitions of {one['project']}: revision {one['revision']}, last refresh {last}{at}"


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
