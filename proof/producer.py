"""A producer process: an application that commits some transactions and rolls back others.

Usage: python -m proof.producer DATABASE_URL NAME EVENTS SECONDS UNDONE TOKEN PEOPLE. It captures that number of events,
spread over that number of seconds, for that number of people of its own, in the project of that token, and adds the
uuid of each event that it rolled back to the file UNDONE. Where the database fails it tries again, as applications do.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from hogbox import PostHog
from proof.ledger import LEDGER, read_position

DOOMED = 0.2
MOST = 4
_EACH = (1 + MOST) / 2 * (1 - DOOMED)
"""Events that a transaction commits, on average."""

_HESITATION = 0.1
"""Seconds before a rollback."""

_PATIENCE = 60.0
"""Seconds that it takes at most to get the events in, when the database fails."""


class Producer:
    """Captures events for its people, one transaction after the other."""

    def __init__(self, url: str, people: Sequence[str], undone: Path, token: str) -> None:
        self._posthog = PostHog(url, project_token=token, host="http://127.0.0.1:1")
        self._engine = sa.create_engine(url, connect_args=_arguments(sa.make_url(url)), pool_pre_ping=True)
        self._positions = dict.fromkeys(people, 0)
        self._undone = undone

    def produce(self, events: int, seconds: float) -> None:
        """So many committed events, at an even pace."""
        pause = seconds / max(1.0, events / _EACH)
        gives_up = time.monotonic() + seconds + _PATIENCE
        while events > 0 and time.monotonic() < gives_up:
            began = time.monotonic()
            person = random.choice(list(self._positions))
            try:
                events -= self._transact(person)
            except SQLAlchemyError:
                self._find_out(person)
            time.sleep(max(0.0, pause - (time.monotonic() - began)))

    def _transact(self, person: str) -> int:
        """One transaction; how many events it committed."""
        doomed = random.random() < DOOMED
        first = self._positions[person]
        positions = range(first, first + random.randint(1, MOST))
        with self._engine.connect() as connection:
            uuids = [self._capture(connection, person, position, "step") for position in positions]
            if not doomed:
                connection.commit()
                self._positions[person] = positions.stop
                return len(positions)
            # A worker that reads what is not committed has the time to do so.
            time.sleep(_HESITATION)
            connection.rollback()
        with self._undone.open("a") as file:
            file.write("".join(f"{uuid}\n" for uuid in uuids))
        return 0

    def commit(self, person: str, *events: str) -> None:
        """Commit events of these names, in this order."""
        with self._engine.begin() as connection:
            for position, event in enumerate(events, self._positions[person]):
                self._capture(connection, person, position, event)
        self._positions[person] += len(events)

    def _capture(self, connection: sa.Connection, person: str, position: int, event: str) -> str | None:
        earliest = time.time()
        uuid = self._posthog.capture(connection, event, distinct_id=person, properties={"position": position})
        row = {"uuid": uuid, "person": person, "position": position, "earliest": earliest, "latest": time.time()}
        connection.execute(sa.insert(LEDGER).values(row))
        return uuid

    def _find_out(self, person: str) -> None:
        """The database failed, perhaps at the commit: what it holds is what counts."""
        ends = time.monotonic() + _PATIENCE
        while time.monotonic() < ends:
            try:
                with self._engine.connect() as connection:
                    self._positions[person] = read_position(connection, person)
                    return
            except SQLAlchemyError:
                time.sleep(0.2)


def _arguments(url: sa.URL) -> dict[str, Any]:
    """Patience with SQLite's single writer; no prepared statements, which a pooler of transactions loses."""
    if url.get_backend_name() == "sqlite":
        return {"timeout": 60}
    return {"prepare_threshold": None} if url.drivername == "postgresql+psycopg" else {}


def people(name: str, count: int) -> list[str]:
    """The people of the producer of this name."""
    return [f"{name}-{number}" for number in range(count)]


def main(arguments: Sequence[str]) -> None:
    """Produce, and end."""
    url, name, events, seconds, undone, token, count = arguments
    Producer(url, people(name, int(count)), Path(undone), token).produce(int(events), float(seconds))


if __name__ == "__main__":
    main(sys.argv[1:])
