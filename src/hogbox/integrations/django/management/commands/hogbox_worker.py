"""`manage.py hogbox_worker`: what `hogbox worker` does, with the settings of Django."""

from __future__ import annotations

from typing import Any

from hogbox.integrations.django.command import HogboxCommand, open_database
from hogbox.integrations.django.configuration import configuration
from hogbox.refresher import Refresher
from hogbox.worker import Worker


class Command(HogboxCommand):
    """Delivers until it is told to end."""

    help = (
        "Deliver events to PostHog until SIGTERM or SIGINT; then finish what is under way. Run as many as you like. "
        "With a project token and a key for flag definitions they keep those fresh too."
    )

    def handle(self, *_: Any, **__: Any) -> None:
        """Run. Raises ConfigurationError, or TablesError where the tables can't be used."""
        configured = configuration()
        settings = configured.settings()
        with open_database(configured) as database:
            refresher = Refresher(database, settings)
            Worker(database, settings.host, configured.delivery, refresher).run_until_signal()
