"""The shop, with an endpoint that tells which process serves it: `tests.integrations.fastapi.fleet:app`."""

from __future__ import annotations

import os

from examples.fastapi_shop.app import FlagsDep, app
from examples.fastapi_shop.database import SessionDep
from hogbox.integrations.fastapi import AsyncPostHogDep

__all__ = ["app"]


@app.post("/visits/{number}")
async def visit(number: int, session: SessionDep, posthog: AsyncPostHogDep, flags: FlagsDep) -> int:
    """The id of the process; an event tells of it, and of a flag."""
    told = {"pid": os.getpid(), "number": number, "free": flags.is_enabled("free-delivery")}
    await posthog.capture(session, "visited", properties=told)
    return os.getpid()
