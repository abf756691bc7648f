"""The statements: one for each operation on the database, named for what it does.

Those that take events away or change a shard's retry state are guarded by the shard's fence: they touch nothing once
another worker has taken the shard over. Each operation of a worker is one statement that commits by itself, so that
a worker which is frozen or cut off never leaves locks behind; moving an event to the dead letters takes two.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Delete,
    Insert,
    Select,
    Update,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    tuple_,
    update,
)

from hogbox._events.identifier import SHARDS
from hogbox._store.dialects.element import epoch_ms, hexadecimal, octets
from hogbox._store.dialects.statement import ByDialect, delete_by_id, insert_new
from hogbox._store.mark_statement import FIRST_ID, from_lowest_mark, from_mark, oldest_event, shards_mark
from hogbox._store.schema.table import Tables

EVENT_VALUES: Final = ("shard", "project", "lane", "payload")
"""The parameters of `insert_event`, in order."""

DEAD_LETTER_VALUES: Final = (*EVENT_VALUES, "event_uuid", "reason")
"""The parameters of `insert_dead_letter`, in order."""


_LONGEST_PAUSE: Final = 3_600_000
"""Milliseconds: no server may ask for more."""

_SAMPLE: Final = 32
"""Events whose average size stands for that of others: enough, and few even where each is as large as can be."""


class Statements:
    """Every statement over one set of tables. Built once; parameters are bound when they run."""

    def __init__(self, tables: Tables) -> None:
        self.insert_event = _insert_event(tables)
        self.insert_dead_letter = _insert_dead_letter(tables)
        self.announce_worker = _announce_worker(tables)
        self.touch_worker = _touch_worker(tables)
        self.forget_worker = _forget_worker(tables)
        self.forget_dead_workers = _forget_dead_workers(tables)
        self.read_expired_exposures = _read_expired_exposures(tables)
        self.correct_leases = _correct_leases(tables)
        self.correct_workers = _correct_workers(tables)
        self.forget_exposures = _forget_exposures(tables)
        self.read_live_workers = _read_live_workers(tables)
        self.read_leases = _read_leases(tables)
        self.claim_shards = _claim_shards(tables)
        self.renew_leases = _renew_leases(tables)
        self.give_back_shards = _give_back_shards(tables)
        self.read_ready = _read_ready(tables)
        self.read_oldest = _read_oldest(tables)
        self.read_last_id = _read_last_id(tables)
        self.count_waiting = _count_waiting(tables)
        self.read_average_size = _read_average_size(tables)
        self.read_events = _read_events(tables)
        self.read_shard_events = _read_shard_events(tables)
        self.read_ids = _read_ids(tables)
        self.read_event = _read_event(tables)
        self.read_strays = _read_strays(tables)
        self.restore_shard = _restore_shard(tables)
        self.remove_event = _remove_event(tables)
        self.settle = _settle(tables)
        self.clear_retry = _clear_retry(tables)
        self.postpone = _postpone(tables)
        self.note_error = _note_error(tables)
        self.bury = _bury(tables)
        self.bury_stray = _bury_stray(tables)
        self.bury_unreadable = _bury_unreadable(tables)


def _insert_event(tables: Tables) -> Insert:
    """Put one event into the outbox, in the caller's transaction."""
    values: dict[str, Any] = {name: bindparam(name) for name in EVENT_VALUES}
    return insert(tables.outbox).inline().values(**values, created_at=epoch_ms())


def _insert_dead_letter(tables: Tables) -> Insert:
    """Put an event that PostHog would refuse among the dead letters, in the caller's transaction."""
    values: dict[str, Any] = {name: bindparam(name) for name in DEAD_LETTER_VALUES}
    return insert(tables.dead_letters).inline().values(**values, created_at=epoch_ms(), died_at=epoch_ms())


def _announce_worker(tables: Tables) -> Insert:
    """Say that a worker is alive, for the first time."""
    names = ("id", "host", "pid", "version")
    values: dict[str, Any] = {name: bindparam(name) for name in names}
    return insert(tables.workers).inline().values(**values, started_at=epoch_ms(), seen_at=epoch_ms())


