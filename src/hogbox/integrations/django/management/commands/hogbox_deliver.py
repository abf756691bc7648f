"""`manage.py hogbox_deliver`: the command `hogbox deliver` with Django's settings."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError  # type: ignore[import-untyped]

from hogbox._worker.worker import Worker
from hogbox.integrations.django.command import HogboxCommand, open_database
from hogbox.integrations.django.configuration import configuration


class Command(HogboxCommand):
    """Delivers the waiting events, then exits."""

    help = "Deliver the waiting events, then exit: for cron jobs. Exits with 1 if events are still waiting."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The command's own arguments."""
        parser.add_argument(
            "--timeout",
            type=float,
            default=300.0,
            help="Seconds after which to stop, with the remaining events left waiting; inf: no limit.",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Run. Raises CommandError if events are still waiting."""
        configured = configuration()
        with open_database(configured) as database:
            worker = Worker(database, configured.settings().host, configured.delivery)
            result = worker.drain(database.await_reader(options["timeout"]))
        self.stdout.write(f"{result.delivered} delivered, {result.dead} dead, {result.waiting} waiting")
        if result.waiting:
            raise CommandError(f"{result.waiting} event{'' if result.waiting == 1 else 's'} still waiting")
