"""Whether all is well: findings about how things stand, each with the page that describes the fix. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hogbox._operations.finding import Finding, Severity
from hogbox._operations.page import Page
from hogbox._store.connections.surroundings import Cluster, Surroundings
from hogbox._store.inspection.snapshot import DefinitionsRow, HoldRow, ShardRow, StatusSnapshot, WorkerRow
from hogbox._wire.host import shorten
from hogbox._wire.result import is_over_quota
from hogbox._wire.verdict import what_is_refused

_OLD: Final = 600.0
"""Seconds after which a transaction of PostgreSQL is worth a line: a dump takes minutes."""

_TOO_OLD: Final = 3600.0
"""Seconds after which it is a fault: deleted rows of every table of the database pile up behind it."""

_BEHIND: Final = 100_000
"""Transactions after which a replication slot or a standby is worth a line. How long ago they were is not known."""

_FAR_BEHIND: Final = 1_000_000
"""Transactions after which it is a fault: with old rows of a million deliveries polls get slow."""

_LATE: Final = 300.0
"""Seconds after which a waiting event is late where nothing explains it."""

_UNATTENDED: Final = 120.0
"""Seconds for which events may wait without a worker: `hogbox deliver` may come every minute."""

_MANY_ATTEMPTS: Final = 10
"""With the usual settings ten attempts take five minutes."""

_OF_LATE: Final = 900.0
"""Seconds for which a drop because of a quota is taken for the state of things."""

_OVERDUE_INTERVALS: Final = 3.0
_WELL: Final = ("updated", "unchanged")

_REFUSED: Final = {
    "token": "PostHog refuses the token {}",
    "quota": "PostHog refuses the events of project {}, whose quota is used up",
    "address": "PostHog does not take events at this POSTHOG_HOST, for project {}",
}


def judge(standing: StatusSnapshot, *, lease: float, key_given: bool) -> tuple[Finding, ...]:
    """What is wrong, the worst first. `lease` is for workers of which nothing tells how long theirs is.

    `key_given`: a key for definitions is set where this is asked, so that some should be there.
    """
    found = [
        *_workers(standing, lease),
        *_held(standing),
        *_retries(standing),
        *_late(standing, lease),
        *_over_quota(standing),
        *_dead(standing),
        *(finding for one in standing.definitions for finding in _definitions(one)),
        *surroundings(standing.surroundings),
    ]
    if not standing.definitions:
        found.append(_definitions_missing(key_given))
    return tuple(sorted(found, key=lambda finding: -finding.severity))


def cluster_order(cluster: Cluster) -> str:
    """What the order of events needs of a cluster's sessions."""
    return (
        f"this is a node of a Galera cluster, its ids go up in steps of {cluster.id_step} (auto_increment_increment), "
        f"and wsrep_sync_wait is {cluster.sync_wait} by default: where applications write on several nodes, set it to "
        "7 in their sessions, or one person's events may arrive out of order"
    )


def surroundings(around: Surroundings) -> Iterator[Finding]:
    """What a server does beside hogbox that needs attention."""
    old = around.old_snapshot
    if old is not None and old.age > _OLD:
        text = f"{old.who} has kept a transaction open for {old.age / 60:.0f} min: PostgreSQL can't remove deleted rows"
        yield Finding(
            "old_snapshot", Severity.DEGRADED if old.age > _TOO_OLD else Severity.HEALTHY, text, page=Page.POSTGRESQL
        )
    if around.cluster is not None and not around.cluster.waits:
        yield Finding("cluster_order", Severity.HEALTHY, cluster_order(around.cluster), page=Page.CLUSTERS)
    if around.id_step > 1:
        text = (
            f"ids go up in steps of {around.id_step} (auto_increment_increment), as where several servers are written "
            "to: write on one of them, or one person's events may arrive out of order"
        )
        yield Finding("several_writers", Severity.HEALTHY, text, page=Page.CLUSTERS)
    yield from _kept_rows(around)


