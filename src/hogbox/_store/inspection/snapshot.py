"""Snapshot: what the database says of how things stand. Durations are in seconds, by the database's clock."""

from __future__ import annotations

from typing import NamedTuple

from hogbox._store.connections.surroundings import Surroundings


class BacklogSummary(NamedTuple):
    """The events that wait, by project. `estimated`: there are too many of them to be counted now."""

    events: int
    by_project: dict[str, int]
    oldest: float | None
    estimated: bool


class ShardRow(NamedTuple):
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


class HoldRow(NamedTuple):
    """A project whose requests fail or are refused. `wait` until it is tried again; below zero: overdue."""

    project: str
    since: float
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


class DefinitionsRow(NamedTuple):
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


class StatusSnapshot(NamedTuple):
    """Everything at once."""

    backlog: BacklogSummary
    shards: tuple[ShardRow, ...]
    workers: tuple[WorkerRow, ...]
    holds: tuple[HoldRow, ...]
    dead: tuple[DeadReason, ...]
    definitions: tuple[DefinitionsRow, ...]
    surroundings: Surroundings = Surroundings()
