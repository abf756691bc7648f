"""A worker's operations on the database: leases, waiting events, and what became of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple

from sqlalchemy import Connection, Engine, Update

from hogbox._delivery.batch import Waiting
from hogbox._delivery.share import Lease
from hogbox._events.event import uuid_of
from hogbox._store.database import Database


class LeaseLost(Exception):
    """Another worker has taken the shard over; nothing was changed."""


class Ready(NamedTuple):
    """A shard of this worker that holds events. `wait` is in seconds: not before it is zero."""

    shard: int
    fence: int
    attempt: int
    wait: float
    oldest: int


class DeliveryStore:
    """What one worker, `worker`, does with the outbox and its shards. Safe to use from several threads."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._statements = database.statements
        self._worker = worker

    def announce(self, host: str, pid: int, version: str) -> None:
        """Enter this worker among those alive."""
        row = {"id": self._worker, "host": host[:255], "pid": pid, "version": version}
        with self._begin() as connection:
            connection.execute(self._statements.announce_worker, row)

    def heartbeat(self, shards: Collection[int], lease: float, forget_after: float) -> bool:
        """Stay alive and keep these shards for so many seconds; False where this worker is no longer listed.

        Workers that were silent for `forget_after` seconds are removed from the list.
        """
        with self._begin() as connection:
            known = connection.execute(self._statements.touch_worker, {"worker": self._worker}).rowcount
            self._each(connection, self._statements.renew_lease, shards, lease=_ms(lease))
            connection.execute(self._statements.forget_dead_workers, {"silence": _ms(forget_after)})
        return bool(known)

    def read_leases(self, alive_within: float) -> tuple[list[str], list[Lease]]:
        """The workers seen within so many seconds, and every shard's lease."""
        with self._connect() as connection:
            alive = connection.scalars(self._statements.read_live_workers, {"silence": _ms(alive_within)}).all()
            leases = connection.execute(self._statements.read_leases).all()
        return list(alive), [Lease(shard, owner, left / 1000) for shard, owner, left in leases]

    def claim(self, shards: Collection[int], lease: float) -> None:
        """Take those of the shards that are free, for so many seconds."""
        with self._begin() as connection:
            self._each(connection, self._statements.claim_shard, shards, lease=_ms(lease))

    def give_back(self, shards: Collection[int]) -> None:
        """Make these shards free for other workers."""
        with self._begin() as connection:
            self._each(connection, self._statements.give_back_shard, shards)

    def leave(self, shards: Collection[int]) -> None:
        """Give these shards back and end."""
        with self._begin() as connection:
            self._each(connection, self._statements.give_back_shard, shards)
            connection.execute(self._statements.forget_worker, {"worker": self._worker})

    def read_ready(self) -> list[Ready]:
        """This worker's shards that hold events."""
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
        """The id of the newest event that waits, and how many wait."""
        with self._connect() as connection:
            last = connection.scalar(self._statements.read_last_id) or 0
            return last, connection.scalar(self._statements.count_waiting, {"last": last}) or 0

    def read_events(self, shards: Iterable[tuple[int, int]], events: int, size: int) -> list[Waiting]:
        """Events of the shards, each given with the id to read on after, until so many events or bytes are read."""
        found: list[Waiting] = []
        with self._connect() as connection:
            for shard, after in shards:
                room = {"wanted": shard, "after": after, "events": events - len(found), "bytes": size}
                for id_, project, lane, payload in connection.execute(self._statements.read_events, room):
                    found.append(Waiting(id_, shard, project, lane, payload, uuid_of(payload)))
                    size -= len(payload)
                if len(found) >= events or size <= 0:
                    break
        return found

    def settle(self, rows: Iterable[Waiting], fences: Mapping[int, int], failed_before: Collection[int]) -> None:
        """Take delivered events out of the outbox; shards that had failed before are well again.

        Raises LeaseLost where another worker has taken one of the shards over: what it holds is sent again by it.
        """
        lost = False
        with self._begin() as connection:
            for shard, ids in sorted(_by_shard(rows).items()):
                held = self._held(shard, fences)
                done = connection.execute(self._statements.settle, {**held, "ids": ids}).rowcount
                lost = lost or done < len(ids)
                if shard in failed_before:
                    connection.execute(self._statements.clear_retry, held)
        if lost:
            raise LeaseLost

    def bury(self, row: Waiting, fences: Mapping[int, int], reason: str, status: int | None) -> None:
        """Move one event to the dead letters. Raises LeaseLost, and moves nothing, where the shard was taken over."""
        held = self._held(row.shard, fences)
        why = {"uuid": row.uuid, "why": reason, "code": status, "event": row.id}
        with self._begin() as connection:
            # Updating the shard first locks it: nobody takes it over between the two halves of the move.
            self._require_one(connection.execute(self._statements.note_error, {**held, "error": reason}).rowcount)
            self._require_one(connection.execute(self._statements.bury, {**held, **why}).rowcount)
            self._require_one(connection.execute(self._statements.settle, {**held, "ids": [row.id]}).rowcount)

    def postpone(self, shards: Collection[int], fences: Mapping[int, int], delay: float, error: str) -> None:
        """Try these shards again after so many seconds, and count the attempt."""
        self._update(self._statements.postpone, shards, fences, delay=_ms(delay), error=error)

    def note_error(self, shards: Collection[int], fences: Mapping[int, int], error: str) -> None:
        """Keep what is wrong with these shards, for those who look."""
        self._update(self._statements.note_error, shards, fences, error=error)

    def _update(self, statement: Update, shards: Collection[int], fences: Mapping[int, int], **values: object) -> None:
        with self._begin() as connection:
            for shard in sorted(shards):
                connection.execute(statement, {**self._held(shard, fences), **values})

    def _each(self, connection: Connection, statement: Update, shards: Collection[int], **values: object) -> None:
        if shards:
            rows = [{"wanted": shard, "worker": self._worker, **values} for shard in sorted(shards)]
            connection.execute(statement, rows)

    def _held(self, shard: int, fences: Mapping[int, int]) -> dict[str, object]:
        return {"wanted": shard, "worker": self._worker, "held_fence": fences[shard]}

    @staticmethod
    def _require_one(changed: int) -> None:
        if changed != 1:
            raise LeaseLost

    @property
    def _engine(self) -> Engine:
        return self._database.worker_engine

    def _begin(self) -> AbstractContextManager[Connection]:
        return self._engine.begin()

    def _connect(self) -> Connection:
        return self._engine.connect()


def _by_shard(rows: Iterable[Waiting]) -> dict[int, list[int]]:
    shards: dict[int, list[int]] = {}
    for row in rows:
        shards.setdefault(row.shard, []).append(row.id)
    return shards


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
