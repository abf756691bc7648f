"""The application: `uvicorn examples.fastapi_shop.app:app`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import select

from examples.fastapi_shop.database import Order, SessionDep, engine
from hogbox import AsyncFlags, AsyncPostHog
from hogbox.integrations.fastapi import AsyncPostHogDep, HogboxMiddleware, async_flags_of, posthog_lifespan

PRICES = {"mug": 1200, "poster": 800}

posthog = AsyncPostHog(engine)
FlagsDep = Annotated[AsyncFlags, Depends(async_flags_of(SessionDep), scope="function")]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run hogbox's lifespan inside the shop's own: its worker starts last and stops first."""
    async with posthog_lifespan(posthog)(app):
        yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
app.add_middleware(HogboxMiddleware, posthog=posthog)


class NewOrder(BaseModel):
    """What a customer sends."""

    item: str
    card: str


@app.post("/orders", status_code=201)
async def place_order(new: NewOrder, session: SessionDep, posthog: AsyncPostHogDep, flags: FlagsDep) -> int:
    """The order and its event are committed together, or neither is."""
    delivery = 0 if flags.is_enabled("free-delivery") else 500
    order = Order(item=new.item, cents=PRICES[new.item] + delivery)
    session.add(order)
    await posthog.capture(session, "order placed", properties={"item": order.item, "cents": order.cents}, flags=flags)
    if new.card == "declined":
        raise HTTPException(402, "the card was declined")
    return order.cents


@app.get("/delivery")
async def read_delivery(flags: FlagsDep) -> dict[str, bool]:
    """What the page says before somebody orders."""
    return {"free": flags.is_enabled("free-delivery") is True}


@app.get("/average")
async def read_average(session: SessionDep) -> float:
    """What an order comes to. Raises before there is one: PostHog shows it under errors."""
    cents = (await session.scalars(select(Order.cents))).all()
    return sum(cents) / len(cents)
