"""hogbox in Django: an app, `hogbox`, with migrations, middleware, commands and admin pages.

    INSTALLED_APPS = [..., "hogbox.integrations.django"]
    HOGBOX = {"PROJECT_TOKEN": "phc_…"}

    from hogbox.integrations.django import posthog

    posthog.capture("order placed", distinct_id=order.customer_id)  # in the transaction of Django's connection

`posthog` is for synchronous code, `aposthog` for asynchronous views.
"""

from __future__ import annotations

from typing import Final

try:
    import django as _django  # type: ignore[import-untyped]  # noqa: F401
except ModuleNotFoundError as error:
    from hogbox.errors import MissingDependency

    raise MissingDependency("hogbox.integrations.django needs Django: pip install 'hogbox[django]'") from error

from hogbox.integrations.django.aio import AsyncDjangoPostHog
from hogbox.integrations.django.client import DjangoPostHog

posthog: Final = DjangoPostHog()
"""The client of the HOGBOX setting, in the current transaction. It is created at its first use."""

aposthog: Final = AsyncDjangoPostHog(posthog)
"""The same for asynchronous views: each method is awaited."""

__all__ = ["AsyncDjangoPostHog", "DjangoPostHog", "aposthog", "posthog"]
