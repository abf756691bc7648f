"""Delivery: what becomes of events that were sent: they leave the outbox, are tried again, or become dead letters.

What takes events away or changes a shard's retry state is guarded by the shard's fence: it touches nothing once another
worker has taken the shard over. Each operation is one statement that commits by itself, so that a worker which is
frozen or cut off never leaves locks behind; moving an event to the dead letters takes two.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Delete,
    Insert,
    Select,
    Update,
    and_,
    bindparam,
    insert,
    select,
    tuple_,
    update,
)

from hogbox._delivery.batch import Waiting
from hogbox._events.dead_letter import read_event
from hogbox._events.identifier import SHARDS, shard_of
from hogbox._store.connections.database import Database, again_after_conflict, storable
from hogbox._store.connections.engine import transactional
from hogbox._store.dialects.element import epoch_ms, hexadecimal
from hogbox._store.dialects.statement import delete_by_id, milliseconds, number
from hogbox._store.exposure import ExposureStatements
from hogbox._store.hold import HoldStore
from hogbox._store.outbox import OutboxStore
from hogbox._store.schema.table import Tables
from hogbox._store.shards.lease import NOTHING_DONE, Done

log = logging.getLogger("hogbox.delivery")


Fences = Mapping[int, int]
"""Per shard, the fence under which the worker claimed it."""

_STRAY: Final = "its shard is none of 0 to 63: another program wrote it"
_STRAYS: Final = 32
"""Strays that are looked for at a time."""


class LeaseLost(Exception):
    """Another worker has taken the shard over; nothing was changed."""


class DeliveryStatements:
    """What ends the waiting of events, and what is noted of attempts that failed."""

    def __init__(self, tables: Tables) -> None:
        self.settle = _settle(tables)
        self.clear_retry = _clear_retry(tables)
        self.postpone = _postpone(tables)
        self.accuse = _accuse(tables)
        self.note_error = _note_error(tables)
        self.bury = _bury(tables)
        self.bury_stray = _bury_stray(tables)
        self.bury_unreadable = _bury_unreadable(tables)
        self.read_strays = _read_strays(tables)
        self.remove_event = _remove_event(tables)


def _settle(tables: Tables) -> Delete:
    """Take events out of the outbox, where their shards are still leased under these fences."""
    outbox = tables.outbox.c
    fenced = select(tables.shards.c.shard).where(_fenced(tables))
    wanted = outbox.id.in_(bindparam("ids", expanding=True))
    return delete_by_id(tables.outbox).where(wanted, (outbox.shard + 0).in_(fenced))


def _clear_retry(tables: Tables) -> Update:
    """Forget that deliveries of shards failed."""
    return (
        update(tables.shards)
        .where(_fenced(tables))
        .values(attempt=0, not_before=0, last_error=None, last_error_at=None)
    )


def _postpone(tables: Tables) -> Update:
    """Try shards again after so many milliseconds, and count the attempt."""
    return (
        update(tables.shards)
        .where(_fenced(tables))
        .values(
            attempt=tables.shards.c.attempt + 1,
            not_before=epoch_ms() + number("delay"),
            last_error=bindparam("error"),
            last_error_at=epoch_ms(),
        )
    )


def _accuse(tables: Tables) -> Update:
    """Keep how often one event of a shard failed alone: what the shard counted before is about something else."""
    return (
        update(tables.shards)
        .where(_fenced(tables))
        .values(attempt=number("attempt"), not_before=0, last_error=bindparam("error"), last_error_at=epoch_ms())
    )


def _note_error(tables: Tables) -> Update:
    """Keep what last went wrong with shards, for those who look."""
    return update(tables.shards).where(_fenced(tables)).values(last_error=bindparam("error"), last_error_at=epoch_ms())


def _bury(tables: Tables) -> Insert:
    """Copy one event to the dead letters, with the reason; `settle` then takes it from the outbox."""
    outbox = tables.outbox.c
    return _copy_to_dead_letters(tables, outbox.shard, outbox.project, outbox.lane, outbox.payload)


def _bury_stray(tables: Tables) -> Insert:
    """The same of an event whose row says wrongly where it belongs."""
    return _copy_to_dead_letters(tables, *_place(tables), tables.outbox.c.payload)


def _bury_unreadable(tables: Tables) -> Insert:
    """The same of an event that a driver can't read: what it holds is kept in hexadecimal."""
    return _copy_to_dead_letters(tables, *_place(tables), hexadecimal(tables.outbox.c.payload))


def _place(tables: Tables) -> list[ColumnElement[Any]]:
    dead = tables.dead_letters.c
    return [bindparam(f"its_{name}", type_=dead[name].type) for name in ("shard", "project", "lane")]


def _copy_to_dead_letters(tables: Tables, *event: ColumnElement[Any]) -> Insert:
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


def _read_strays(tables: Tables) -> tuple[Select[int], ...]:
    """The ids of some events whose shard is none: no worker would ever read them.

    Two statements, each of them over one end of the index: of one over both PostgreSQL makes a walk along all of it.
    """
    outbox = tables.outbox.c
    beyond = (outbox.shard < 0, outbox.shard >= SHARDS)
    return tuple(select(outbox.id).where(end).order_by(outbox.shard, outbox.id).limit(_STRAYS) for end in beyond)


def _remove_event(tables: Tables) -> Delete:
    """Take one event out of the outbox, whoever holds its shard."""
    return delete_by_id(tables.outbox).where(tables.outbox.c.id == bindparam("event"))


