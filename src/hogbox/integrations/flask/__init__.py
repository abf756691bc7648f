"""Flask: an extension for request contexts, unhandled exceptions and the current client.

db = SQLAlchemy(app)
Hogbox(app, distinct_id=lambda: current_user.get_id())

@app.post("/orders")
def place_order() -> str:
    db.session.add(Order(...))
    current_posthog.capture(db.session, "order placed")
    db.session.commit()
"""

from __future__ import annotations

from hogbox.errors import MissingDependency

try:
    from hogbox.integrations.flask.extension import Hogbox, current_posthog
except ModuleNotFoundError as error:
    raise MissingDependency("hogbox.integrations.flask needs Flask: pip install 'hogbox[flask]'") from error

__all__ = ["Hogbox", "current_posthog"]
