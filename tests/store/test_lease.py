"""Leases: who is alive, who holds which shard, and that the database's clock alone decides when a lease is over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import product

import pytest
import time_machine

from hogbox._store.delivery import DeliveryStore
from hogbox._store.dialects.element import epoch_ms
from tests.fixtures.database import TestDatabase
from tests.store.conftest import StoreOf, WriteEvents

CLOCKS_GONE_WRONG = (datetime(2001, 1, 1, tzinfo=UTC), datetime(2124, 1, 1, tzinfo=UTC))


def holders(database: TestDatabase) -> dict[int, tuple[str | None, int]]:
    return {row["shard"]: (row["owner"], row["fence"]) for row in database.rows("posthog_shards", "shard")}


def test_a_new_database_has_64_shards_that_nobody_holds(database: TestDatabase) -> None:
    assert holders(database) == dict.fromkeys(range(64), (None, 0))


def test_a_claim_takes_the_shards_and_counts_their_fences(database: TestDatabase, store_of: StoreOf) -> None:
    store_of("w1").claim([0, 63], lease=60)
    assert holders(database) == {**dict.fromkeys(range(64), (None, 0)), 0: ("w1", 1), 63: ("w1", 1)}


def test_a_claim_of_no_shards_changes_nothing(database: TestDatabase, store_of: StoreOf) -> None:
    store_of("w1").claim([], lease=60)
    assert holders(database) == dict.fromkeys(range(64), (None, 0))


def test_a_shard_that_is_held_cannot_be_claimed(database: TestDatabase, store_of: StoreOf) -> None:
    store_of("w1").claim([1, 2], lease=60)
    store_of("w2").claim([2, 3], lease=60)
    held = holders(database)
    assert (held[1], held[2], held[3]) == (("w1", 1), ("w1", 1), ("w2", 1))


def test_its_own_shard_cannot_be_claimed_again_while_it_is_held(database: TestDatabase, store_of: StoreOf) -> None:
    store_of("w1").claim([1], lease=60)
    store_of("w1").claim([1], lease=60)
    assert holders(database)[1] == ("w1", 1)


def test_an_expired_lease_is_taken_over_and_counted(database: TestDatabase, store_of: StoreOf) -> None:
    store_of("w1").claim([1], lease=0)
    store_of("w2").claim([1], lease=60)
    assert holders(database)[1] == ("w2", 2)


def test_a_worker_that_takes_its_own_expired_shard_again_gets_another_fence(
    database: TestDatabase, store_of: StoreOf
) -> None:
    store_of("w1").claim([1], lease=0)
    store_of("w1").claim([1], lease=60)
    assert holders(database)[1] == ("w1", 2)


def test_concurrent_claims_give_each_shard_to_one_worker(database: TestDatabase, store_of: StoreOf) -> None:
    barrier = threading.Barrier(4)

    def claim(store: DeliveryStore) -> None:
        barrier.wait()
        store.claim(range(64), lease=60)

    run_at_once([partial(claim, store_of(f"w{number}")) for number in range(4)])
    held = holders(database)
    assert {fence for _, fence in held.values()} == {1}
    assert {owner for owner, _ in held.values()} <= {"w0", "w1", "w2", "w3"}


def test_concurrent_claims_of_expired_leases_count_each_take_over_once(
    database: TestDatabase, store_of: StoreOf
) -> None:
    store_of("w0").claim(range(64), lease=0)
    run_at_once([partial(store_of(f"w{n}").claim, range(n, 64, 2), lease=60) for n in (1, 2, 1, 2)])
    held = holders(database)
    assert {shard: fence for shard, (_, fence) in held.items()} == {**dict.fromkeys(range(1, 64), 2), 0: 1}


def run_at_once(calls: list[Callable[[], None]]) -> None:
    errors: list[BaseException] = []

    def run(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_shards_given_back_are_free_at_once_and_others_stay_held(database: TestDatabase, store_of: StoreOf) -> None:
    store_of("w1").claim([1, 2], lease=60)
    store_of("w1").give_back([1])
    store_of("w2").claim([1, 2], lease=60)
    held = holders(database)
    assert (held[1], held[2]) == (("w2", 2), ("w1", 1))


def test_only_its_holder_gives_a_shard_back(database: TestDatabase, store_of: StoreOf) -> None:
    store_of("w1").claim([1], lease=60)
    store_of("w2").give_back([1])
    assert holders(database)[1] == ("w1", 1)


def test_a_heartbeat_prolongs_the_workers_own_leases_only(store_of: StoreOf) -> None:
    store_of("w1").claim([1], lease=10)
    store_of("w2").claim([2], lease=10)
    store_of("w1").heartbeat(lease=100, forget_after=60)
    _, leases = store_of("w1").read_leases(60)
    assert 90 < leases[1].seconds_left <= 100
    assert 0 < leases[2].seconds_left <= 10


def test_a_heartbeat_says_whether_the_worker_is_listed(store_of: StoreOf) -> None:
    store = store_of("w1")
    assert not store.heartbeat(lease=60, forget_after=60)
    store.announce("host", 1, "0.1.0")
    assert store.heartbeat(lease=60, forget_after=60)


def test_a_heartbeat_forgets_workers_that_fell_silent(database: TestDatabase, store_of: StoreOf) -> None:
    for worker in ("w1", "w2"):
        store_of(worker).announce("host", 1, "0.1.0")
    database.execute("UPDATE posthog_workers SET seen_at = seen_at - 61000 WHERE id = 'w2'")
    assert store_of("w1").heartbeat(lease=60, forget_after=60)
    assert [row["id"] for row in database.rows("posthog_workers")] == ["w1"]
    assert not store_of("w2").heartbeat(lease=60, forget_after=60)


def test_live_workers_are_those_seen_of_late(database: TestDatabase, store_of: StoreOf) -> None:
    for worker in ("w1", "w2"):
        store_of(worker).announce("host", 1, "0.1.0")
    database.execute("UPDATE posthog_workers SET seen_at = seen_at - 31000 WHERE id = 'w2'")
    assert store_of("w1").read_leases(alive_within=30)[0] == ["w1"]
    assert sorted(store_of("w1").read_leases(alive_within=60)[0]) == ["w1", "w2"]


def test_an_announcement_keeps_what_identifies_the_worker(database: TestDatabase, store_of: StoreOf) -> None:
    store_of("w1").announce("h" * 300, 4242, "0.1.0")
    (row,) = database.rows("posthog_workers")
    assert (row["id"], row["host"], row["pid"], row["version"]) == ("w1", "h" * 255, 4242, "0.1.0")
    assert row["started_at"] == row["seen_at"]


def test_leases_are_read_with_owner_and_time_left(store_of: StoreOf) -> None:
    store_of("w1").claim([5], lease=60)
    _, leases = store_of("w2").read_leases(60)
    assert [lease.shard for lease in leases] == list(range(64))
    assert (leases[5].owner, leases[5].free) == ("w1", False)
    assert 50 < leases[5].seconds_left <= 60
    assert (leases[6].owner, leases[6].free) == (None, True)


def test_leaving_gives_the_shards_back_and_takes_the_worker_from_the_list(
    database: TestDatabase, store_of: StoreOf
) -> None:
    for worker in ("w1", "w2"):
        store_of(worker).announce("host", 1, "0.1.0")
    store_of("w1").claim([1], lease=60)
    store_of("w1").leave([1])
    assert holders(database)[1] == (None, 1)
    assert [row["id"] for row in database.rows("posthog_workers")] == ["w2"]


@pytest.mark.parametrize("wrong", CLOCKS_GONE_WRONG, ids=["behind", "ahead"])
def test_a_process_whose_clock_is_wrong_neither_loses_nor_steals_a_lease(
    database: TestDatabase, store_of: StoreOf, wrong: datetime
) -> None:
    store_of("w1").claim([1], lease=60)
    with time_machine.travel(wrong):
        store_of("w2").claim([1, 2], lease=60)
        left = [lease.seconds_left for lease in store_of("w2").read_leases(60)[1]]
    store_of("w3").claim([1, 2], lease=60)
    held = holders(database)
    assert (held[1], held[2]) == (("w1", 1), ("w2", 1))
    assert all(50 < left[shard] <= 60 for shard in (1, 2))


@pytest.mark.parametrize("wrong", CLOCKS_GONE_WRONG, ids=["behind", "ahead"])
def test_times_are_the_databases_whatever_the_processs_clock_says(
    database: TestDatabase, store_of: StoreOf, write: WriteEvents, wrong: datetime
) -> None:
    store = store_of("w1")
    before = datetime.now(UTC).timestamp() * 1000
    with time_machine.travel(wrong):
        store.announce("host", 1, "0.1.0")
        store.claim([1], lease=60)
        assert store.heartbeat(lease=60, forget_after=60)
        write(1, "paid")
        store.postpone([1], {1: 1}, 30, "HTTP 503")
    (worker,) = database.rows("posthog_workers")
    (event,) = database.rows("posthog_outbox")
    shard = database.rows("posthog_shards", "shard")[1]
    near = [worker["started_at"], worker["seen_at"], event["created_at"]]
    near += [shard["lease_expires_at"] - 60_000, shard["not_before"] - 30_000]
    assert all(abs(moment - before) < 20_000 for moment in near)


def test_times_do_not_depend_on_the_sessions_time_zone(database: TestDatabase) -> None:
    zones = {
        "sqlite": ["PRAGMA user_version"],
        "postgresql": ["SET TIME ZONE 'Pacific/Kiritimati'", "SET TIME ZONE 'America/Adak'"],
        "mariadb": ["SET time_zone = '+13:00'", "SET time_zone = '-12:00'"],
    }[database.backend]
    now = datetime.now(UTC).timestamp() * 1000
    with database.engine.connect() as connection:
        for zone in zones:
            connection.exec_driver_sql(zone)
            found = connection.scalar(epoch_ms().select())
            assert found is not None
            assert abs(found - now) < 20_000


def test_every_worker_may_hold_some_shards(store_of: StoreOf) -> None:
    for number, shard in product(range(4), range(16)):
        store_of(f"w{number}").claim([number + 4 * shard], lease=60)
    _, leases = store_of("w0").read_leases(60)
    assert {lease.shard: lease.owner for lease in leases} == {shard: f"w{shard % 4}" for shard in range(64)}


DAY = 86_400_000
AHEAD = "UPDATE posthog_shards SET lease_expires_at = lease_expires_at + :day"


class TestAClockThatWasSetBack:
    """Times that are a day ahead are what a clock leaves that was a day ahead."""

    @pytest.mark.parametrize("listed", [True, False], ids=["listed", "not listed"])
    def test_leases_of_a_dead_worker_end(self, database: TestDatabase, store_of: StoreOf, listed: bool) -> None:
        dead, alive = store_of("dead"), store_of("alive")
        if listed:
            dead.announce("host", 1, "1.0.0")
        alive.announce("host", 2, "1.0.0")
        dead.claim([1], lease=30)
        database.execute(AHEAD, day=DAY)
        database.execute("UPDATE posthog_workers SET seen_at = seen_at + :day WHERE id = 'dead'", day=DAY)
        alive.heartbeat(30, 60)
        names, leases = alive.read_leases(30)
        assert 25 < leases[1].seconds_left < 35
        assert sorted(names) == (["alive", "dead"] if listed else ["alive"])
        database.execute("UPDATE posthog_workers SET seen_at = seen_at - 100000 WHERE id = 'dead'")
        alive.heartbeat(30, 60)
        assert alive.read_leases(30)[0] == ["alive"]

    def test_a_worker_that_is_alive_keeps_what_it_has(self, database: TestDatabase, store_of: StoreOf) -> None:
        slow, other = store_of("slow"), store_of("other")
        slow.announce("host", 1, "1.0.0")
        slow.claim([1], lease=900)
        database.execute(AHEAD, day=DAY)
        database.execute("UPDATE posthog_workers SET seen_at = seen_at + :day", day=DAY)
        other.heartbeat(30, 60)
        leases = other.read_leases(30)[1]
        assert leases[1].owner == "slow"
        assert 890 < leases[1].seconds_left < 910, "its lease is longer than the other's"

    def test_long_leases_of_workers_that_are_heard_of_stay(self, database: TestDatabase, store_of: StoreOf) -> None:
        slow, other = store_of("slow"), store_of("other")
        slow.announce("host", 1, "1.0.0")
        slow.claim([1], lease=3000)
        other.heartbeat(30, 60)
        assert other.read_leases(30)[1][1].seconds_left > 2900

    @pytest.mark.parametrize("failed", ["last_error_at + :day", "NULL"])
    def test_a_pause_is_over(
        self, database: TestDatabase, store: DeliveryStore, write: WriteEvents, failed: str
    ) -> None:
        write(1, "a")
        store.postpone([1], {1: 1}, 30, "HTTP 503")
        times = f"SET not_before = not_before + :day, last_error_at = {failed}"
        database.execute(f"UPDATE posthog_shards {times} WHERE shard = 1", day=DAY)
        (ready,) = store.read_ready()
        assert (ready.attempt, ready.wait) == (1, 0.0)
