"""Browsers of the tests' site."""

from __future__ import annotations

import asyncio
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connections  # type: ignore[import-untyped]
from django.test import AsyncClient  # type: ignore[import-untyped]

from tests.fixtures.database import TestDatabase

BROWSER = {"x-posthog-distinct-id": "browser", "x-posthog-session-id": "session-1", "user-agent": "Firefox"}


def people(database: TestDatabase) -> list[tuple[str, str]]:
    """The events that wait, each with whose it is."""
    return [(event["event"], event["distinct_id"]) for event in database.events()]


def get_async(path: str, headers: dict[str, str] | None = None, user: Any = None, **options: Any) -> Any:
    """An asynchronous browser's request, in a thread of its own as ASGI servers give it."""

    async def get() -> Any:
        async with ThreadSensitiveContext():
            browser = AsyncClient(**options)
            if user is not None:
                await browser.aforce_login(user)
            response = await browser.get(path, headers=headers)
            await sync_to_async(connections.close_all)()
            return response

    return asyncio.run(get())
