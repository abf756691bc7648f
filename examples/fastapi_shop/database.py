"""Database: the shop's table, and the transaction of a request."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])


class Base(DeclarativeBase):
    """The shop's tables. hogbox's stand beside them, and make themselves."""


class Order(Base):
    """An order, paid for."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    item: Mapped[str]
    cents: Mapped[int]


async def get_session() -> AsyncIterator[AsyncSession]:
    """One transaction per request: committed after the endpoint returns, rolled back if it raises."""
    async with AsyncSession(engine) as session, session.begin():
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session, scope="function")]
