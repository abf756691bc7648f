"""Snapshot: what the database says of how things stand. Durations are in seconds, by the database's clock."""

from __future__ import annotations

from typing import NamedTuple

from hogbox._store.connections.surroundings import Surroundings


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
