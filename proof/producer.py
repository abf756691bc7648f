"""A producer process: an application that commits some transactions and rolls back others.

Usage: python -m proof.producer DATABASE_URL NAME EVENTS SECONDS UNDONE. It captures so many events, spread over so many
seconds, for people of its own, and adds the uuid of each event that it rolled back to the file UNDONE. Where the
database fails it tries again, as applications do.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from hogbox import PostHog
from proof.ledger import LEDGER, read_position

PEOPLE = 6
DOOMED = 0.2
MOST = 4
_EACH = (1 + MOST) / 2 * (1 - DOOMED)
"""Events that a transaction commits, on average."""

_PATIENCE = 60.0
"""Seconds that it takes at most to get the events in, when the database fails."""


class Producer:
    """Captures events for its people, one transaction after the other."""

    def __init__(self, url: str, name: str, undone: Path) -> None:
        self._posthog = PostHog(url, project_token="phc_proof", host="http://127.0.0.1:1")
        timeout = {"timeout": 60} if url.startswith("sqlite") else {}
        self._engine = sa.create_engine(url, connect_args=timeout, pool_pre_ping=True)
        self._positions = {f"{name}-{number}": 0 for number in range(PEOPLE)}
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
            uuids = [self._capture(connection, person, position) for position in positions]
            if not doomed:
                connection.commit()
                self._positions[person] = positions.stop
                return len(positions)
            connection.rollback()
        with self._undone.open("a") as file:
            file.write("".join(f"{uuid}\n" for uuid in uuids))
        return 0

    def _capture(self, connection: sa.Connection, person: str, position: int) -> str | None:
        earliest = time.time()
        uuid = self._posthog.capture(connection, "step", distinct_id=person, properties={"position": position})
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


def main(url: str, name: str, events: int, seconds: float, undone: Path) -> None:
    """Produce, and end."""
    Producer(url, name, undone).produce(events, seconds)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), Path(sys.argv[5]))