def _kept_rows(around: Surroundings) -> Iterator[Finding]:
    """What keeps PostgreSQL from removing deleted rows, apart from transactions; and what can't be seen of it."""
    for one in around.horizons:
        if one.transactions > _BEHIND:
            severity = Severity.DEGRADED if one.transactions > _FAR_BEHIND and not one.system_only else Severity.HEALTHY
            rows = "rows of the system's tables" if one.system_only else "rows"
            text = f"{one.who} is {one.transactions} transactions behind: PostgreSQL can't remove {rows} deleted since"
            yield Finding(
                "old_catalog_horizon" if one.system_only else "old_horizon", severity, text, page=Page.POSTGRESQL
            )
    if around.hidden:
        text = (
            f"{around.hidden} sessions of other roles can't be examined for old transactions: GRANT pg_read_all_stats "
            "to this user"
        )
        yield Finding("sessions_hidden", Severity.HEALTHY, text, page=Page.POSTGRESQL)


def _definitions_missing(key_given: bool) -> Finding:
    """An application without flags needs no definitions: without a key here it is only said."""
    if key_given:
        text = "flag definitions were never fetched: run a worker that has the key and the project's token"
        return Finding("definitions_missing", Severity.DEGRADED, text, page=Page.DEFINITIONS)
    text = (
        "no flag definitions are stored: where flags are read, they are inconclusive until a worker with "
        "POSTHOG_PERSONAL_API_KEY has fetched them"
    )
    return Finding("definitions_missing", Severity.HEALTHY, text, page=Page.DEFINITIONS)


def lease_of(worker: WorkerRow, shards: tuple[ShardRow, ...], default: float) -> float:
    """How long this worker's leases are: each heartbeat prolongs them to that, so that its own shards tell."""
    left = [shard.lease_left + worker.silent for shard in shards if shard.owner == worker.id]
    return max(left) if left else default


def alive(worker: WorkerRow, shards: tuple[ShardRow, ...], default: float) -> bool:
    """Whether a worker was heard of within its lease."""
    return worker.silent <= lease_of(worker, shards, default)


def _workers(standing: StatusSnapshot, lease: float) -> Iterator[Finding]:
    living = [worker for worker in standing.workers if alive(worker, standing.shards, lease)]
    for worker in standing.workers:
        owned = [shard for shard in standing.shards if shard.owner == worker.id]
        # Six heartbeats to a lease: three in a row are missing.
        if worker.silent > lease_of(worker, standing.shards, lease) / 2:
            waiting = any(shard.waiting for shard in owned)
            text = (
                f"worker {worker.id} (process {worker.pid} on {worker.host}) has fallen silent: no heartbeat for "
                f"{worker.silent:.0f} s, and it owns {len(owned)} shards{', where events wait' if waiting else ''}"
            )
            yield Finding("worker_silent", Severity.DEGRADED, text, page=Page.WORKER)
    if standing.backlog.events and not living:
        severity = Severity.BROKEN if (standing.backlog.oldest or 0) > _UNATTENDED else Severity.DEGRADED
        yield Finding("no_worker", severity, "events wait, and no worker is alive to deliver them", page=Page.WORKER)


def _held(standing: StatusSnapshot) -> Iterator[Finding]:
    for hold in standing.holds:
        # Without events this is of the past: they were given another token, or purged.
        if waiting := standing.backlog.by_project.get(hold.project):
            yield _of_project(hold, waiting, hide_tokens(hold.reason, standing))


def _of_project(hold: HoldRow, waiting: int, why: str) -> Finding:
    project = shorten(hold.project)
    if refused := what_is_refused(hold.status):
        text = f"{_REFUSED[refused].format(project)} ({why}): {waiting} of its events are held back"
        return Finding("project_held", Severity.BROKEN, text, page=Page.WRONG_TOKEN)
    severity = Severity.BROKEN if hold.attempt >= _MANY_ATTEMPTS else Severity.DEGRADED
    text = (
        f"PostHog does not take events of project {project} ({why}): {waiting} of them wait, and are tried again by "
        f"themselves, after {hold.attempt} failed attempts"
    )
    return Finding("posthog_fails", severity, text, page=Page.OUTAGES)


def _retries(standing: StatusSnapshot) -> Iterator[Finding]:
    failing = failing_shards(standing)
    if not failing:
        return
    worst = max(failing, key=lambda shard: shard.attempt)
    severity = Severity.BROKEN if worst.attempt >= _MANY_ATTEMPTS else Severity.DEGRADED
    why = hide_tokens(worst.last_error or "unknown", standing)
    text = (
        f"in {len(failing)} shards an event fails, and later ones of the same distinct id wait for it ({why}): it is "
        f"tried again by itself, after {worst.attempt} failed attempts"
    )
    yield Finding("event_fails", severity, text, page=Page.OUTAGES)


