"""The system check of the HOGBOX setting (`manage.py check`)."""

from __future__ import annotations

from typing import Any

from django.core import checks  # type: ignore[import-untyped]

from hogbox._operations.page import Page, how_to_open
from hogbox.errors import ConfigurationError
from hogbox.integrations.django.client import make_client
from hogbox.integrations.django.configuration import configuration


def check_configuration(**_: Any) -> list[checks.CheckMessage]:
    """An invalid HOGBOX is an error; a missing project token a warning, since workers and migrations need none."""
    try:
        configured = configuration()
        settings = configured.settings()
        if not settings.project_token and not settings.disabled:
            return [
                checks.Warning(
                    "hogbox has no project token: capturing events will raise ConfigurationError.",
                    hint="Set HOGBOX['PROJECT_TOKEN'] or POSTHOG_PROJECT_TOKEN, or set HOGBOX['DISABLED'] = True.",
                    id="hogbox.W001",
                )
            ]
        client, _engine = make_client(configured)
        client.shutdown()
    except ConfigurationError as error:
        return [checks.Error(str(error), hint=f"See: {how_to_open(Page.DJANGO)}", id="hogbox.E001")]
    return []
