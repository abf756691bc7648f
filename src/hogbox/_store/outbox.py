"""Outbox: where events wait, which shards may be delivered now, and how much there is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    bindparam,
    case,
    func,
    literal_column,
    select,
)

from hogbox._store.connections.database import Database
from hogbox._store.dialects.element import epoch_ms
from hogbox._store.dialects.statement import soon
from hogbox._store.event_reader import EventReader, EventsRead
from hogbox._store.schema.table import Tables
from hogbox._store.schema.waiting import (
    from_lowest_mark,
    newest_id,
    oldest_event,
)
from hogbox._store.shards.lease import LeaseStore

_LONGEST_PAUSE: Final = 3_600_000
"""Milliseconds: no server may ask for more."""


class Ready(NamedTuple):
    """A shard of this worker with events that wait. `wait` is in seconds: not before it is zero."""

    shard: int
    fence: int
    attempt: int
    wait: float
    oldest: int
    error: str | None
    """Of the last attempt; None where none failed."""


class OutboxStatements:
    """What waits, by shard and altogether."""

    def __init__(self, tables: Tables) -> None:
        self.read_ready = _read_ready(tables)
        self.read_oldest = read_oldest(tables)
        self.read_last_id = newest_id(tables)
        self.count_waiting = _count_waiting(tables)


def _read_ready(tables: Tables) -> Select[int, int, int, int, int, str | None]:
    """Its shards with waiting events: fence, failed attempts, milliseconds to wait, id of the oldest event, error."""
    shards = tables.shards.c
    oldest = oldest_event(tables)
    wait = case((_set_back(tables), 0), else_=shards.not_before - epoch_ms()).label("wait")
    error = case((shards.attempt > 0, shards.last_error)).label("error")
    mine = select(shards.shard, shards.fence, shards.attempt, wait, oldest.label("oldest"), error)
    waiting = mine.where(shards.owner == bindparam("worker")).subquery()
    return select(waiting).where(waiting.c.oldest.is_not(None))


def _set_back(tables: Tables) -> ColumnElement[bool]:
    """That the clock was set back since a shard failed: the failure is in the future, or the pause longer than any."""
    shards = tables.shards.c
    endless = shards.not_before > epoch_ms() + literal_column(str(_LONGEST_PAUSE), BigInteger())
    return (shards.last_error_at > soon()) | (shards.last_error_at.is_(None) & endless)


def read_oldest(tables: Tables) -> Select[int, int]:
    """Every shard with events that wait, whoever owns it, and the id of its oldest event."""
    each = select(tables.shards.c.shard, oldest_event(tables).label("oldest")).subquery()
    return select(each).where(each.c.oldest.is_not(None))


def _count_waiting(tables: Tables) -> Select[int]:
    """How many events wait, up to and with an id."""
    until_last = tables.outbox.c.id <= bindparam("last")
    return select(func.count()).select_from(tables.outbox).where(until_last, from_lowest_mark(tables))


class OutboxStore(LeaseStore):
    """What one worker reads of the outbox."""

    def __init__(self, database: Database, worker: str) -> None:
        super().__init__(database, worker)
        self._outbox = database.tables.once(OutboxStatements)
        self._reader = EventReader(database)

    def read_ready(self) -> list[Ready]:
        """This worker's shards with events that wait."""
        self._marks.keep()
        with self._connect() as connection:
            rows = connection.execute(self._outbox.read_ready, {"worker": self._worker}).all()
        return [
            Ready(shard, fence, attempt, max(0, wait) / 1000, oldest, error)
            for shard, fence, attempt, wait, oldest, error in rows
        ]

    def read_oldest(self) -> dict[int, int]:
        """The id of the oldest event of every shard with any, whoever owns it."""
        with self._connect() as connection:
            return dict(connection.execute(self._outbox.read_oldest).all())

    def count_waiting(self, last: int) -> int:
        """How many events wait, up to and with this id."""
        with self._connect() as connection:
            return connection.scalar(self._outbox.count_waiting, {"last": last}) or 0

    def _read_last_id(self) -> int:
        self._marks.keep()
        with self._connect() as connection:
            return connection.scalar(self._outbox.read_last_id) or 0

    def read_events(
        self, shards: Collection[int], on_hold: Collection[str], events: int, size: int, skipped: Collection[int] = ()
    ) -> EventsRead:
        """The oldest events of these shards, each shard's in order, without those of projects on hold and the skipped.

        So many events at most, or as soon as they have so many bytes. An event that can't be read has a fault.
        """
        return self._reader.read(shards, on_hold, events, size, skipped)
