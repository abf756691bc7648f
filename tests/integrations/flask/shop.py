"""A small shop in Flask, with Flask-SQLAlchemy, whose requests end as their paths say."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sqlalchemy as sa
from flask import Flask, Response, abort, g, request, stream_with_context
from flask_sqlalchemy import SQLAlchemy

from hogbox.integrations.flask import current_posthog
from tests.fixtures.database import TestDatabase

TOKEN = "phc_flask"


def make_shop(database: TestDatabase) -> Flask:
    """The shop, with a table `orders`. Customers say in a header who they are; hogbox is not installed yet."""
    app = Flask("shop")
    app.config["SQLALCHEMY_DATABASE_URI"] = database.url
    db = SQLAlchemy(app)

    @app.before_request
    def sign_in() -> None:
        g.customer = request.headers.get("Customer")

    _add_orders(app, db)
    _add_mistakes(app, db)
    _add_streams(app, db)
    return app


def signed_in() -> str | None:
    """Who the shop knows to have sent the request."""
    customer: str | None = g.get("customer")
    return customer


def dispose(app: Flask) -> None:
    """Close what Flask-SQLAlchemy opened."""
    with app.app_context():
        for engine in app.extensions["sqlalchemy"].engines.values():
            engine.dispose()


def _placing(db: SQLAlchemy) -> Callable[[int], None]:
    def place(number: int) -> None:
        db.session.execute(sa.text("INSERT INTO orders VALUES (:number)"), {"number": number})
        current_posthog.capture(db.session, f"order {number}")

    return place


def _add_orders(app: Flask, db: SQLAlchemy) -> None:
    place = _placing(db)

    @app.post("/orders/<int:number>/commit")
    def commit(number: int) -> str:
        place(number)
        db.session.commit()
        return "placed"

    @app.post("/orders/<int:number>/rollback")
    def roll_back(number: int) -> str:
        place(number)
        db.session.rollback()
        return "not placed"

    @app.post("/orders/<int:number>/forget")
    def forget(number: int) -> str:
        place(number)
        return "never committed"

    @app.post("/orders/<int:number>/savepoints")
    def savepoints(number: int) -> str:
        place(number)
        with db.session.begin_nested():
            place(number + 1)
        nested = db.session.begin_nested()
        place(number + 2)
        nested.rollback()
        db.session.commit()
        return "placed two"


def _add_mistakes(app: Flask, db: SQLAlchemy) -> None:
    place = _placing(db)

    @app.post("/fail/<int:number>")
    def fail(number: int) -> str:
        place(number)
        raise RuntimeError(f"order {number} failed")

    @app.get("/abort/<int:status>")
    def stop(status: int) -> str:
        abort(status)


def _add_streams(app: Flask, db: SQLAlchemy) -> None:
    @app.get("/stream/<name>")
    def stream(name: str) -> Response:
        def parts() -> Iterator[str]:
            yield "one "
            current_posthog.capture(db.session, f"{name} streamed")
            db.session.commit()
            if name == "broken":
                raise RuntimeError("the stream broke")
            yield "two"

        current_posthog.capture(db.session, f"{name} began")
        db.session.commit()
        return Response(stream_with_context(parts()))
