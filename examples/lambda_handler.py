"""AWS Lambda-style handlers: one for requests, with nothing to do after its COMMIT, and one for a schedule."""

from __future__ import annotations

import json
import os
from typing import Any

from sqlalchemy import create_engine, text

from hogbox import PostHog

# Created once per container. One connection is enough; after a pause it is checked before use.
engine = create_engine(os.environ["HOGBOX_DATABASE_URL"], pool_size=1, pool_pre_ping=True)
posthog = PostHog(engine)


class TooExpensive(Exception):
    """The order is refused."""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Handle an order from API Gateway. There is nothing to flush: committed events are safe when this returns."""
    order = json.loads(event["body"])
    try:
        with engine.begin() as connection:
            place(connection, order)
    except TooExpensive:
        return {"statusCode": 402}
    return {"statusCode": 201}


def place(connection: Any, order: dict[str, Any]) -> None:
    """Insert the order and capture its event, in the transaction that the handler commits."""
    connection.execute(text("INSERT INTO orders (person, cents) VALUES (:person, :cents)"), order)
    posthog.capture(connection, "order placed", distinct_id=order["person"], properties={"cents": order["cents"]})
    if order["cents"] > 50_000:
        raise TooExpensive


def deliver(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Called once a minute by an EventBridge schedule: deliver waiting events, and refresh flags if that is due."""
    delivery = posthog.deliver(timeout=30)
    refresh = posthog.refresh_flag_definitions(only_if_due=True)
    return {**delivery._asdict(), "definitions": str(refresh)}
