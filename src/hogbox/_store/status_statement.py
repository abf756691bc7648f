"""The statements that tell how things stand: one for each part of it. None reads payloads or definitions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, func, select

from hogbox._store.dialects.element import epoch_ms
from hogbox._store.mark_statement import from_lowest_mark, oldest_event
from hogbox._store.schema.table import Tables


class StatusStatements:
    """Every statement over one set of tables. Built once; parameters are bound when they run."""

    def __init__(self, tables: Tables) -> None:
        self.count_oldest = _count_oldest(tables)
        self.read_last_id = _read_last_id(tables)
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


def _read_last_id(tables: Tables) -> Select[Any]:
    """The id of the newest event that waits."""
    outbox = tables.outbox.c
    return select(outbox.id).where(from_lowest_mark(tables)).order_by(outbox.id.desc()).limit(1)


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
