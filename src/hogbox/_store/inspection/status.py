"""Status: what the database says of how things stand, in one reading."""

from __future__ import annotations

from collections.abc import Sequence
from random import randrange
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, bindparam, func, select

from hogbox._events.escape import unescape
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit, require_file
from hogbox._store.connections.surroundings import read_surroundings
from hogbox._store.dialects.element import epoch_ms
from hogbox._store.inspection.snapshot import (
    BacklogSummary,
    DeadReason,
    DefinitionsRow,
    HoldRow,
    ShardRow,
    StatusSnapshot,
    WorkerRow,
)
from hogbox._store.schema.table import Tables
from hogbox._store.schema.waiting import (
    from_lowest_mark,
    newest_id,
    oldest_event,
)

COUNTED: Final = 20_000
"""So many events are counted; what is beyond is estimated from a sample."""

_SAMPLE: Final = 900
"""Ids that are looked up. The estimate of a project's share is right within three or four percent of the whole."""

DEAD_COUNTED: Final = 10_000
"""So many dead letters are counted, the newest first."""


class StatusStatements:
    """How things stand, a statement for each part of it. None reads payloads or definitions."""

    def __init__(self, tables: Tables) -> None:
        self.count_oldest = _count_oldest(tables)
        self.read_last_id = newest_id(tables)
        self.sample_events = _sample_events(tables)
        self.read_shards = _read_shards(tables)
        self.read_workers = _read_workers(tables)
        self.read_holds = _read_holds(tables)
        self.count_newest_dead = _count_newest_dead(tables)
        self.read_definitions = _read_definitions(tables)
        self.read_refreshes = _read_refreshes(tables)
        self.read_clock = select(epoch_ms())


def _count_oldest(tables: Tables) -> Select[Any]:
    """So many of the events that wait longest, by project: how many, up to which id, and the oldest one's age in ms.

    Along the primary key, so that it costs the same however many wait.
    """
    outbox = tables.outbox.c
    oldest = select(outbox.id, outbox.project, outbox.created_at).where(from_lowest_mark(tables))
    one = oldest.order_by(outbox.id).limit(bindparam("most")).subquery()
    age = (epoch_ms() - func.min(one.c.created_at)).label("age")
    return select(one.c.project, func.count().label("events"), func.max(one.c.id).label("last"), age).group_by(
        one.c.project
    )


def _sample_events(tables: Tables) -> Select[Any]:
    """By project, how many of these ids are events that wait."""
    outbox = tables.outbox.c
    wanted = outbox.id.in_(bindparam("ids", expanding=True))
    return select(outbox.project, func.count().label("events")).where(wanted).group_by(outbox.project)


def _read_shards(tables: Tables) -> Select[Any]:
    """Every shard: owner, milliseconds left of its lease, its retry state, and whether it holds events."""
    shards = tables.shards.c
    return select(
        shards.shard,
        shards.owner,
        _until(shards.lease_expires_at).label("left_ms"),
        _until(shards.not_before).label("wait_ms"),
        shards.attempt,
        shards.last_error,
        _since(shards.last_error_at).label("error_ms"),
        oldest_event(tables).label("oldest"),
    ).order_by(shards.shard)


def _read_workers(tables: Tables) -> Select[Any]:
    """Every worker that is listed, with the milliseconds since it began and since it was heard of."""
    workers = tables.workers.c
    return select(
        workers.id,
        workers.host,
        workers.pid,
        workers.version,
        _since(workers.started_at).label("started_ms"),
        _since(workers.seen_at).label("silent_ms"),
        workers.delivered,
        workers.dead,
        workers.per_minute,
    ).order_by(workers.started_at, workers.id)


def _read_holds(tables: Tables) -> Select[Any]:
    """The projects that are put off: since when, how long yet, and why."""
    holds = tables.holds.c
    since, wait = _since(holds.held_at).label("held_ms"), _until(holds.until).label("wait_ms")
    return select(holds.project, since, wait, holds.attempt, holds.status, holds.reason).order_by(holds.project)


def _count_newest_dead(tables: Tables) -> Select[Any]:
    """So many of the newest dead letters, by reason: how many, and the milliseconds since the last one."""
    dead = tables.dead_letters.c
    newest = select(dead.reason, dead.status, dead.died_at).order_by(dead.id.desc()).limit(bindparam("most"))
    one = newest.subquery()
    count, since = func.count().label("events"), _since(func.max(one.c.died_at)).label("since_ms")
    return select(one.c.reason, one.c.status, count, since).group_by(one.c.reason, one.c.status)


def _read_definitions(tables: Tables) -> Select[Any]:
    """The definitions that are stored, without their texts."""
    stored = tables.flag_definitions.c
    has_etag = stored.etag.is_not(None).label("has_etag")
    return select(stored.project, stored.revision, has_etag, _since(stored.fetched_at).label("fetched_ms"))


