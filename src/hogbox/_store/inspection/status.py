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
from hogbox._store.inspection import backlog
from hogbox._store.inspection.backlog import BacklogStatements, read_backlog
from hogbox._store.inspection.snapshot import (
    BacklogSummary,
    DeadReason,
    DefinitionsRow,
    HoldRow,
    ShardRow,
    StatusSnapshot,
    WorkerRow,
)
from hogbox._store.inspection.text import text_of, text_or_none
from hogbox._store.schema.table import Tables
from hogbox._store.schema.waiting import oldest_event

_SAMPLE: Final = 900
"""Ids that are looked up. The estimate of a project's share is right within three or four percent of the whole."""

DEAD_COUNTED: Final = 10_000
"""So many dead letters are counted, the newest first."""


class StatusStatements:
    """How things stand, a statement for each part of it. None reads payloads or definitions."""

    def __init__(self, tables: Tables) -> None:
        self.sample_events = _sample_events(tables)
        self.read_shards = _read_shards(tables)
        self.read_workers = _read_workers(tables)
        self.read_holds = _read_holds(tables)
        self.count_newest_dead = _count_newest_dead(tables)
        self.read_definitions = _read_definitions(tables)
        self.read_refreshes = _read_refreshes(tables)
        self.read_clock = select(epoch_ms())


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
        self._backlog_statements = database.tables.once(BacklogStatements)

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
        found = read_backlog(connection, self._backlog_statements)
        counts = {one.project: one.events for one in found.projects}
        oldest = max((one.age for one in found.projects), default=None)
        if found.events < backlog.COUNTED or found.newest <= found.last:
            return BacklogSummary(found.events, counts, oldest, estimated=False)
        ids = _spread(found.last + 1, found.newest)
        scale = (found.newest - found.last) / len(ids)
        for project, sampled in connection.execute(self._statements.sample_events, {"ids": ids}):
            name = text_of(project)
            counts[name] = counts.get(name, 0) + round(sampled * scale)
        return BacklogSummary(sum(counts.values()), counts, oldest, estimated=True)

    def _dead(self, connection: Connection) -> tuple[DeadReason, ...]:
        rows = connection.execute(self._statements.count_newest_dead, {"most": DEAD_COUNTED})
        reasons = (
            DeadReason(unescape(text_of(row.reason)), row.status, row.events, row.since_ms / 1000) for row in rows
        )
        return tuple(sorted(reasons, key=lambda reason: -reason.events))

    def _definitions(self, connection: Connection) -> tuple[DefinitionsRow, ...]:
        stored = {text_of(row.project): row for row in connection.execute(self._statements.read_definitions)}
        refreshes = {text_of(row.project): row for row in connection.execute(self._statements.read_refreshes)}
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
    error = unescape(text_of(row.last_error)) if row.last_error else None
    return ShardRow(row.shard, text_or_none(row.owner), left, wait, row.attempt, error, _seconds(row.error_ms), waiting)


def _worker(row: Any) -> WorkerRow:
    started, silent = row.started_ms / 1000, max(0.0, row.silent_ms / 1000)
    done = (row.delivered or 0, row.dead or 0, row.per_minute or 0)
    names = (text_of(row.id), text_of(row.host), row.pid, text_of(row.version))
    return WorkerRow(*names, started, silent, *done)


def _hold(row: Any) -> HoldRow:
    since, wait, reason = row.held_ms / 1000, row.wait_ms / 1000, unescape(text_of(row.reason))
    return HoldRow(text_of(row.project), since, wait, row.attempt, row.status, reason)


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
        holder=text_or_none(refresh.holder) if refresh else None,
        last_status=text_or_none(refresh.last_status) if refresh else None,
        last_reason=text_or_none(refresh.last_reason) if refresh else None,
        last=_seconds(refresh.last_ms) if refresh else None,
        polls=(refresh.polls or 0) if refresh else 0,
        polls_alone=(refresh.polls_alone or 0) if refresh else 0,
    )


def _seconds(milliseconds: int | None) -> Any:
    return None if milliseconds is None else milliseconds / 1000
