"""A worker's operations on the database: leases, waiting events, and what became of them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from sqlalchemy import Connection, UpdateBase
from sqlalchemy.exc import SQLAlchemyError

from hogbox._delivery.batch import Waiting
from hogbox._delivery.share import Lease
from hogbox._events.escape import escape
from hogbox._events.identifier import SHARDS, shard_of
from hogbox._events.letter import read_event
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit, forgettable, transactional, writers_turn
from hogbox._store.dialects.failure import is_undecodable
from hogbox._store.hold_statement import HoldStatements
from hogbox._store.outbox import EventReader
from hogbox._store.shards.mark import MarkStore
from hogbox._store.shards.mark_keeper import MarkKeeper

log = logging.getLogger("hogbox.delivery")

Fences = Mapping[int, int]
"""Per shard, the fence under which the worker claimed it."""

_LONGEST_REASON: Final = 2000
_FOR_EVER: Final = 1 << 53
_STRAY: Final = "its shard is none of 0 to 63: another program wrote it"


class LeaseLost(Exception):
    """Another worker has taken the shard over; nothing was changed."""


class Ready(NamedTuple):
    """A shard of this worker that holds events. `wait` is in seconds: not before it is zero."""

    shard: int
    fence: int
    attempt: int
    wait: float
    oldest: int


class Paused(NamedTuple):
    """A project that some worker puts off, as of the last heartbeat. `left` is in seconds."""

    project: str
    left: float
    attempt: int
    status: int | None


class Done(NamedTuple):
    """What a worker has done: events delivered, events that are dead letters, and events settled a minute lately."""

    delivered: int
    dead: int
    per_minute: int


NOTHING_DONE: Final = Done(0, 0, 0)


class DeliveryStore:
    """What one worker, `worker`, does with the outbox and its shards. Safe to use from several threads."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._statements = database.statements
        self._holds = HoldStatements(database.tables)
        self._marks = MarkKeeper(MarkStore(database, worker))
        self._worker = worker
        self._turn = writers_turn(database.engine)
        self._reader = EventReader(database)
        self.held: frozenset[str] = frozenset()
        """The projects that some worker put off at the last heartbeat."""
        self.paused: tuple[Paused, ...] = ()
        """The same, and for how long."""

    def announce(self, host: str, pid: int, version: str) -> None:
        """Enter this worker among those alive."""
        named = host[:255].encode("ascii", "replace").decode()
        row = {"id": self._worker, "host": named, "pid": pid, "version": version}
        self._run(self._statements.announce_worker, row)

    def heartbeat(self, lease: float, forget_after: float, done: Done = NOTHING_DONE) -> bool:
        """Stay alive and keep the leases for so many seconds; False where this worker is no longer listed.

        What was written before the database's clock was set back is corrected, so that nothing waits until the clock
        has caught up. Workers that were silent for `forget_after` seconds are removed from the list, and
        exposures that expired as long ago are forgotten, as are holds that nobody renewed.
        """
        known = self._run(self._statements.touch_worker, {"worker": self._worker, **done._asdict()})
        self._run(self._statements.renew_leases, {"worker": self._worker, "lease": _ms(lease)})
        self._run(self._statements.correct_leases, {"lease": _ms(lease)})
        self._run(self._statements.correct_workers, {})
        self._run(self._statements.forget_dead_workers, {"silence": _ms(forget_after)})
        self._run(self._holds.forget_holds, {"grace": _ms(forget_after)})
        self.bury_strays()
        with self._connect() as connection:
            rows = connection.execute(self._holds.read_held).all()
            expired = connection.scalars(self._statements.read_expired_exposures, {"grace": _ms(forget_after)}).all()
        if expired:
            self._run(self._statements.forget_exposures, {"ids": expired})
        self.paused = tuple(Paused(project, left / 1000, attempt, status) for project, left, attempt, status in rows)
        self.held = frozenset(one.project for one in self.paused)
        return bool(known)

    def hold(self, project: str, delay: float, attempt: int, status: int | None, reason: str) -> None:
        """Say that the project's requests fail or are refused, and that it is left alone for so many seconds."""
        why = {"project": project, "attempt": attempt, "status": status, "reason": _storable(reason)}
        dialect = self._database.engine.dialect.name
        self._run(self._holds.hold_project[dialect], {**why, "delay": _ms(delay)})
        self.held |= {project}

    def release(self, project: str) -> None:
        """Say that the project's events are taken again, whichever worker had put it off."""
        self._run(self._holds.release_project, {"held": project})
        self.held -= {project}

    def read_leases(self, alive_within: float) -> tuple[list[str], list[Lease]]:
        """The workers seen within so many seconds, and every shard's lease."""
        alive = self._read_live_workers(alive_within)
        with self._connect() as connection:
            leases = connection.execute(self._statements.read_leases).all()
        found = [Lease(shard, owner, left / 1000) for shard, owner, left in leases]
        return alive, found if len(found) >= SHARDS else found + self._restore_shards(found)

    def _restore_shards(self, found: Collection[Lease]) -> list[Lease]:
        """The shards whose rows somebody removed, put back: their events would wait for ever."""
        missing = sorted({*range(SHARDS)}.difference(lease.shard for lease in found))
        for shard in missing:
            self._run(self._statements.restore_shard[self._database.engine.dialect.name], {"shard": shard})
        return [Lease(shard, None, 0.0) for shard in missing]

    def _read_live_workers(self, alive_within: float) -> list[str]:
        try:
            with self._connect() as connection:
                found = connection.scalars(self._statements.read_live_workers, {"silence": _ms(alive_within)})
                return list(found.all())
        except (SQLAlchemyError, UnicodeError) as error:
            if not is_undecodable(error):
                raise
        # One of the names can't be read. Those who are alive enter themselves again at their next heartbeat.
        self._run(self._statements.forget_dead_workers, {"silence": -_FOR_EVER})
        return []

    def claim(self, shards: Collection[int], lease: float) -> None:
        """Take those of the shards that are free, for so many seconds."""
        claim = {"worker": self._worker, "wanted": list(shards), "lease": _ms(lease)}
        self._run(self._statements.claim_shards, claim)
        self._marks.claimed()

    def give_back(self, shards: Collection[int]) -> None:
        """Make these shards free for other workers."""
        self._run(self._statements.give_back_shards, {"worker": self._worker, "wanted": list(shards)})

    def leave(self, shards: Collection[int]) -> None:
        """Give these shards back and end."""
        self._marks.leave()
        self.give_back(shards)
        self._run(self._statements.forget_worker, {"worker": self._worker})

    def read_ready(self) -> list[Ready]:
        """This worker's shards that hold events."""
        self._marks.keep()
        with self._connect() as connection:
            rows = connection.execute(self._statements.read_ready, {"worker": self._worker}).all()
        return [
            Ready(shard, fence, attempt, max(0, wait) / 1000, oldest) for shard, fence, attempt, wait, oldest in rows
        ]

    def read_oldest(self) -> dict[int, int]:
        """The id of the oldest event of every shard that holds any, whoever owns it."""
        with self._connect() as connection:
            return dict(connection.execute(self._statements.read_oldest).all())

    def count_backlog(self) -> tuple[int, int]:
        """The id of the newest event that waits, and how many wait; without those that no worker would find."""
        self.bury_strays()
        self.read_leases(alive_within=0)  # puts the rows of shards back that somebody removed
        self._marks.keep()
        with self._connect() as connection:
            last = connection.scalar(self._statements.read_last_id) or 0
        return last, self.count_waiting(last)

    def count_waiting(self, last: int) -> int:
        """How many events wait, up to and with this id."""
        with self._connect() as connection:
            return connection.scalar(self._statements.count_waiting, {"last": last}) or 0

    def read_events(
        self, shards: Collection[int], held: Collection[str], events: int, size: int, skipped: Collection[int] = ()
    ) -> list[Waiting]:
        """The oldest events of these shards, each shard's in order, without those of held projects and the skipped.

        So many events at most, or as soon as they have so many bytes. An event that can't be read has a fault.
        """
        return self._reader.read(shards, held, events, size, skipped)

    def settle(self, rows: Collection[Waiting], fences: Fences) -> None:
        """Take events out of the outbox: they are delivered.

        Raises LeaseLost where another worker has taken one of their shards over: what it holds is sent again by it.
        """
        ids = [row.id for row in rows]
        held = self._held({row.shard for row in rows}, fences)
        if self._run(self._statements.settle, {**held, "ids": ids}) < len(ids):
            raise LeaseLost

    def bury(self, row: Waiting, fences: Fences, reason: str, status: int | None) -> None:
        """Move one event to the dead letters. Raises LeaseLost, and moves nothing, where the shard was taken over."""
        held = self._held([row.shard], fences)
        why = {"uuid": row.uuid, "why": _storable(reason), "code": status, "event": row.id}
        with self._turn, transactional(self._database.engine).begin() as connection:
            if row.fault and not row.payload:
                connection.execute(self._statements.bury_unreadable, {**why, **_instead(row)})
            else:
                connection.execute(self._statements.bury, why)
            if connection.execute(self._statements.settle, {**held, "ids": [row.id]}).rowcount != 1:
                raise LeaseLost

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
        self._run(self._statements.clear_retry, self._held(shards, fences))

    def postpone(self, shards: Collection[int], fences: Fences, delay: float, error: str) -> None:
        """Try these shards again after so many seconds, and count the attempt."""
        retry = {**self._held(shards, fences), "delay": _ms(delay), "error": _storable(error)}
        self._run(self._statements.postpone, retry)

    def note_error(self, shards: Collection[int], fences: Fences, error: str) -> None:
        """Keep what is wrong with these shards, for those who look."""
        self._run(self._statements.note_error, {**self._held(shards, fences), "error": _storable(error)})

    def _held(self, shards: Collection[int], fences: Fences) -> dict[str, object]:
        return {"worker": self._worker, "held": [(shard, fences[shard]) for shard in shards]}

    def _connect(self) -> Connection:
        return autocommit(self._database.engine).connect()

    def _run(self, statement: UpdateBase, values: Mapping[str, object]) -> int:
        """Run one statement, committed by itself; the number of rows that it changed."""
        with self._turn, self._connect() as connection, forgettable(connection):
            # Committed in words too: an application's engine may begin transactions whatever the isolation level says.
            with connection.begin():
                return connection.execute(statement, values).rowcount


def _instead(row: Waiting) -> dict[str, object]:
    """What a dead letter says of where an event belongs, in the place of what its row says."""
    return {"its_shard": row.shard, "its_project": row.project, "its_lane": row.lane}


def _storable(text: str) -> str:
    """What a server or a library said, as every database takes it: of bounded length, without NUL, in ASCII."""
    return escape(text[:_LONGEST_REASON].replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
