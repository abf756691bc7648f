"""Event reader: reads the events of some shards, and, where a driver can't read one of them, all others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    func,
    select,
)
from sqlalchemy.exc import SQLAlchemyError

from hogbox._delivery.batch import Waiting, total_bytes
from hogbox._delivery.portion import Portion
from hogbox._events.event import ANALYTICS, uuid_of
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit
from hogbox._store.dialects.element import octets
from hogbox._store.dialects.failure import is_undecodable
from hogbox._store.schema.table import Tables
from hogbox._store.schema.waiting import (
    FIRST_ID,
    from_lowest_mark,
    from_mark,
    oldest_event,
    shards_mark,
)

_MANY_SHARDS: Final = 12
"""From so many on their events are so close together that reading them along the primary key passes over few others."""

_UNREADABLE: Final = "the row can't be read as text: its payload is kept in hexadecimal"

_UNKNOWN: Final = "unreadable"

_SAMPLE: Final = 32
"""Events whose average size stands for that of others: enough, and few even where each is as large as can be."""


class EventsRead(NamedTuple):
    """Events as they were read, and whether there may be more of them that were left out."""

    rows: list[Waiting]
    more: bool


_Limits = Mapping[str, Any]
_Read = Select[int, int, str, str, str]


class EventStatements:
    """The reads of events that wait: many at once, and one by one."""

    def __init__(self, tables: Tables) -> None:
        self.read_average_size = _read_average_size(tables)
        self.read_events = _read_events(tables)
        self.read_shard_events = _read_shard_events(tables)
        self.read_ids = _read_ids(tables)
        self.read_event = _read_event(tables)


def _read_average_size(tables: Tables) -> Select[Any]:
    """The average size of a few of the events that wait longest, in bytes."""
    outbox = tables.outbox.c
    oldest = select(outbox.payload).where(outbox.id >= FIRST_ID, from_lowest_mark(tables))
    some = oldest.order_by(outbox.id).limit(_SAMPLE).subquery()
    return select(func.avg(octets(some.c.payload)))


def _read_events(tables: Tables) -> Select[int, int, str, str, str]:
    """The oldest events of many shards, in order: so many, or so many bytes, but at least one; not of projects on hold.

    Nor those that wait behind an event that fails alone, which are `skipped`.
    EventsRead along the primary key: events that were written together lie together, and leave together when they are
    settled. `shard + 0` keeps the index on shards out of it, which would fetch every event from a page of its own.
    Where to begin is found in the same statement: between two, an earlier event of somebody could be committed.
    """
    outbox = tables.outbox.c
    wanted: BindParameter[Any] = bindparam("wanted", expanding=True)
    shard = tables.shards.c.shard
    each = select(oldest_event(tables).label("oldest")).where(shard.in_(wanted)).subquery()
    first = select(func.min(each.c.oldest)).scalar_subquery()
    return _within_limits(tables, outbox.id >= first, (outbox.shard + 0).in_(wanted))


def _read_shard_events(tables: Tables) -> Select[int, int, str, str, str]:
    """The same of one shard, by the index on shards: for few shards, beside which many events of others may wait."""
    shard: BindParameter[int] = bindparam("wanted", type_=tables.shards.c.shard.type)
    return _within_limits(tables, tables.outbox.c.shard == shard, from_mark(tables, shard, shards_mark(tables, shard)))


def _within_limits(tables: Tables, *conditions: ColumnElement[bool]) -> Select[int, int, str, str, str]:
    outbox = tables.outbox.c
    first = (
        select(outbox.id, outbox.shard, outbox.project, outbox.lane, outbox.payload)
        .where(
            *conditions,
            outbox.project.not_in(bindparam("on_hold", expanding=True)),
            outbox.id.not_in(bindparam("skipped", expanding=True)),
        )
        .order_by(outbox.id)
        .limit(bindparam("events"))
        .subquery()
    )
    size = octets(first.c.payload)
    before = (func.sum(size).over(order_by=first.c.id, rows=(None, 0)) - size).label("bytes_before")
    running = select(first, before).subquery()
    read = select(running.c.id, running.c.shard, running.c.project, running.c.lane, running.c.payload)
    return read.where(running.c.bytes_before < bindparam("bytes")).order_by(running.c.id)


def _read_ids(tables: Tables) -> Select[int, int]:
    """Id and shard of the oldest events of some shards, for a driver that can't read what `read_events` finds."""
    outbox, shard = tables.outbox.c, tables.shards.c.shard
    wanted: BindParameter[Any] = bindparam("wanted", expanding=True)
    each = select(oldest_event(tables).label("oldest")).where(shard.in_(wanted)).subquery()
    first = select(func.min(each.c.oldest)).scalar_subquery()
    found = select(outbox.id, outbox.shard).where(
        outbox.id >= first,
        (outbox.shard + 0).in_(wanted),
        outbox.project.not_in(bindparam("on_hold", expanding=True)),
        outbox.id.not_in(bindparam("skipped", expanding=True)),
    )
    return found.order_by(outbox.id).limit(bindparam("events"))


