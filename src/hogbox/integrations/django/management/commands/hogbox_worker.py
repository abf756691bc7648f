"""`manage.py hogbox_worker`: what `hogbox worker` does, with the settings of Django."""

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
    """Delivers until it is told to end."""

    help = (
        "Deliver events to PostHog until SIGTERM or SIGINT; then finish what is under way. Run as many as you like. "
        "With a project token and a key for flag definitions they keep those fresh too."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Those of its own."""
        parser.add_argument("--metrics-port", type=int, help="Serve /metrics, /healthz and /readyz at this port.")
        parser.add_argument(
            "--metrics-host", default="127.0.0.1", help="Address to serve them at; there is no authentication."
        )

    def handle(self, *_: Any, **options: Any) -> None:
        """Run. Raises ConfigurationError, or TablesError where the tables can't be used."""
        host, port = options["metrics_host"], options["metrics_port"]
        configured = configuration()
        settings = configured.settings()
        with open_database(configured) as database:
            telemetry, delivery = Telemetry(), configured.delivery
            refresher = Refresher(database, settings, telemetry=telemetry)
            worker = Worker(database, settings.host, delivery, refresher, telemetry=telemetry)
            with serve(host, port, database, telemetry, worker.health, delivery.lease_seconds):
                worker.run_until_signal()
