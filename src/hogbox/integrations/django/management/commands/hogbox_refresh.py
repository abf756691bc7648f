"""`manage.py hogbox_refresh`: the command `hogbox refresh` with Django's settings."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError  # type: ignore[import-untyped]

from hogbox._worker.refresher import Refresher
from hogbox.integrations.django.command import HogboxCommand, open_database
from hogbox.integrations.django.configuration import configuration


class Command(HogboxCommand):
    """Refreshes the flag definitions once."""

    help = (
        "Request the flag definitions from PostHog now, store them, and print the result. Exits with 0 for updated and "
        "unchanged, 1 for an error, 2 if the token or the key is missing, 3 if PostHog's cache is cold."
    )

    def handle(self, *_: Any, **__: Any) -> None:
        """Run. Raises CommandError unless the definitions are fresh afterwards."""
        configured = configuration()
        with open_database(configured) as database:
            result = Refresher(database, configured.settings()).refresh()
        text = f"{result}: {result.detail}" if result.detail else str(result)
        if result.exit_code:
            raise CommandError(text, returncode=result.exit_code)
        self.stdout.write(text)
