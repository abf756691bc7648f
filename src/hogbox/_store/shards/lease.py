"""Leases: the workers that are alive, and which of them owns which shard."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Delete,
    Insert,
    Select,
    Update,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from hogbox._delivery.share import Lease
from hogbox._events.identifier import SHARDS
from hogbox._store.connections.database import Database, WorkerStore
from hogbox._store.dialects.element import epoch_ms
from hogbox._store.dialects.failure import is_undecodable
from hogbox._store.dialects.statement import ByDialect, insert_new, milliseconds, number, soon
from hogbox._store.schema.table import Tables
from hogbox._store.shards.mark import MarkStore
from hogbox._store.shards.mark_keeper import MarkKeeper

_FOR_EVER: Final = 1 << 53

_HIGHEST_FENCE: Final = 1 << 62
"""Above it another program has written: no worker counts so far."""


class Done(NamedTuple):
    """What a worker has done: events delivered, events that are dead letters, and events settled a minute lately."""

    delivered: int
    dead: int
    per_minute: int


NOTHING_DONE: Final = Done(0, 0, 0)


class LeaseStatements:
    """Who works, and who owns which shards."""

    def __init__(self, tables: Tables) -> None:
        self.announce_worker = _announce_worker(tables)
        self.touch_worker = _touch_worker(tables)
        self.forget_worker = _forget_worker(tables)
        self.forget_dead_workers = _forget_dead_workers(tables)
        self.correct_workers = _correct_workers(tables)
        self.read_live_workers = read_live_workers(tables)
        self.read_leases = _read_leases(tables)
        self.claim_shards = _claim_shards(tables)
        self.renew_leases = _renew_leases(tables)
        self.give_back_shards = _give_back_shards(tables)
        self.correct_leases = _correct_leases(tables)
        self.restore_shard = _restore_shard(tables)


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
    return delete(tables.workers).where(tables.workers.c.seen_at < epoch_ms() - number("silence"))


def _correct_workers(tables: Tables) -> Update:
    """Have the workers count as heard of just now whose heartbeats are in the future: the clock was set back."""
    return update(tables.workers).where(tables.workers.c.seen_at > soon()).values(seen_at=epoch_ms())


def read_live_workers(tables: Tables) -> Select[str]:
    """The ids of the workers seen within so many milliseconds."""
    return select(tables.workers.c.id).where(tables.workers.c.seen_at >= epoch_ms() - number("silence"))


def _read_leases(tables: Tables) -> Select[int, str | None, int]:
    """Every shard with its owner and the milliseconds that are left of the lease."""
    shards = tables.shards.c
    left = (shards.lease_expires_at - epoch_ms()).label("left")
    return select(shards.shard, shards.owner, left).order_by(shards.shard)


def _claim_shards(tables: Tables) -> Update:
    """Take those of some shards over that nobody leases, and count the take-over in their fences.

    A fence only has to differ from the last one: one that another program made too large to count on begins again.
    """
    shards = tables.shards.c
    free = shards.owner.is_(None) | (shards.lease_expires_at <= epoch_ms())
    fence = case(
        (shards.fence.between(0, literal_column(str(_HIGHEST_FENCE), BigInteger())), shards.fence + 1),
        else_=literal_column("1"),
    )
    return (
        update(tables.shards)
        .where(shards.shard.in_(bindparam("wanted", expanding=True)), free)
        .values(owner=bindparam("worker"), fence=fence, lease_expires_at=epoch_ms() + number("lease"))
    )


def _renew_leases(tables: Tables) -> Update:
    """Prolong all leases of a worker."""
    return (
        update(tables.shards)
        .where(tables.shards.c.owner == bindparam("worker"))
        .values(lease_expires_at=epoch_ms() + number("lease"))
    )


def _give_back_shards(tables: Tables) -> Update:
    """Release shards of a worker at once, so that any worker can claim them."""
    shards = tables.shards.c
    return (
        update(tables.shards)
        .where(shards.owner == bindparam("worker"), shards.shard.in_(bindparam("wanted", expanding=True)))
        .values(owner=None, lease_expires_at=0)
    )


def _correct_leases(tables: Tables) -> Update:
    """Have the leases end when they should that were prolonged before the database's clock was set back.

    As if their owners had been heard of just now: one that is alive prolongs its leases again before they end. They
    are as long as they were: the owner's last heartbeat has the time of the same clock. An owner that is not listed is
    gone, and its leases are taken to be as long as this worker's.
    """
    shards, workers = tables.shards.c, tables.workers.c
    same = workers.id == shards.owner
    seen_at = select(workers.seen_at).where(same).scalar_subquery()
    heard_of = exists().where(same, workers.seen_at <= soon())
    lease = func.coalesce(shards.lease_expires_at - seen_at, number("lease"))
    return (
        update(tables.shards)
        .where(shards.owner.is_not(None), shards.lease_expires_at > epoch_ms() + number("lease"), ~heard_of)
        .values(lease_expires_at=epoch_ms() + lease)
    )


def _restore_shard(tables: Tables) -> ByDialect:
    """Put the row of a shard back that somebody removed."""
    fresh: dict[str, Any] = {
        name: literal_column("0") for name in ("fence", "lease_expires_at", "not_before", "attempt")
    }
    return insert_new(tables.shards, {"shard": bindparam("shard", type_=tables.shards.c.shard.type), **fresh})


class LeaseStore(WorkerStore):
    """What one worker does as one of several: stays alive, and takes shards and gives them back."""

    def __init__(self, database: Database, worker: str) -> None:
        super().__init__(database, worker)
        self._leases = database.tables.once(LeaseStatements)
        self._marks = MarkKeeper(MarkStore(database, worker))

    def announce(self, host: str, pid: int, version: str) -> None:
        """Enter this worker among those alive."""
        named = host[:255].encode("ascii", "replace").decode()
        row = {"id": self._worker, "host": named, "pid": pid, "version": version}
        self._run(self._leases.announce_worker, row)

    def stay_alive(self, lease: float, forget_after: float, done: Done = NOTHING_DONE) -> bool:
        """Keep the leases for so many seconds; False where this worker is no longer listed.

        What was written before the database's clock was set back is corrected, so that nothing waits until the clock
        has caught up. Workers that were silent for `forget_after` seconds are removed from the list.
        """
        known = self._run(self._leases.touch_worker, {"worker": self._worker, **done._asdict()})
        self._run(self._leases.renew_leases, {"worker": self._worker, "lease": milliseconds(lease)})
        self._run(self._leases.correct_leases, {"lease": milliseconds(lease)})
        self._run(self._leases.correct_workers, {})
        self._run(self._leases.forget_dead_workers, {"silence": milliseconds(forget_after)})
        return bool(known)

    def read_leases(self, alive_within: float) -> tuple[list[str], list[Lease]]:
        """The workers seen within so many seconds, and every shard's lease."""
        alive = self._read_live_workers(alive_within)
        with self._connect() as connection:
            leases = connection.execute(self._leases.read_leases).all()
        found = [Lease(shard, owner, left / 1000) for shard, owner, left in leases]
        return alive, found if len(found) >= SHARDS else found + self._restore_shards(found)

    def claim(self, shards: Collection[int], lease: float) -> None:
        """Take those of the shards that are free, for so many seconds."""
        claim = {"worker": self._worker, "wanted": list(shards), "lease": milliseconds(lease)}
        self._run(self._leases.claim_shards, claim)
        self._marks.claimed()

    def give_back(self, shards: Collection[int]) -> None:
        """Make these shards free for other workers."""
        self._run(self._leases.give_back_shards, {"worker": self._worker, "wanted": list(shards)})

    def leave(self, shards: Collection[int]) -> None:
        """Give these shards back and end."""
        self._marks.leave()
        self.give_back(shards)
        self._run(self._leases.forget_worker, {"worker": self._worker})

    def _restore_shards(self, found: Collection[Lease]) -> list[Lease]:
        """The shards whose rows somebody removed, put back: their events would wait for ever."""
        missing = sorted({*range(SHARDS)}.difference(lease.shard for lease in found))
        for shard in missing:
            self._run(self._leases.restore_shard[self._database.engine.dialect.name], {"shard": shard})
        return [Lease(shard, None, 0.0) for shard in missing]

    def _read_live_workers(self, alive_within: float) -> list[str]:
        try:
            with self._connect() as connection:
                found = connection.scalars(self._leases.read_live_workers, {"silence": milliseconds(alive_within)})
                return list(found.all())
        except (SQLAlchemyError, UnicodeError) as error:
            if not is_undecodable(error):
                raise
        # One of the names can't be read. Those who are alive enter themselves again at their next heartbeat.
        self._run(self._leases.forget_dead_workers, {"silence": -_FOR_EVER})
        return []
