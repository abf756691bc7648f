"""The Django app: `INSTALLED_APPS = [..., "hogbox.integrations.django"]`."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig  # type: ignore[import-untyped]
from django.core import checks  # type: ignore[import-untyped]
from django.core.signals import setting_changed  # type: ignore[import-untyped]

from hogbox.integrations.django.check import check_configuration
from hogbox.integrations.django.client import current
from hogbox.integrations.django.configuration import OFFICIAL


class HogboxConfig(AppConfig):  # type: ignore[misc]
    """hogbox as an app, under the label `hogbox`."""

    name = "hogbox.integrations.django"
    label = "hogbox"
    verbose_name = "hogbox"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system check, and watch for changes of the settings by tests."""
        checks.register(check_configuration)
        setting_changed.connect(_forget, dispatch_uid="hogbox")


def _forget(*, setting: str, **_: Any) -> None:
    if setting in ("HOGBOX", "DATABASES") or setting in OFFICIAL:
        current.forget()
