"""A producer process: an application that writes orders and captures them, a fifth of which it rolls back.

Usage: producer.py DATABASE_URL NAME SECONDS. Each committed transaction leaves rows in the table `orders`; those are
the truth that the events are compared with.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hogbox import PostHog

PEOPLE = 12

INSERT = sa.text("INSERT INTO orders (uuid, person, position) VALUES (:uuid, :person, :position)")


def main(url: str, name: str, seconds: float) -> None:
    """Make transactions of one to four orders each until the time is over."""
    posthog = PostHog(url, project_token="phc_chaos")
    engine = sa.create_engine(url, connect_args={"timeout": 60} if url.startswith("sqlite") else {})
    open_handle = _handles(engine)[name]
    positions = dict.fromkeys((f"{name}-{number}" for number in range(PEOPLE)), 0)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        person = random.choice(list(positions))
        doomed = random.random() < 0.2
        orders = range(positions[person], positions[person] + random.randint(1, 4))
        with open_handle() as (handle, session):
            for position in orders:
                properties = {"position": position, "doomed": doomed}
                uuid = posthog.capture(handle, "order placed", distinct_id=person, properties=properties)
                session.execute(INSERT, {"uuid": uuid, "person": person, "position": position})
            if doomed:
                session.rollback()
            else:
                session.commit()
                positions[person] = orders.stop
        time.sleep(0.002)


def _handles(engine: sa.Engine) -> dict[str, Callable[[], Any]]:
    return {"session": lambda: _SessionHandle(engine), "driver": lambda: _DriverHandle(engine)}


class _SessionHandle:
    """Events are captured on the SQLAlchemy Session."""

    def __init__(self, engine: sa.Engine) -> None:
        self._session = Session(engine)

    def __enter__(self) -> tuple[Any, Session]:
        return self._session, self._session

    def __exit__(self, *_: object) -> None:
        self._session.close()


class _DriverHandle(_SessionHandle):
    """Events are captured on the driver's own connection, under the same transaction."""

    def __enter__(self) -> tuple[Any, Session]:
        return self._session.connection().connection.driver_connection, self._session


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
