"""The shop, as its authors would write it: every fact and its event are one transaction."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable

from sqlalchemy import Engine, ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from hogbox import Flags, PostHog

PRICES = {"poster": 1900, "mug": 1250, "hedgehog": 4900}


class Base(DeclarativeBase):
    """The shop's tables."""


class Customer(Base):
    """Somebody who signed up."""

    __tablename__ = "customers"

    id: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    plan: Mapped[str]


class Order(Base):
    """What a customer bought."""

    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)
    customer_id: Mapped[str] = mapped_column(ForeignKey("customers.id"), index=True)
    product: Mapped[str]
    quantity: Mapped[int]
    cents: Mapped[int]


class CardDeclined(Exception):
    """The bank said no: nothing was bought."""


class Shop:
    """Signs people up and takes orders. `charge` asks the bank for some cents, and raises CardDeclined.

    `flagged` is whether flag definitions are kept in the database: without them there is no discount and no flag.
    """

    def __init__(
        self, engine: Engine, posthog: PostHog, charge: Callable[[str, int], None], *, flagged: bool = False
    ) -> None:
        self._engine = engine
        self._posthog = posthog
        self._charge = charge
        self._flagged = flagged

    def sign_up(self, email: str, plan: str) -> str:
        """Returns the new customer's id. Raises IntegrityError, and there is no event, where the address is taken."""
        with Session(self._engine) as session, session.begin():
            customer = Customer(id=str(uuid.uuid4()), email=email, plan=plan)
            session.add(customer)
            self._posthog.capture(session, "signed_up", distinct_id=customer.id, properties={"plan": plan})
            return customer.id

    def place_order(self, customer_id: str, product: str, quantity: int) -> str:
        """Returns the order's number. Raises CardDeclined, and there is neither an order nor an event."""
        with Session(self._engine) as session, session.begin():
            flags = self._flags(session, customer_id)
            discount = flags.payload("team-discount", {"percent": 0}) if flags else {"percent": 0}
            cents = PRICES[product] * quantity * (100 - discount["percent"]) // 100
            number = f"A-{secrets.token_hex(4)}"
            order = Order(number=number, customer_id=customer_id, product=product, quantity=quantity, cents=cents)
            session.add(order)
            self._posthog.capture(
                session,
                "order_placed",
                distinct_id=customer_id,
                properties={"order": number, "product": product, "quantity": quantity, "total": cents / 100},
                flags=flags,
            )
            self._charge(customer_id, cents)
            return number

    def _flags(self, session: Session, customer_id: str) -> Flags | None:
        """The customer's flags, from what this transaction sees: no request is made for them."""
        if not self._flagged:
            return None
        customer = session.get_one(Customer, customer_id)
        return self._posthog.flags(session, distinct_id=customer_id, person_properties={"plan": customer.plan})