def failing_shards(standing: StatusSnapshot) -> list[ShardRow]:
    """The shards whose events wait because their delivery failed."""
    return [shard for shard in standing.shards if shard.attempt and shard.waiting]


def _late(standing: StatusSnapshot, lease: float) -> Iterator[Finding]:
    """Events that wait for long, where nothing else says why."""
    backlog = standing.backlog
    working = any(alive(worker, standing.shards, lease) for worker in standing.workers)
    explained = failing_shards(standing) or any(hold.project in backlog.by_project for hold in standing.holds)
    if working and not explained and (backlog.oldest or 0) > _LATE:
        text = f"the oldest event has waited for {backlog.oldest:.0f} s though workers are alive: they fall behind"
        yield Finding("late", Severity.DEGRADED, text, page=Page.WORKER)


def _dead(standing: StatusSnapshot) -> Iterator[Finding]:
    if standing.dead:
        count, most = sum(reason.events for reason in standing.dead), standing.dead[0]
        why = hide_tokens(most.reason, standing)
        yield Finding(
            "dead_letters",
            Severity.DEGRADED,
            f"{count} events are dead letters, most of them because: {why}",
            page=Page.DEAD_LETTERS,
        )


def _over_quota(standing: StatusSnapshot) -> Iterator[Finding]:
    """Events that PostHog dropped recently because a quota is used up. Ends some time after the last drop."""
    recent = [one for one in standing.dead if is_over_quota(one.reason) and one.since <= _OF_LATE]
    if recent:
        events = sum(one.events for one in recent)
        text = (
            f"PostHog drops events because a quota of their project is used up: {events} are dead letters, the last "
            f"one since {min(one.since for one in recent):.0f} s; raise the quota, then hogbox dead retry"
        )
        yield Finding("over_quota", Severity.BROKEN, text, page=Page.DEAD_LETTERS)


def _definitions(one: DefinitionsRow) -> Iterator[Finding]:
    """What is wrong with one project's definitions: without any that are good no flag is known, which is worse."""
    whose = f"flag definitions of {shorten(one.project)}"
    if one.last_reason == "quota" or one.last_status == "empty":
        why = (
            "the quota of flag requests is used up (402)" if one.last_reason == "quota" else "PostHog had none to give"
        )
        severity = Severity.BROKEN if one.last_reason == "quota" else Severity.DEGRADED
        yield Finding("flags_unknown", severity, f"{whose}: {why}, so that no flag is known", page=Page.DEFINITIONS)
    elif one.last_status and one.last_status not in _WELL:
        outcome = f"{one.last_status}/{one.last_reason}" if one.last_reason else one.last_status
        severity = Severity.BROKEN if one.revision is None else Severity.DEGRADED
        kept = "none are stored" if one.age is None else f"those that are stored are {one.age:.0f} s old"
        yield Finding(
            "definitions_fail", severity, f"{whose}: the last refresh came to {outcome}; {kept}", page=Page.DEFINITIONS
        )
    if overdue := overdue_by(one):
        text = f"{whose} are no longer refreshed: the next refresh was due {overdue:.0f} s ago"
        yield Finding("definitions_stopped", Severity.DEGRADED, text, page=Page.DEFINITIONS)


def overdue_by(one: DefinitionsRow) -> float:
    """The seconds since a refresh was due that nobody makes; 0 where one may still come.

    The interval is the time between the last refresh and the next one.
    """
    if one.due is None or one.last is None:
        return 0.0
    interval = max(1.0, one.due + one.last)
    return -one.due if -one.due > _OVERDUE_INTERVALS * interval else 0.0


def hide_tokens(text: str, standing: StatusSnapshot) -> str:
    """What a server said, without the tokens of projects that it may have repeated."""
    holders = {hold.project for hold in standing.holds}
    for project in {*standing.backlog.by_project, *holders, *(one.project for one in standing.definitions)}:
        text = text.replace(project, shorten(project))
    return text