def _fenced(tables: Tables) -> ColumnElement[bool]:
    """That shards are still this worker's, under the fences that it claimed: pairs of shard and fence."""
    shards = tables.shards.c
    pairs = tuple_(shards.shard, shards.fence).in_(bindparam("fenced", expanding=True))
    return and_(shards.owner == bindparam("worker"), pairs)


class DeliveryStore(OutboxStore, HoldStore):
    """What one worker, `worker`, does with the outbox and its shards. Safe to use from several threads."""

    def __init__(self, database: Database, worker: str) -> None:
        super().__init__(database, worker)
        self._statements = database.tables.once(DeliveryStatements)
        self._exposures = database.tables.once(ExposureStatements)

    def heartbeat(self, lease: float, forget_after: float, done: Done = NOTHING_DONE) -> bool:
        """Stay alive and keep the leases for so many seconds; False where this worker is no longer listed.

        Strays are moved to the dead letters. Exposures that expired `forget_after` seconds ago are forgotten, as are
        holds that ended as long ago and that nobody renewed.
        """
        known = self.stay_alive(lease, forget_after, done)
        grace = {"grace": milliseconds(forget_after)}
        self._run(self._holds.correct_holds, {})
        self._run(self._holds.forget_holds, grace)
        self.bury_strays()
        with self._connect() as connection:
            self._read_holds(connection)
            expired = connection.scalars(self._exposures.read_expired_exposures, grace).all()
        if expired:
            self._run(self._exposures.forget_exposures, {"ids": expired})
        return known

    def count_backlog(self) -> tuple[int, int]:
        """The id of the newest event that waits, and how many wait; without those that no worker would find."""
        self.bury_strays()
        self.read_leases(alive_within=0)  # puts the rows of shards back that somebody removed
        last = self._read_last_id()
        return last, self.count_waiting(last)

    def settle(self, rows: Collection[Waiting], fences: Fences) -> None:
        """Take events out of the outbox: they are delivered.

        Raises LeaseLost where another worker has taken one of their shards over: what it holds is sent again by it.
        """
        ids = [row.id for row in rows]
        fenced = self._fenced({row.shard for row in rows}, fences)
        if self._run(self._statements.settle, {**fenced, "ids": ids}) < len(ids):
            raise LeaseLost

    def bury(self, row: Waiting, fences: Fences, reason: str, status: int | None) -> None:
        """Move one event to the dead letters. Raises LeaseLost, and moves nothing, where the shard was taken over."""
        fenced = self._fenced([row.shard], fences)
        why: dict[str, object] = {"uuid": row.uuid, "why": storable(reason), "code": status, "event": row.id}
        bury, said = self._statements.bury, why
        if row.fault and not row.payload:
            bury, said = self._statements.bury_unreadable, {**why, **_instead(row)}

        def move() -> None:
            with self._turn, transactional(self._database.engine).begin() as connection:
                connection.execute(bury, said)
                if connection.execute(self._statements.settle, {**fenced, "ids": [row.id]}).rowcount != 1:
                    raise LeaseLost

        again_after_conflict(move)

    def bury_strays(self) -> int:
        """Move some events to the dead letters whose shard is none, so that no worker reads them; how many.

        They get the shard that they belong to, and can be put back.
        """
        with self._connect() as connection:
            strays = [stray for ends in self._statements.read_strays for stray in connection.scalars(ends).all()]
        buried = sum(self._bury_stray(event) for event in strays)
        if buried:
            log.warning("events moved to the dead letters: %d (%s)", buried, _STRAY)
        return buried

    def _bury_stray(self, event: int) -> int:
        row = self._reader.read_one(event)
        if row is None:
            return 0
        distinct_id = read_event(row.payload).get("distinct_id")
        shard = shard_of(row.project, distinct_id) if isinstance(distinct_id, str) else 0
        bury = self._statements.bury_unreadable if row.fault else self._statements.bury_stray
        why = {"uuid": row.uuid, "why": row.fault or _STRAY, "code": None, "event": row.id}
        with self._turn, transactional(self._database.engine).begin() as connection:
            connection.execute(bury, {**why, **_instead(row._replace(shard=shard))})
            if connection.execute(self._statements.remove_event, {"event": event}).rowcount != 1:
                connection.rollback()
                return 0
        return 1

    def clear_retry(self, shards: Collection[int], fences: Fences) -> None:
        """Forget that deliveries of these shards failed."""
        self._run(self._statements.clear_retry, self._fenced(shards, fences))

    def postpone(self, shards: Collection[int], fences: Fences, delay: float, error: str) -> None:
        """Try these shards again after so many seconds, and count the attempt."""
        retry = {**self._fenced(shards, fences), "delay": milliseconds(delay), "error": storable(error)}
        self._run(self._statements.postpone, retry)

    def accuse(self, shard: int, fences: Fences, attempt: int, error: str) -> None:
        """Keep that one event of this shard, named by the error, has failed alone so often."""
        noted = {**self._fenced([shard], fences), "attempt": attempt, "error": storable(error)}
        self._run(self._statements.accuse, noted)

    def note_error(self, shards: Collection[int], fences: Fences, error: str) -> None:
        """Keep what is wrong with these shards, for those who look."""
        self._run(self._statements.note_error, {**self._fenced(shards, fences), "error": storable(error)})

    def _fenced(self, shards: Collection[int], fences: Fences) -> dict[str, object]:
        return {"worker": self._worker, "fenced": [(shard, fences[shard]) for shard in shards]}


def _instead(row: Waiting) -> dict[str, object]:
    """What a dead letter says of where an event belongs, in the place of what its row says."""
    return {"its_shard": row.shard, "its_project": row.project, "its_lane": row.lane}