def _read_refreshes(tables: Tables) -> Select[Any]:
    """What became of the last refreshes, and when the next ones are due."""
    refreshes = tables.refreshes.c
    return select(
        refreshes.project,
        _until(refreshes.due_at).label("due_ms"),
        refreshes.holder,
        refreshes.last_status,
        refreshes.last_reason,
        _since(refreshes.last_at).label("last_ms"),
        _since(refreshes.unchanged_at).label("unchanged_ms"),
        refreshes.polls,
        refreshes.polls_alone,
    )


def _since(moment: ColumnElement[Any]) -> ColumnElement[int]:
    return (epoch_ms() - moment).cast(BigInteger)


def _until(moment: ColumnElement[Any]) -> ColumnElement[int]:
    return (moment - epoch_ms()).cast(BigInteger)


class StatusStore:
    """Reads how things stand; changes nothing, and waits for nobody."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = database.tables.once(StatusStatements)

    def read(self) -> StatusSnapshot:
        """How things stand. Raises TablesError where the tables can't be used."""
        require_file(self._database.engine)
        self._database.check()
        with autocommit(self._database.engine).connect() as connection:
            return StatusSnapshot(
                self._backlog(connection),
                tuple(_shard(row) for row in connection.execute(self._statements.read_shards)),
                tuple(_worker(row) for row in connection.execute(self._statements.read_workers)),
                tuple(_hold(row) for row in connection.execute(self._statements.read_holds)),
                self._dead(connection),
                self._definitions(connection),
                read_surroundings(connection, self._database.tables),
            )

    def _backlog(self, connection: Connection) -> BacklogSummary:
        rows = connection.execute(self._statements.count_oldest, {"most": COUNTED}).all()
        counts = {row.project: row.events for row in rows}
        oldest = max((_seconds(row.age) for row in rows), default=None)
        counted = sum(counts.values())
        newest = connection.scalar(self._statements.read_last_id) or 0
        first = max((row.last for row in rows), default=0) + 1
        if counted < COUNTED or newest < first:
            return BacklogSummary(counted, counts, oldest, estimated=False)
        ids = _spread(first, newest)
        scale = (newest - first + 1) / len(ids)
        for project, found in connection.execute(self._statements.sample_events, {"ids": ids}):
            counts[project] = counts.get(project, 0) + round(found * scale)
        return BacklogSummary(sum(counts.values()), counts, oldest, estimated=True)

    def _dead(self, connection: Connection) -> tuple[DeadReason, ...]:
        rows = connection.execute(self._statements.count_newest_dead, {"most": DEAD_COUNTED})
        reasons = (DeadReason(unescape(row.reason), row.status, row.events, row.since_ms / 1000) for row in rows)
        return tuple(sorted(reasons, key=lambda reason: -reason.events))

    def _definitions(self, connection: Connection) -> tuple[DefinitionsRow, ...]:
        stored = {row.project: row for row in connection.execute(self._statements.read_definitions)}
        refreshes = {row.project: row for row in connection.execute(self._statements.read_refreshes)}
        projects = sorted({*stored, *refreshes})
        return tuple(_definitions(name, stored.get(name), refreshes.get(name)) for name in projects)


def _spread(first: int, last: int) -> Sequence[int]:
    """Ids between these two, one by chance from each of equal parts: ids may go up in steps."""
    count = min(_SAMPLE, last - first + 1)
    edges = [first + (last - first + 1) * part // count for part in range(count + 1)]
    return [randrange(edges[part], edges[part + 1]) for part in range(count)]  # noqa: S311 - a sample, no secret


def _shard(row: Any) -> ShardRow:
    wait = max(0.0, row.wait_ms / 1000)
    waiting = row.oldest is not None
    left = row.left_ms / 1000
    error = unescape(row.last_error) if row.last_error else None
    return ShardRow(row.shard, row.owner, left, wait, row.attempt, error, _seconds(row.error_ms), waiting)


def _worker(row: Any) -> WorkerRow:
    started, silent = row.started_ms / 1000, max(0.0, row.silent_ms / 1000)
    done = (row.delivered or 0, row.dead or 0, row.per_minute or 0)
    return WorkerRow(row.id, row.host, row.pid, row.version, started, silent, *done)


def _hold(row: Any) -> HoldRow:
    return HoldRow(row.project, row.held_ms / 1000, row.wait_ms / 1000, row.attempt, row.status, unescape(row.reason))


def _definitions(project: str, stored: Any, refresh: Any) -> DefinitionsRow:
    right = [stored.fetched_ms if stored else None, refresh.unchanged_ms if refresh and stored else None]
    age = min((_seconds(one) for one in right if one is not None), default=None)
    revision, has_etag = (stored.revision, bool(stored.has_etag)) if stored else (None, False)
    return DefinitionsRow(
        project,
        revision,
        age,
        has_etag,
        due=_seconds(refresh.due_ms) if refresh else None,
        holder=refresh.holder if refresh else None,
        last_status=refresh.last_status if refresh else None,
        last_reason=refresh.last_reason if refresh else None,
        last=_seconds(refresh.last_ms) if refresh else None,
        polls=(refresh.polls or 0) if refresh else 0,
        polls_alone=(refresh.polls_alone or 0) if refresh else 0,
    )


def _seconds(milliseconds: int | None) -> Any:
    return None if milliseconds is None else milliseconds / 1000
