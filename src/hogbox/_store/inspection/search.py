"""Where one event is in the database, and what is around it."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection

from hogbox._delivery.circumstance import Circumstances
from hogbox._delivery.share import Lease
from hogbox._events.escape import unescape
from hogbox._events.event import beginning_of
from hogbox._events.letter import read_event
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit
from hogbox._store.search_statement import SearchStatements
from hogbox._wire.verdict import what_is_refused
from hogbox.encryption import readable

_SCANNED_AT_ONCE: Final = 50_000
"""Ids in one statement."""

_READ_AT_ONCE: Final = 200

ALIVE_SECONDS: Final = 60.0
"""Seconds within which a worker was seen that counts as alive: twice the usual lease."""


class WaitingEvent(NamedTuple):
    """An event in the outbox."""

    id: int
    shard: int
    project: str
    lane: str
    payload: str
    created_at: int

    @property
    def text(self) -> str:
        """The event's JSON."""
        return readable(self.payload, self)


class Scan(NamedTuple):
    """What a look through the outbox came to. `complete`: whether it saw all there is, or the event."""

    found: WaitingEvent | None
    complete: bool


class Position(NamedTuple):
    """How many earlier events of the same person wait; at least so many unless it is `exact`."""

    ahead: int
    exact: bool


class EventSearch:
    """Looks for events in one database; changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = SearchStatements(database.tables)

    def scan(self, uuid: str, most: int) -> Scan:
        """Look for the event among the oldest `most` ids of the outbox, from the oldest on, in portions."""
        self._database.check()
        wanted = {"beginning": f"{beginning_of(uuid)}%"}
        scanned, last = 0, 0
        with self._connect() as connection:
            while first := connection.scalar(self._statements.read_next_id, {"after": last}):
                if scanned >= most:
                    return Scan(None, complete=False)
                size = min(_SCANNED_AT_ONCE, most - scanned)
                last = first + size - 1
                row = connection.execute(self._statements.find_event, {**wanted, "first": first, "last": last}).first()
                if row is not None:
                    return Scan(WaitingEvent(*row), complete=True)
                scanned += size
        return Scan(None, complete=True)

    def position(self, event: WaitingEvent, most: int) -> Position:
        """How many earlier events of the event's person wait; looks at that many of the same shard at most."""
        person = read_event(event.text).get("distinct_id")
        wanted = {"shard": event.shard, "project": event.project, "portion": _READ_AT_ONCE}
        ahead, seen, edge = 0, 0, event.id
        with self._connect() as connection:
            while seen < most:
                rows = connection.execute(self._statements.read_ahead, {**wanted, "event": edge}).all()
                ahead += sum(read_event(readable(payload, None)).get("distinct_id") == person for _, payload in rows)
                seen += len(rows)
                if len(rows) < _READ_AT_ONCE:
                    return Position(ahead, exact=True)
                edge = rows[-1][0]
        return Position(ahead, exact=False)

    def circumstances(self, event: WaitingEvent) -> Circumstances:
        """What stands between the event and PostHog."""
        with self._connect() as connection:
            shard = connection.execute(self._statements.read_shard, {"shard": event.shard}).one()
            hold = connection.execute(self._statements.read_hold, {"project": event.project}).first()
            silence = {"silence": round(ALIVE_SECONDS * 1000)}
            alive = connection.scalars(self._database.statements.read_live_workers, silence).all()
            ahead = connection.scalar(self._statements.count_ahead, {"shard": event.shard, "event": event.id}) or 0
        owner, left, wait, attempt, error = shard
        return Circumstances(
            lease=Lease(event.shard, owner, left / 1000),
            workers=len(alive),
            put_off=wait / 1000,
            attempt=attempt,
            last_error=unescape(error) if error else None,
            held=hold[0] / 1000 if hold else None,
            hold_reason=unescape(hold[1]) if hold else None,
            refused=what_is_refused(hold[2]) if hold else None,
            ahead=ahead,
        )

    def _connect(self) -> Connection:
        return autocommit(self._database.engine).connect()
