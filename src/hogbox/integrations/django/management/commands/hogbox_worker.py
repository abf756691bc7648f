"""`manage.py hogbox_worker`: the command `hogbox worker` with Django's settings."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from hogbox._operations.metrics.server import serve
from hogbox._worker.refresher import Refresher
from hogbox._worker.worker import Worker
from hogbox.integrations.django.command import HogboxCommand, open_database
from hogbox.integrations.django.configuration import configuration
from hogbox.telemetry import Telemetry


class Command(HogboxCommand):
    """Delivers until it is stopped."""

    help = (
        "Deliver events to PostHog until SIGTERM or SIGINT, then finish the current requests. Any number of workers "
        "can run. With a project token and a key for flag definitions, they also refresh the definitions."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The command's own arguments."""
        parser.add_argument("--metrics-port", type=int, help="Port for /metrics, /healthz and /readyz.")
        parser.add_argument(
            "--metrics-host", default="127.0.0.1", help="Address for --metrics-port. There is no authentication."
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Run. Raises ConfigurationError, or TablesError if the tables are missing or of another version."""
        host, port = options["metrics_host"], options["metrics_port"]
        configured = configuration()
        settings = configured.settings()
        with open_database(configured) as database:
            telemetry, delivery = Telemetry(), configured.delivery
            refresher = Refresher(database, settings, telemetry=telemetry)
            worker = Worker(database, settings.host, delivery, refresher, telemetry=telemetry)
            with serve(host, port, database, telemetry, worker.health, delivery.lease_seconds):
                worker.run_until_signal()