def _touch_worker(tables: Tables) -> Update:
    """Say that a worker is still alive, and what it has done so far."""
    names = ("delivered", "dead", "per_minute")
    done: dict[str, Any] = {name: bindparam(name) for name in names}
    return update(tables.workers).where(tables.workers.c.id == bindparam("worker")).values(seen_at=epoch_ms(), **done)


def _forget_worker(tables: Tables) -> Delete:
    """Say that a worker has ended."""
    return delete(tables.workers).where(tables.workers.c.id == bindparam("worker"))


def _forget_dead_workers(tables: Tables) -> Delete:
    """Remove the workers not seen for so many milliseconds."""
    return delete(tables.workers).where(tables.workers.c.seen_at < epoch_ms() - _milliseconds("silence"))


def _read_expired_exposures(tables: Tables) -> Select[str]:
    """The ids of up to 1,000 notes of exposures that expired so many milliseconds ago."""
    exposures = tables.exposures.c
    expired = exposures.expires_at <= epoch_ms() - _milliseconds("grace")
    return select(exposures.id).where(expired).order_by(exposures.expires_at).limit(1000)


def _correct_leases(tables: Tables) -> Update:
    """Have the leases end when they should that were prolonged before the database's clock was set back.

    As if their owners had been heard of just now: one that is alive prolongs its leases again before they end. They
    are as long as they were: the owner's last heartbeat has the time of the same clock. An owner that is not listed is
    gone, and its leases are taken to be as long as this worker's.
    """
    shards, workers = tables.shards.c, tables.workers.c
    same = workers.id == shards.owner
    seen_at = select(workers.seen_at).where(same).scalar_subquery()
    heard_of = exists().where(same, workers.seen_at <= _soon())
    lease = func.coalesce(shards.lease_expires_at - seen_at, _milliseconds("lease"))
    return (
        update(tables.shards)
        .where(shards.owner.is_not(None), shards.lease_expires_at > epoch_ms() + _milliseconds("lease"), ~heard_of)
        .values(lease_expires_at=epoch_ms() + lease)
    )


def _correct_workers(tables: Tables) -> Update:
    """Have the workers count as heard of just now whose heartbeats are in the future: the clock was set back."""
    return update(tables.workers).where(tables.workers.c.seen_at > _soon()).values(seen_at=epoch_ms())


def _set_back(tables: Tables) -> ColumnElement[bool]:
    """That the clock was set back since a shard failed: the failure is in the future, or the pause longer than any."""
    shards = tables.shards.c
    endless = shards.not_before > epoch_ms() + literal_column(str(_LONGEST_PAUSE), BigInteger())
    return (shards.last_error_at > _soon()) | (shards.last_error_at.is_(None) & endless)


def _soon() -> ColumnElement[int]:
    """A time that only a clock can have written that has been set back since."""
    return epoch_ms() + literal_column("60000", BigInteger())


def _forget_exposures(tables: Tables) -> Delete:
    """Remove notes of exposures by their ids: a search in a DELETE would wait for callers that have just noted one."""
    return delete_by_id(tables.exposures).where(tables.exposures.c.id.in_(bindparam("ids", expanding=True)))


def _read_live_workers(tables: Tables) -> Select[str]:
    """The ids of the workers seen within so many milliseconds."""
    return select(tables.workers.c.id).where(tables.workers.c.seen_at >= epoch_ms() - _milliseconds("silence"))


def _read_leases(tables: Tables) -> Select[int, str | None, int]:
    """Every shard with its owner and the milliseconds that are left of the lease."""
    shards = tables.shards.c
    left = (shards.lease_expires_at - epoch_ms()).label("left")
    return select(shards.shard, shards.owner, left).order_by(shards.shard)


