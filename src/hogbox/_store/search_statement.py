"""The statements that look for one event, and for what is around it."""

from __future__ import annotations

from sqlalchemy import Select, bindparam, func, select

from hogbox._store.dialects.element import epoch_ms
from hogbox._store.schema.table import Tables


class SearchStatements:
    """Every statement over one set of tables. Built once; parameters are bound when they run."""

    def __init__(self, tables: Tables) -> None:
        self.read_next_id = _read_next_id(tables)
        self.find_event = _find_event(tables)
        self.count_ahead = _count_ahead(tables)
        self.read_ahead = _read_ahead(tables)
        self.read_shard = _read_shard(tables)
        self.read_hold = _read_hold(tables)


def _read_next_id(tables: Tables) -> Select[int | None]:
    """The id of the first event that waits after an id."""
    outbox = tables.outbox.c
    return select(func.min(outbox.id)).where(outbox.id > bindparam("after"))


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
    """So many events of a project in a shard, between two ids, from the newest on."""
    outbox = tables.outbox.c
    between = (outbox.shard == bindparam("shard"), outbox.id < bindparam("event"))
    return (
        select(outbox.id, outbox.payload)
        .where(*between, outbox.project == bindparam("project"))
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
