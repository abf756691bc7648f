"""An application for servers of several processes: hogbox is used before the fork, and says which process answers."""

from __future__ import annotations

import os

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from hogbox.integrations.flask import Hogbox, current_posthog


def create_app() -> Flask:
    """The application, in the database of the environment."""
    app = Flask("served")
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["SHOP_DATABASE_URL"]
    db = SQLAlchemy(app)
    Hogbox(app, start_worker=True)

    @app.post("/visits/<visitor>")
    def visit(visitor: str) -> dict[str, object]:
        flag = current_posthog.get_feature_flag(db.session, "greeting", distinct_id=visitor)
        current_posthog.capture(db.session, "visited", distinct_id=visitor, properties={"process": os.getpid()})
        db.session.commit()
        return {"process": os.getpid(), "flag": flag}

    with app.app_context():
        current_posthog.capture(None, "loaded", distinct_id="server", properties={"process": os.getpid()})
        current_posthog.get_feature_flag(None, "greeting", distinct_id="server")
    return app
