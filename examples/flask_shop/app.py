"""The application: `flask --app examples.flask_shop.app run`."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, abort, request, session
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from hogbox.integrations.flask import Hogbox, current_posthog


class Base(DeclarativeBase):
    """The base of the shop's models."""


db = SQLAlchemy(model_class=Base)
hogbox = Hogbox(distinct_id=lambda: session.get("customer"), start_worker=True)


class Order(db.Model):  # type: ignore[name-defined, misc]
    """What somebody has ordered."""

    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str]
    item: Mapped[str]
    price: Mapped[int]


def create_app() -> Flask:
    """The shop, in the database of SHOP_DATABASE_URL. hogbox is told by the environment where PostHog is."""
    app = Flask(__name__)
    app.secret_key = os.environ.get("SHOP_SECRET_KEY", "for trying it out only")
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("SHOP_DATABASE_URL", "sqlite:///shop.db")
    db.init_app(app)
    hogbox.init_app(app)  # after Flask-SQLAlchemy: it uses its engine
    app.add_url_rule("/sign-in", view_func=sign_in, methods=["POST"])
    app.add_url_rule("/orders", view_func=place_order, methods=["POST"])
    app.cli.command("init-db")(create_tables)
    return app


def create_tables() -> None:
    """Create the shop's tables, and hogbox's."""
    db.create_all()
    current_posthog.create_tables()


def sign_in() -> dict[str, str]:
    """Whoever says a name is that customer."""
    name = request.get_json()["name"]
    session["customer"] = name
    current_posthog.identify(db.session, properties={"name": name})
    db.session.commit()
    return {"welcome": name}


def place_order() -> dict[str, Any]:
    """The order and its event are committed together, or neither is."""
    if "customer" not in session:
        abort(401)
    wanted = request.get_json()
    order = Order(customer=session["customer"], item=wanted["item"], price=wanted["price"])
    db.session.add(order)
    current_posthog.capture(db.session, "order placed", properties={"item": order.item, "price": order.price})
    gift = current_posthog.is_feature_enabled(db.session, "gift-wrap", person_properties={"price": order.price})
    if order.price > 1000:
        abort(409)  # what was not committed is rolled back: the order, and its event
    db.session.commit()
    return {"order": order.id, "gift_wrap": bool(gift)}
