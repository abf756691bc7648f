"""Status: how things stand in one database, what is wrong, and the settings in force; for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hogbox._operations.diagnosis import alive, failing_shards, hide_tokens, judge
from hogbox._operations.finding import Finding, Severity, worst
from hogbox._settings.report import SettingInForce
from hogbox._store.connections.database import Database
from hogbox._store.inspection.snapshot import DefinitionsRow, HoldRow, ShardRow, StatusSnapshot, WorkerRow
from hogbox._store.inspection.status import DEAD_COUNTED, StatusStore
from hogbox._store.schema.table import SCHEMA_VERSION
from hogbox._wire.host import shorten


@dataclass(frozen=True, slots=True)
class StatusReport:
    """How things stand, and the findings about it, the worst first. `lease` is the lease of this process' settings."""

    standing: StatusSnapshot
    findings: tuple[Finding, ...]
    settings: tuple[SettingInForce, ...]
    lease: float

    @property
    def severity(self) -> Severity:
        """The worst of the findings."""
        return worst(self.findings)

    @property
    def living(self) -> list[WorkerRow]:
        """The workers that are alive."""
        return [worker for worker in self.standing.workers if alive(worker, self.standing.shards, self.lease)]

    @property
    def per_minute(self) -> int:
        """The events that the living workers settle a minute, together."""
        return sum(worker.per_minute for worker in self.living)

    @property
    def drained_in(self) -> float | None:
        """The seconds until nothing waits, at that rate and if nothing is added; None where nothing moves."""
        return self.standing.backlog.events * 60 / self.per_minute if self.per_minute else None


def read_status(
    database: Database, *, lease: float, key_given: bool = False, settings: tuple[SettingInForce, ...] = ()
) -> StatusReport:
    """How things stand now. Changes nothing, and is quick however many events wait.

    `lease` is in seconds, for workers of which nothing tells theirs; `key_given`: whether a key for flag definitions is
    set here. Raises TablesError where the tables can't be used, and what the database raises.
    """
    standing = StatusStore(database).read()
    return StatusReport(standing, judge(standing, lease=lease, key_given=key_given), settings, lease)


def document(status: StatusReport) -> dict[str, Any]:
    """The same as JSON has it: durations in seconds, tokens shortened."""
    standing, backlog = status.standing, status.standing.backlog
    return {
        "level": status.severity.name.lower(),
        "findings": [finding_document(one) for one in status.findings],
        "backlog": {
            "events": backlog.events,
            "estimated": backlog.estimated,
            "oldest_seconds": backlog.oldest,
            "by_project": [
                {"project": shorten(project), "events": events}
                for project, events in sorted(backlog.by_project.items(), key=lambda item: (-item[1], item[0]))
            ],
            "per_minute": status.per_minute,
            "drained_in_seconds": status.drained_in,
        },
        "workers": [_worker(worker, status) for worker in standing.workers],
        "shards": {
            "owned": _owned(standing),
            "unowned": sum(shard.owner is None for shard in standing.shards),
            "waiting": sum(shard.waiting for shard in standing.shards),
            "put_off": [_put_off(shard, standing) for shard in failing_shards(standing)],
        },
        "last_error": _last_error(standing),
        "held": [_hold(hold, standing) for hold in standing.holds],
        "dead_letters": _dead(standing),
        "definitions": [_definitions(one) for one in standing.definitions],
        "schema_version": SCHEMA_VERSION,
        "settings": {one.name: {"value": one.value, "source": one.source} for one in status.settings},
    }


def finding_document(finding: Finding) -> dict[str, Any]:
    """A finding as JSON has it. `page` is the slug of the page that describes the fix."""
    severity = finding.severity.name.lower()
    return {"what": finding.name, "level": severity, "text": finding.text, "page": finding.page}


def _worker(worker: WorkerRow, status: StatusReport) -> dict[str, Any]:
    return {
        "id": worker.id,
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "alive": worker in status.living,
        "started_seconds": worker.started,
        "silent_seconds": worker.silent,
        "shards": _owned(status.standing).get(worker.id, 0),
        "delivered": worker.delivered,
        "dead": worker.dead,
        "per_minute": worker.per_minute,
    }


def _owned(standing: StatusSnapshot) -> dict[str, int]:
    counts: dict[str, int] = {}
    for shard in standing.shards:
        if shard.owner is not None:
            counts[shard.owner] = counts.get(shard.owner, 0) + 1
    return counts


def _put_off(shard: ShardRow, standing: StatusSnapshot) -> dict[str, Any]:
    return {
        "shard": shard.number,
        "attempt": shard.attempt,
        "again_in_seconds": shard.wait,
        "last_error": hide_tokens(shard.last_error or "", standing),
        "last_error_seconds": shard.failed,
    }


def _last_error(standing: StatusSnapshot) -> dict[str, Any] | None:
    """What went wrong last with any shard that has not been forgotten since."""
    failed = [shard for shard in standing.shards if shard.last_error and shard.failed is not None]
    if not failed:
        return None
    last = min(failed, key=lambda shard: shard.failed or 0.0)
    return {"seconds": last.failed, "error": hide_tokens(last.last_error or "", standing)}


def _hold(hold: HoldRow, standing: StatusSnapshot) -> dict[str, Any]:
    return {
        "project": shorten(hold.project),
        "waiting": standing.backlog.by_project.get(hold.project, 0),
        "held_seconds": hold.since,
        "again_in_seconds": hold.wait,
        "attempt": hold.attempt,
        "status": hold.status,
        "reason": hide_tokens(hold.reason, standing),
    }


def _dead(standing: StatusSnapshot) -> dict[str, Any]:
    events = sum(one.events for one in standing.dead)
    reasons = [
        {"reason": hide_tokens(one.reason, standing), "status": one.status, "events": one.events, "seconds": one.since}
        for one in standing.dead
    ]
    return {"events": events, "at_least": events >= DEAD_COUNTED, "reasons": reasons}


def _definitions(one: DefinitionsRow) -> dict[str, Any]:
    return {
        "project": shorten(one.project),
        "revision": one.revision,
        "age_seconds": one.age,
        "etag": one.has_etag,
        "last_status": one.last_status,
        "last_reason": one.last_reason,
        "last_seconds": one.last,
        "next_poll_in_seconds": one.due,
        "polled_by": one.holder,
        "polls": one.polls,
        "polls_alone": one.polls_alone,
    }