def _claim_shards(tables: Tables) -> Update:
    """Take those of some shards over that nobody holds, and count the take-over in their fences."""
    shards = tables.shards.c
    free = shards.owner.is_(None) | (shards.lease_expires_at <= epoch_ms())
    return (
        update(tables.shards)
        .where(shards.shard.in_(bindparam("wanted", expanding=True)), free)
        .values(owner=bindparam("worker"), fence=shards.fence + 1, lease_expires_at=epoch_ms() + _milliseconds("lease"))
    )


def _renew_leases(tables: Tables) -> Update:
    """Prolong all leases of a worker."""
    return (
        update(tables.shards)
        .where(tables.shards.c.owner == bindparam("worker"))
        .values(lease_expires_at=epoch_ms() + _milliseconds("lease"))
    )


def _give_back_shards(tables: Tables) -> Update:
    """Make shards of a worker nobody's, at once."""
    shards = tables.shards.c
    return (
        update(tables.shards)
        .where(shards.owner == bindparam("worker"), shards.shard.in_(bindparam("wanted", expanding=True)))
        .values(owner=None, lease_expires_at=0)
    )


def _read_ready(tables: Tables) -> Select[int, int, int, int, int]:
    """A worker's shards that hold events: fence, failed attempts, milliseconds to wait yet, id of the oldest event."""
    shards = tables.shards.c
    oldest = oldest_event(tables)
    wait = case((_set_back(tables), 0), else_=shards.not_before - epoch_ms()).label("wait")
    mine = select(shards.shard, shards.fence, shards.attempt, wait, oldest.label("oldest"))
    waiting = mine.where(shards.owner == bindparam("worker")).subquery()
    return select(waiting).where(waiting.c.oldest.is_not(None))


def _read_oldest(tables: Tables) -> Select[int, int]:
    """Every shard that holds events, whoever owns it, and the id of its oldest event."""
    each = select(tables.shards.c.shard, oldest_event(tables).label("oldest")).subquery()
    return select(each).where(each.c.oldest.is_not(None))


def _read_last_id(tables: Tables) -> Select[int]:
    """The id of the newest event that waits."""
    outbox = tables.outbox.c
    # Not MAX: PostgreSQL may then look for it in the other index.
    return select(outbox.id).where(from_lowest_mark(tables)).order_by(outbox.id.desc()).limit(1)


def _count_waiting(tables: Tables) -> Select[int]:
    """How many events wait, up to and with an id."""
    until_last = tables.outbox.c.id <= bindparam("last")
    return select(func.count()).select_from(tables.outbox).where(until_last, from_lowest_mark(tables))


def _read_average_size(tables: Tables) -> Select[Any]:
    """The average size of a few of the events that wait longest, in bytes."""
    outbox = tables.outbox.c
    oldest = select(outbox.payload).where(outbox.id >= FIRST_ID, from_lowest_mark(tables))
    some = oldest.order_by(outbox.id).limit(_SAMPLE).subquery()
    return select(func.avg(octets(some.c.payload)))


