"""What the shop's own database says: the facts that were committed, and the events that still wait there."""

from __future__ import annotations

import time
from pathlib import Path

from sqlalchemy import Engine, create_engine, select, text
from sqlalchemy.orm import Session

from examples.shop.shop import Base, Customer, Order
from examples.shop.verify import Fact


def open_ledger(database: Path) -> Engine:
    """A new database with the shop's tables. Write-ahead logging lets the worker read while the shop writes."""
    engine = create_engine(f"sqlite:///{database}", connect_args={"timeout": 30})
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    Base.metadata.create_all(engine)
    return engine


def read_facts(engine: Engine) -> list[Fact]:
    """Everything that was committed, each person's in order: nobody orders before having signed up."""
    with Session(engine) as session:
        customers = session.scalars(select(Customer.id)).all()
        orders = session.execute(select(Order.customer_id, Order.number).order_by(Order.id)).all()
    signed_up = [Fact(customer, "signed_up", "") for customer in customers]
    return signed_up + [Fact(customer, "order_placed", number) for customer, number in orders]


def count(engine: Engine, table: str) -> int:
    """The rows of one of hogbox's tables."""
    with engine.connect() as connection:
        return connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0


def wait_until_empty(engine: Engine, seconds: float) -> int:
    """Wait until no event waits in the outbox, or until so many seconds have passed; how many wait then."""
    deadline = time.monotonic() + seconds
    while (waiting := count(engine, "posthog_outbox")) and time.monotonic() < deadline:
        time.sleep(0.05)
    return waiting
