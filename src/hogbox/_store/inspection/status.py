"""What the database says of how things stand, in one reading. Durations are in seconds, by the database's clock."""

from __future__ import annotations

from collections.abc import Sequence
from random import randrange
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from hogbox._events.escape import unescape
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit, require_file
from hogbox._store.connections.surroundings import Surroundings, read_surroundings
from hogbox._store.status_statement import StatusStatements

COUNTED: Final = 20_000
"""So many events are counted; what is beyond is estimated from a sample."""

_SAMPLE: Final = 900
"""Ids that are looked up. The estimate of a project's share is right within three or four percent of the whole."""

DEAD_COUNTED: Final = 10_000
"""So many dead letters are counted, the newest first."""


class Backlog(NamedTuple):
    """The events that wait, by project. `estimated`: there are too many of them to be counted now."""

    events: int
    by_project: dict[str, int]
    oldest: float | None
    estimated: bool


class Shard(NamedTuple):
    """One shard. `wait`: it is not to be tried before; `failed`: since its last failure."""

    number: int
    owner: str | None
    lease_left: float
    wait: float
    attempt: int
    last_error: str | None
    failed: float | None
    waiting: bool


class WorkerRow(NamedTuple):
    """A worker that is listed. `silent`: since its last heartbeat."""

    id: str
    host: str
    pid: int
    version: str
    started: float
    silent: float
    delivered: int
    dead: int
    per_minute: int


class Hold(NamedTuple):
    """A project whose requests fail or are refused. `wait` until it is tried again; below zero: overdue."""

    project: str
    held: float
    wait: float
    attempt: int
    status: int | None
    reason: str


class DeadReason(NamedTuple):
    """Dead letters of one reason. `since` the last of them."""

    reason: str
    status: int | None
    events: int
    since: float


class Definitions(NamedTuple):
    """A project's flag definitions and the refreshing of them; None for what never was.

    `age`: since PostHog last said that they are right. `due`: until the next refresh, below zero where it is overdue.
    """

    project: str
    revision: int | None
    age: float | None
    has_etag: bool
    due: float | None
    holder: str | None
    last_status: str | None
    last_reason: str | None
    last: float | None
    polls: int
    polls_alone: int


class Standing(NamedTuple):
    """Everything at once."""

    backlog: Backlog
    shards: tuple[Shard, ...]
    workers: tuple[WorkerRow, ...]
    holds: tuple[Hold, ...]
    dead: tuple[DeadReason, ...]
    definitions: tuple[Definitions, ...]
    surroundings: Surroundings = Surroundings()


class StatusStore:
    """Reads how things stand; changes nothing, and waits for nobody."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = StatusStatements(database.tables)

    def read(self) -> Standing:
        """How things stand. Raises TablesError where the tables can't be used."""
        require_file(self._database.engine)
        self._database.check()
        with autocommit(self._database.engine).connect() as connection:
            return Standing(
                self._backlog(connection),
                tuple(_shard(row) for row in connection.execute(self._statements.read_shards)),
                tuple(_worker(row) for row in connection.execute(self._statements.read_workers)),
                tuple(_hold(row) for row in connection.execute(self._statements.read_holds)),
                self._dead(connection),
                self._definitions(connection),
                read_surroundings(connection, self._database.tables),
            )

    def _backlog(self, connection: Connection) -> Backlog:
        rows = connection.execute(self._statements.count_oldest, {"most": COUNTED}).all()
        counts = {row.project: row.events for row in rows}
        oldest = max((_seconds(row.age) for row in rows), default=None)
        counted = sum(counts.values())
        newest = connection.scalar(self._statements.read_last_id) or 0
        first = max((row.last for row in rows), default=0) + 1
        if counted < COUNTED or newest < first:
            return Backlog(counted, counts, oldest, estimated=False)
        ids = _spread(first, newest)
        scale = (newest - first + 1) / len(ids)
        for project, found in connection.execute(self._statements.sample_events, {"ids": ids}):
            counts[project] = counts.get(project, 0) + round(found * scale)
        return Backlog(sum(counts.values()), counts, oldest, estimated=True)

    def _dead(self, connection: Connection) -> tuple[DeadReason, ...]:
        rows = connection.execute(self._statements.count_newest_dead, {"most": DEAD_COUNTED})
        reasons = (DeadReason(unescape(row.reason), row.status, row.events, row.since_ms / 1000) for row in rows)
        return tuple(sorted(reasons, key=lambda reason: -reason.events))

    def _definitions(self, connection: Connection) -> tuple[Definitions, ...]:
        stored = {row.project: row for row in connection.execute(self._statements.read_definitions)}
        refreshes = {row.project: row for row in connection.execute(self._statements.read_refreshes)}
        projects = sorted({*stored, *refreshes})
        return tuple(_definitions(name, stored.get(name), refreshes.get(name)) for name in projects)


def _spread(first: int, last: int) -> Sequence[int]:
    """Ids between these two, one by chance from each of equal parts: ids may go up in steps."""
    count = min(_SAMPLE, last - first + 1)
    edges = [first + (last - first + 1) * part // count for part in range(count + 1)]
    return [randrange(edges[part], edges[part + 1]) for part in range(count)]  # noqa: S311 - a sample, no secret


def _shard(row: Any) -> Shard:
    wait = max(0.0, row.wait_ms / 1000)
    waiting = row.oldest is not None
    left = row.left_ms / 1000
    error = unescape(row.last_error) if row.last_error else None
    return Shard(row.shard, row.owner, left, wait, row.attempt, error, _seconds(row.error_ms), waiting)


def _worker(row: Any) -> WorkerRow:
    started, silent = row.started_ms / 1000, max(0.0, row.silent_ms / 1000)
    done = (row.delivered or 0, row.dead or 0, row.per_minute or 0)
    return WorkerRow(row.id, row.host, row.pid, row.version, started, silent, *done)


def _hold(row: Any) -> Hold:
    return Hold(row.project, row.held_ms / 1000, row.wait_ms / 1000, row.attempt, row.status, unescape(row.reason))


def _definitions(project: str, stored: Any, refresh: Any) -> Definitions:
    right = [stored.fetched_ms if stored else None, refresh.unchanged_ms if refresh and stored else None]
    age = min((_seconds(one) for one in right if one is not None), default=None)
    revision, has_etag = (stored.revision, bool(stored.has_etag)) if stored else (None, False)
    return Definitions(
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