def _read_events(tables: Tables) -> Select[int, int, str, str, str]:
    """The oldest events of many shards, in order: so many, or so many bytes, but at least one; not of held projects.

    Nor those that wait behind an event that fails alone, which are `skipped`.
    Read along the primary key: events that were written together lie together, and leave together when they are
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
            outbox.project.not_in(bindparam("held", expanding=True)),
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
        outbox.project.not_in(bindparam("held", expanding=True)),
        outbox.id.not_in(bindparam("skipped", expanding=True)),
    )
    return found.order_by(outbox.id).limit(bindparam("events"))


def _read_event(tables: Tables) -> Select[int, int, str, str, str]:
    """One event, by its id."""
    outbox = tables.outbox.c
    columns = (outbox.id, outbox.shard, outbox.project, outbox.lane, outbox.payload)
    return select(*columns).where(outbox.id == bindparam("event"))


def _read_strays(tables: Tables) -> tuple[Select[int], ...]:
    """The ids of some events whose shard is none: no worker would ever read them.

    Two statements, each of them over one end of the index: of one over both PostgreSQL makes a walk along all of it.
    """
    outbox = tables.outbox.c
    beyond = (outbox.shard < 0, outbox.shard >= SHARDS)
    return tuple(select(outbox.id).where(end).order_by(outbox.shard, outbox.id).limit(_SAMPLE) for end in beyond)


def _restore_shard(tables: Tables) -> ByDialect:
    """Put the row of a shard back that somebody removed."""
    fresh: dict[str, Any] = {
        name: literal_column("0") for name in ("fence", "lease_expires_at", "not_before", "attempt")
    }
    return insert_new(tables.shards, {"shard": bindparam("shard", type_=tables.shards.c.shard.type), **fresh})


def _remove_event(tables: Tables) -> Delete:
    """Take one event out of the outbox, whoever holds its shard."""
    return delete_by_id(tables.outbox).where(tables.outbox.c.id == bindparam("event"))


def _settle(tables: Tables) -> Delete:
    """Take events out of the outbox, where their shards are still held."""
    outbox = tables.outbox.c
    held = select(tables.shards.c.shard).where(_held(tables))
    wanted = outbox.id.in_(bindparam("ids", expanding=True))
    return delete_by_id(tables.outbox).where(wanted, (outbox.shard + 0).in_(held))


def _clear_retry(tables: Tables) -> Update:
    """Forget that deliveries of shards failed."""
    return (
        update(tables.shards).where(_held(tables)).values(attempt=0, not_before=0, last_error=None, last_error_at=None)
    )


def _postpone(tables: Tables) -> Update:
    """Try shards again after so many milliseconds, and count the attempt."""
    return (
        update(tables.shards)
        .where(_held(tables))
        .values(
            attempt=tables.shards.c.attempt + 1,
            not_before=epoch_ms() + _milliseconds("delay"),
            last_error=bindparam("error"),
            last_error_at=epoch_ms(),
        )
    )


def _note_error(tables: Tables) -> Update:
    """Keep what last went wrong with shards, for those who look."""
    return update(tables.shards).where(_held(tables)).values(last_error=bindparam("error"), last_error_at=epoch_ms())


def _bury(tables: Tables) -> Insert:
    """Copy one event to the dead letters, with the reason; `settle` then takes it from the outbox."""
    outbox = tables.outbox.c
    return _copy_to_letters(tables, outbox.shard, outbox.project, outbox.lane, outbox.payload)


def _bury_stray(tables: Tables) -> Insert:
    """The same of an event whose row says wrongly where it belongs."""
    return _copy_to_letters(tables, *_place(tables), tables.outbox.c.payload)


def _bury_unreadable(tables: Tables) -> Insert:
    """The same of an event that a driver can't read: what it holds is kept in hexadecimal."""
    return _copy_to_letters(tables, *_place(tables), hexadecimal(tables.outbox.c.payload))


def _place(tables: Tables) -> list[ColumnElement[Any]]:
    dead = tables.dead_letters.c
    return [bindparam(f"its_{name}", type_=dead[name].type) for name in ("shard", "project", "lane")]


def _copy_to_letters(tables: Tables, *event: ColumnElement[Any]) -> Insert:
    names = ["shard", "project", "lane", "payload", "created_at", "event_uuid", "reason", "status", "died_at"]
    dead, outbox = tables.dead_letters.c, tables.outbox.c
    copy = select(
        *event,
        outbox.created_at,
        bindparam("uuid", type_=dead.event_uuid.type),
        bindparam("why", type_=dead.reason.type),
        bindparam("code", type_=dead.status.type),
        epoch_ms(),
    ).where(outbox.id == bindparam("event"))
    return insert(tables.dead_letters).inline().from_select(names, copy)


def _held(tables: Tables) -> ColumnElement[bool]:
    """That shards are still this worker's, under the fences that it claimed: pairs of shard and fence."""
    shards = tables.shards.c
    pairs = tuple_(shards.shard, shards.fence).in_(bindparam("held", expanding=True))
    return and_(shards.owner == bindparam("worker"), pairs)


def _milliseconds(name: str) -> ColumnElement[int]:
    return bindparam(name, type_=BigInteger())
