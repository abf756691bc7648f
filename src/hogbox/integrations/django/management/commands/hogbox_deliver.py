"""`manage.py hogbox_deliver`: what `hogbox deliver` does, with the settings of Django."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError  # type: ignore[import-untyped]

from hogbox._worker.worker import Worker
from hogbox.integrations.django.command import HogboxCommand, open_database
from hogbox.integrations.django.configuration import configuration


class Command(HogboxCommand):
    """Delivers what waits, and ends."""

    help = "Deliver the events that wait now, and end: for cron jobs. Exits with 1 where some still wait."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Those of its own."""
        parser.add_argument(
            "--timeout", type=float, default=300.0, help="Seconds after which to leave the rest; inf: no limit."
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Run. Raises CommandError where events still wait."""
        configured = configuration()
        with open_database(configured) as database:
            worker = Worker(database, configured.settings().host, configured.delivery)
            result = worker.drain(database.await_reader(options["timeout"]))
        self.stdout.write(f"{result.delivered} delivered, {result.dead} dead, {result.waiting} waiting")
        if result.waiting:
            raise CommandError(f"{result.waiting} events still wait")
