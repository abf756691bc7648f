"""Somebody orders something: `python -m examples.celery_shop.order ada 4200`."""

from __future__ import annotations

import sys

from sqlalchemy import insert
from sqlalchemy.orm import Session

from examples.celery_shop.tasks import charge, confirm, engine, metadata, orders, posthog
from hogbox.context import new_context


def place_order(person: str, cents: int) -> None:
    """Commit the order with its event, then send the tasks."""
    with new_context(distinct_id=person, tags={"channel": "shop"}):
        with Session(engine) as session, session.begin():
            order = session.scalar(insert(orders).values(cents=cents, state="new").returning(orders.c.id))
            posthog.capture(session, "order placed", properties={"order": order, "cents": cents})
        # After the commit: a worker may be quicker than this process.
        confirm.delay(order)
        charge.delay(order)
    print(f"order {order} of {person}: {cents} cents")


if __name__ == "__main__":
    metadata.create_all(engine)
    place_order(sys.argv[1], int(sys.argv[2]))
