"""The shop's tasks: `celery -A examples.celery_shop.tasks worker --beat`."""

# mypy: disallow-untyped-decorators=False

from __future__ import annotations

import os

from celery import Celery  # type: ignore[import-untyped]
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, select, update
from sqlalchemy.orm import Session

from hogbox import PostHog
from hogbox.integrations.celery import HogboxCelery

engine = create_engine(os.environ["HOGBOX_DATABASE_URL"])
posthog = PostHog(engine)

app = Celery("shop", broker="redis://127.0.0.1:6379/0")
HogboxCelery(app, posthog, deliver_every=1)

metadata = MetaData()
orders = Table(
    "orders", metadata, Column("id", Integer, primary_key=True), Column("cents", Integer), Column("state", String(20))
)


class CardDeclined(Exception):
    """The bank does not pay."""


@app.task
def confirm(order: int) -> None:
    """Confirm an order; the context provides the distinct id."""
    with Session(engine) as session, session.begin():
        session.execute(update(orders).where(orders.c.id == order).values(state="confirmed"))
        posthog.capture(session, "order confirmed", properties={"order": order})


@app.task
def charge(order: int) -> None:
    """Charge the card. If that fails, "order paid" is rolled back and the exception is captured."""
    with Session(engine) as session, session.begin():
        posthog.capture(session, "order paid", properties={"order": order})
        cents = session.scalar(select(orders.c.cents).where(orders.c.id == order))
        if cents is None or cents > 50_000:
            raise CardDeclined(f"order {order}: {cents} cents")
