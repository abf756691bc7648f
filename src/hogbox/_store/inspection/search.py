"""Search: where one event is in the database, and what is around it."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection, Select, bindparam, func, select

from hogbox._delivery.share import Lease
from hogbox._delivery.wait_reason import WaitState
from hogbox._encryption import readable
from hogbox._events.dead_letter import read_event
from hogbox._events.escape import unescape
from hogbox._events.event import beginning_of, lanes_in_order
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit
from hogbox._store.dialects.element import epoch_ms
from hogbox._store.dialects.statement import milliseconds
from hogbox._store.schema.table import Tables
from hogbox._store.schema.waiting import (
    next_id,
)
from hogbox._store.shards.lease import read_live_workers
from hogbox._wire.verdict import what_is_refused

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


class SearchStatements:
    """One event, and what is around it."""

    def __init__(self, tables: Tables) -> None:
        self.read_next_id = next_id(tables)
        self.read_live_workers = read_live_workers(tables)
        self.find_event = _find_event(tables)
        self.count_ahead = _count_ahead(tables)
        self.read_ahead = _read_ahead(tables)
        self.read_shard = _read_shard(tables)
        self.read_hold = _read_hold(tables)


def _find_event(tables: Tables) -> Select[int, int, str, str, str, int]:
    """The event whose payload begins like this, between two ids: payloads have no index, so this many are looked at."""
    outbox = tables.outbox.c
    beginning = bindparam("beginning", type_=outbox.payload.type)
    return (
        select(outbox.id, outbox.shard, outbox.project, outbox.lane, outbox.payload, outbox.created_at)
        .where(outbox.id.between(bindparam("first"), bindparam("last")), outbox.payload.like(beginning))
        .order_by(outbox.id)
        .limit(1)
    )


def _count_ahead(tables: Tables) -> Select[int]:
    """How many events of a shard were captured before an id."""
    outbox = tables.outbox.c
    ahead = (outbox.shard == bindparam("shard"), outbox.id < bindparam("event"))
    return select(func.count()).select_from(tables.outbox).where(*ahead)


def _read_ahead(tables: Tables) -> Select[int, str]:
    """So many events of a project and some lanes in a shard, between two ids, from the newest on."""
    outbox = tables.outbox.c
    between = (outbox.shard == bindparam("shard"), outbox.id < bindparam("event"))
    return (
        select(outbox.id, outbox.payload)
        .where(*between, outbox.project == bindparam("project"))
        .where(outbox.lane.in_(bindparam("lanes", expanding=True)))
        .order_by(outbox.id.desc())
        .limit(bindparam("portion"))
    )


def _read_shard(tables: Tables) -> Select[str | None, int, int, int, str | None]:
    """A shard: its owner, the milliseconds left of the lease, those to wait yet, failed attempts, the last error."""
    shards = tables.shards.c
    left, wait = (column - epoch_ms() for column in (shards.lease_expires_at, shards.not_before))
    read = select(shards.owner, left.label("left"), wait.label("wait"), shards.attempt, shards.last_error)
    return read.where(shards.shard == bindparam("shard"))


def _read_hold(tables: Tables) -> Select[int, str, int | None]:
    """Why a project is put off, and the milliseconds until it is tried again."""
    holds = tables.holds.c
    left = (holds.until - epoch_ms()).label("left")
    return select(left, holds.reason, holds.status).where(holds.project == bindparam("project"))


class EventSearch:
    """Looks for events in one database; changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = database.tables.once(SearchStatements)

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
        """How many earlier events of the event's person and lane wait; looks at that many of the same shard at most."""
        person = read_event(event.text).get("distinct_id")
        lanes = lanes_in_order(event.lane)
        wanted = {"shard": event.shard, "project": event.project, "lanes": lanes, "portion": _READ_AT_ONCE}
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

    def circumstances(self, event: WaitingEvent) -> WaitState:
        """What stands between the event and PostHog."""
        with self._connect() as connection:
            shard = connection.execute(self._statements.read_shard, {"shard": event.shard}).one()
            hold = connection.execute(self._statements.read_hold, {"project": event.project}).first()
            silence = {"silence": milliseconds(ALIVE_SECONDS)}
            alive = connection.scalars(self._statements.read_live_workers, silence).all()
            ahead = connection.scalar(self._statements.count_ahead, {"shard": event.shard, "event": event.id}) or 0
        owner, left, wait, attempt, error = shard
        return WaitState(
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
