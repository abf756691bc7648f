"""`python -m examples.fastapi_shop`: creates the shop's table and hogbox's, once for each deployment."""

from __future__ import annotations

import asyncio

from examples.fastapi_shop.app import posthog
from examples.fastapi_shop.database import Base, engine


async def create_tables() -> None:
    """Create what is not there yet."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await posthog.create_tables()
    await posthog.shutdown()
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(create_tables())
