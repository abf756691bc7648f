"""What the database says of how things stand."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from hogbox._operations.finding import Severity
from hogbox._operations.status import read_status
from hogbox._store.connections.database import Database
from hogbox._store.definition import DefinitionStore
from hogbox._store.delivery import DeliveryStore
from hogbox._store.inspection import backlog as backlog_module
from hogbox._store.inspection.status import StatusStore
from hogbox._store.shards.lease import Done
from hogbox.errors import TablesMissing
from tests.fixtures.database import TestDatabase
from tests.store.conftest import WriteEvents


def test_the_tables_of_a_new_database_stand_well(own: Database) -> None:
    standing = StatusStore(own).read()
    assert standing.backlog == (0, {}, None, False)
    assert [shard.number for shard in standing.shards] == list(range(64))
    assert not any(shard.owner or shard.waiting or shard.attempt for shard in standing.shards)
    assert (standing.workers, standing.holds, standing.dead, standing.definitions) == ((), (), (), ())
    assert read_status(own, lease=30).severity is Severity.HEALTHY


def test_a_few_events_are_counted_by_project(database: TestDatabase, own: Database, write: WriteEvents) -> None:
    write(1, "a", "b", "c", project="phc_one")
    write(2, "d", project="phc_two")
    database.execute("UPDATE posthog_outbox SET created_at = created_at - 90000 WHERE project = 'phc_two'")
    standing = StatusStore(own).read()
    assert standing.backlog.by_project == {"phc_one": 3, "phc_two": 1}
    assert (standing.backlog.events, standing.backlog.estimated) == (4, False)
    assert 90 <= (standing.backlog.oldest or 0) < 120
    assert [shard.number for shard in standing.shards if shard.waiting] == [1, 2]


def test_many_events_are_estimated_the_oldest_of_them_counted(
    database: TestDatabase, own: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog_module, "COUNTED", 500)
    row = {"shard": 1, "lane": "analytics", "payload": "{}", "created_at": 0}
    projects = ["phc_oldest"] * 500 + ["phc_half", "phc_other"] * 2000
    with database.engine.begin() as connection:
        connection.execute(sa.insert(own.tables.outbox), [{**row, "project": project} for project in projects])
    backlog = StatusStore(own).read().backlog
    assert backlog.estimated
    assert backlog.by_project["phc_oldest"] == 500
    assert backlog.events == pytest.approx(4500, rel=0.01)
    assert backlog.by_project["phc_half"] == pytest.approx(2000, rel=0.3)


def test_shards_and_workers_are_told_as_they_are(
    database: TestDatabase, own: Database, store: DeliveryStore, write: WriteEvents
) -> None:
    write(3, "a")
    store.heartbeat(30, 60, Done(7, 2, 540))
    store.postpone([3], {3: 1}, 20, "HTTP 503")
    standing = StatusStore(own).read()
    shard = standing.shards[3]
    assert (shard.owner, shard.attempt, shard.last_error, shard.waiting) == ("w1", 1, "HTTP 503", True)
    assert 15 < shard.wait <= 20
    assert 25 < shard.lease_left <= 30
    assert 0 <= (shard.failed or 0) < 5
    (worker,) = standing.workers
    assert (worker.host, worker.pid, worker.delivered, worker.dead, worker.per_minute) == ("host", 1, 7, 2, 540)
    assert 0 <= worker.silent < 5


def test_holds_dead_letters_and_definitions(own: Database, store: DeliveryStore, write: WriteEvents) -> None:
    for name in ("a", "b", "c"):
        write(3, name)
    for row in store.read_events([3], (), 10, 10_000).rows:
        store.bury(row, {3: 1}, "too odd" if row.id % 3 else "rare", 400)
    store.hold("phc_store", 60, 2, 403, "no")
    definitions = DefinitionStore(own, "phc_store")
    definitions.enter()
    definitions.claim("w1", 60)
    definitions.store('{"flags": []}', '"1"', None)
    definitions.note("updated", None, unchanged="unchanged")
    standing = StatusStore(own).read()
    assert [(one.reason, one.status, one.events) for one in standing.dead] == [("too odd", 400, 2), ("rare", 400, 1)]
    (hold,) = standing.holds
    assert (hold.project, hold.attempt, hold.status, hold.reason) == ("phc_store", 2, 403, "no")
    assert 55 < hold.wait <= 60
    (one,) = standing.definitions
    assert (one.project, one.revision, one.has_etag, one.last_status) == ("phc_store", 1, True, "updated")
    assert (one.holder, one.polls, one.polls_alone) == ("w1", 1, 1)
    assert 55 < (one.due or 0) <= 60
    assert 0 <= (one.age or 0) < 5


def test_without_tables_it_cannot_be_asked(empty_database: TestDatabase) -> None:
    with pytest.raises(TablesMissing):
        read_status(Database(empty_database.engine, "posthog_"), lease=30)