def _read_event(tables: Tables) -> Select[int, int, str, str, str]:
    """One event, by its id."""
    outbox = tables.outbox.c
    columns = (outbox.id, outbox.shard, outbox.project, outbox.lane, outbox.payload)
    return select(*columns).where(outbox.id == bindparam("event"))


class EventReader:
    """Reads from one outbox. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = database.tables.once(EventStatements)
        self._portion: Portion | None = None

    def read(
        self, shards: Collection[int], on_hold: Collection[str], events: int, size: int, skipped: Collection[int] = ()
    ) -> EventsRead:
        """The oldest events of these shards, each shard's in order, without those of projects on hold and the skipped.

        So many events at most, or as soon as they have so many bytes. An event that can't be read has a fault.
        """
        limits = {"on_hold": list(on_hold), "skipped": list(skipped), "events": events, "bytes": size}
        with autocommit(self._database.engine).connect() as connection:
            if self._portion is None:
                average = connection.scalar(self._statements.read_average_size)
                self._portion = Portion(float(average or 0), size)
            try:
                return self._read(connection, shards, limits)
            except (SQLAlchemyError, UnicodeError) as error:
                if not is_undecodable(error):
                    raise
        return self._read_singly(shards, limits)

    def read_one(self, event: int, shard: int = 0) -> Waiting | None:
        """One event, by its id, of this shard, whatever is wrong with it; None where it is gone."""
        try:
            with autocommit(self._database.engine).connect() as connection:
                row = connection.execute(self._statements.read_event, {"event": event}).first()
        except (SQLAlchemyError, UnicodeError) as error:
            if not is_undecodable(error):
                raise
            return Waiting(event, shard, _UNKNOWN, ANALYTICS, "", "", _UNREADABLE)
        return None if row is None else _waiting(row)

    def _read(self, connection: Connection, shards: Collection[int], limits: _Limits) -> EventsRead:
        if len(shards) >= _MANY_SHARDS:
            return self._run(connection, self._statements.read_events, limits, [*shards])
        found: list[Waiting] = []
        more = False
        events, size = limits["events"], limits["bytes"]
        for shard in shards:
            if events <= 0 or size <= 0:
                return EventsRead(found, more=True)
            rest = {**limits, "events": events, "bytes": size}
            read = self._run(connection, self._statements.read_shard_events, rest, shard)
            found += read.rows
            more = more or read.more
            events, size = events - len(read.rows), size - total_bytes(read.rows)
        return EventsRead(found, more)

    def _run(self, connection: Connection, statement: _Read, limits: _Limits, wanted: object) -> EventsRead:
        portion = self._portion or Portion(0, limits["bytes"])
        asked = portion.ask(limits["events"])
        rows = connection.execute(statement, {**limits, "wanted": wanted, "events": asked}).all()
        read = [_waiting(row) for row in rows]
        cut = total_bytes(read) >= limits["bytes"]
        portion.note(asked, len(read), cut=cut)
        return EventsRead(read, cut or len(read) >= asked)

    def _read_singly(self, shards: Collection[int], limits: _Limits) -> EventsRead:
        """The same, one after the other: which events they are is still read in one statement."""
        wanted = {name: limits[name] for name in ("on_hold", "skipped", "events")} | {"wanted": [*shards]}
        with autocommit(self._database.engine).connect() as connection:
            rows = connection.execute(self._statements.read_ids, wanted).all()
        found: list[Waiting] = []
        size = limits["bytes"]
        for event, shard in rows:
            if size <= 0:
                return EventsRead(found, more=True)
            if (row := self.read_one(event, shard)) is not None:
                found.append(row)
                size -= total_bytes([row])
        return EventsRead(found, more=len(rows) >= limits["events"])


def _waiting(row: Row[Any, Any, Any, Any, Any]) -> Waiting:
    """SQLite keeps values of any type in any column."""
    event, shard, project, lane, payload = row
    if isinstance(payload, str) and isinstance(project, str) and isinstance(lane, str):
        return Waiting(event, shard, project, lane, payload, uuid_of(payload))
    known = project if isinstance(project, str) else _UNKNOWN
    return Waiting(event, shard, known, ANALYTICS, "", "", _UNREADABLE)
