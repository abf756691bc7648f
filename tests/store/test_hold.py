"""What is held back, and what workers say of themselves: rows for those who look."""

from __future__ import annotations

import pytest

from hogbox._store.connections.database import Database
from hogbox._store.definition import DefinitionStore
from hogbox._store.delivery import DeliveryStore
from hogbox._store.shards.lease import Done
from tests.fixtures.database import TestDatabase
from tests.store.conftest import StoreOf


def test_a_held_project_is_a_row_that_remembers_since_when(database: TestDatabase, store_of: StoreOf) -> None:
    store_of("w1").hold("phc_wrong", 60, 1, 403, "no")
    (first,) = database.rows("posthog_holds", "project")
    store_of("w2").hold("phc_wrong", 120, 2, 401, "never\0")
    (again,) = database.rows("posthog_holds", "project")
    assert first["until"] - first["held_at"] in range(59_000, 60_001)
    assert again["held_at"] == first["held_at"]
    assert again["until"] > first["until"] + 59_000
    assert (again["attempt"], again["status"], again["reason"]) == (2, 401, r"never\ufffd")


def test_any_worker_may_let_a_project_go_once_it_has_heard_of_the_hold(
    database: TestDatabase, store_of: StoreOf
) -> None:
    one, other = store_of("w1"), store_of("w2")
    one.hold("phc_wrong", 60, 1, 403, "no")
    assert one.on_hold == {"phc_wrong"}
    assert not other.on_hold
    other.heartbeat(lease=30, forget_after=60)
    assert other.on_hold == {"phc_wrong"}
    other.release("phc_wrong")
    one.heartbeat(lease=30, forget_after=60)
    assert not one.on_hold
    assert not other.on_hold
    assert database.rows("posthog_holds", "project") == []


def test_a_hold_that_nobody_renews_is_forgotten(database: TestDatabase, store: DeliveryStore) -> None:
    store.hold("phc_old", 60, 1, 403, "no")
    store.hold("phc_new", 60, 1, 403, "no")
    database.execute("UPDATE posthog_holds SET until = until - 180000 WHERE project = 'phc_old'")
    store.heartbeat(lease=30, forget_after=60)
    assert store.on_hold == {"phc_new"}


@pytest.mark.parametrize(
    "ahead", ["held_at = held_at + 86400000, until = until + 86400000", "until = 9223372036854775807"]
)
def test_a_hold_from_before_the_databases_clock_was_set_back_ends(
    database: TestDatabase, store: DeliveryStore, store_of: StoreOf, ahead: str
) -> None:
    store.hold("phc_old", 60, 1, 503, "busy")
    store.hold("phc_new", 60, 1, 503, "busy")
    database.execute(f"UPDATE posthog_holds SET {ahead} WHERE project = 'phc_old'")
    other = store_of("w2")
    other.heartbeat(lease=30, forget_after=60)
    left = {one.project: one.left for one in other.paused}
    assert left["phc_old"] <= 0
    assert 0 < left["phc_new"] <= 60


def test_a_heartbeat_says_what_the_worker_has_done(database: TestDatabase, store: DeliveryStore) -> None:
    store.heartbeat(30, 60, Done(7, 2, 540))
    (row,) = database.rows("posthog_workers")
    assert (row["delivered"], row["dead"], row["per_minute"]) == (7, 2, 540)


def test_a_shard_knows_since_when_it_fails(database: TestDatabase, store: DeliveryStore) -> None:
    def failed_at(shard: int) -> int | None:
        value: int | None = database.rows("posthog_shards", "shard")[shard]["last_error_at"]
        return value

    store.postpone([3], {3: 1}, 5, "HTTP 503")
    store.note_error([4], {4: 1}, "token refused")
    assert failed_at(3)
    assert failed_at(4)
    assert failed_at(5) is None
    store.clear_retry([3], {3: 1})
    assert failed_at(3) is None


def test_polls_are_counted_and_what_the_same_workers_would_have_made(
    database: TestDatabase, own: Database, store_of: StoreOf
) -> None:
    definitions = DefinitionStore(own, "phc_polled")
    definitions.enter()
    definitions.note("updated", None, unchanged="unchanged", requests=4)
    for name in ("w1", "w2", "w3"):
        store_of(name).announce("host", 1, "0.1.0")
    definitions.note("unchanged", None, unchanged="unchanged")
    (row,) = database.rows("posthog_refreshes", "project")
    assert (row["polls"], row["polls_alone"]) == (5, 7)
