"""Events: read in order within limits, and taken away, put off or buried under the shard's fence only."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from hogbox._delivery.batch import Waiting
from hogbox._events.escape import unescape
from hogbox._store.capture import CaptureStatements
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import transactional
from hogbox._store.delivery import DeliveryStore, LeaseLost
from hogbox.schema import create_tables
from tests.fixtures.database import TestDatabase, make_database
from tests.fixtures.waiting import wait_until
from tests.store.conftest import StoreOf, WriteEvents

EVERYTHING = 10_000_000


def read(
    store: DeliveryStore, *shards: int, held: Collection[str] = (), events: int = 1000, size: int = EVERYTHING
) -> list[Waiting]:
    return store.read_events(shards, held, events, size).rows


def names(rows: list[Waiting]) -> list[str]:
    return [msgspec.json.decode(row.payload)["event"] for row in rows]


class TestReading:
    def test_events_come_whole_and_in_order(self, store: DeliveryStore, write: WriteEvents) -> None:
        ids = write(3, "first", "second")
        rows = read(store, 3)
        assert [(row.id, row.shard, row.project, row.lane) for row in rows] == [
            (ids[0], 3, "phc_store", "analytics"),
            (ids[1], 3, "phc_store", "analytics"),
        ]
        assert names(rows) == ["first", "second"]
        assert [row.uuid for row in rows] == ["uuid of first", "uuid of second"]

    def test_several_shards_are_read_each_in_its_order(self, store: DeliveryStore, write: WriteEvents) -> None:
        write(1, "1a")
        write(2, "2a")
        write(1, "1b")
        write(3, "3a")
        assert names(read(store, 2, 1)) == ["2a", "1a", "1b"], "few shards: one after the other"
        assert names(read(store, *range(64))) == ["1a", "2a", "1b", "3a"], "many shards: as they were written"

    def test_events_of_held_projects_are_passed_over(self, store: DeliveryStore, write: WriteEvents) -> None:
        write(1, "a", project="phc_held")
        write(1, "b", project="phc_held_too")
        write(1, "c")
        assert names(read(store, 1, held={"phc_held", "phc_held_too"}, events=1)) == ["c"]
        assert names(read(store, 1, held={"phc_held"})) == ["b", "c"]
        assert read(store, 1, held={"phc_held", "phc_held_too", "phc_store"}) == []

    def test_no_shards_give_no_events(self, store: DeliveryStore, write: WriteEvents) -> None:
        write(1, "a")
        assert read(store) == []

    def test_no_more_events_than_asked_for_over_all_shards(self, store: DeliveryStore, write: WriteEvents) -> None:
        write(1, "1a", "1b")
        write(2, "2a", "2b")
        assert names(read(store, 1, 2, events=3)) == ["1a", "1b", "2a"]
        assert names(read(store, 1, 2, events=2)) == ["1a", "1b"]
        assert names(read(store, 1, 2, events=1)) == ["1a"]

    def test_no_more_bytes_than_asked_for_but_for_the_last_event(
        self, store: DeliveryStore, write: WriteEvents
    ) -> None:
        write(1, "1a", "1b", "1c")
        write(2, "2a")
        one = len(read(store, 1)[0].payload)
        for shards in ([1, 2], range(64)):
            assert names(read(store, *shards, size=2 * one)) == ["1a", "1b"]
            assert names(read(store, *shards, size=2 * one + 1)) == ["1a", "1b", "1c"]
            assert names(read(store, *shards, size=4 * one)) == ["1a", "1b", "1c", "2a"]

    def test_at_least_one_event_however_large_it_is(self, store: DeliveryStore, write: WriteEvents) -> None:
        write(1, "x" * 100_000, "small")
        assert names(read(store, 1, size=1)) == ["x" * 100_000]

    @pytest.mark.parametrize("shards", [[1, 2], range(64)], ids=["few shards", "many shards"])
    def test_of_large_events_few_are_looked_at(
        self, store: DeliveryStore, own: Database, write: WriteEvents, shards: Collection[int]
    ) -> None:
        write(1, *["x" * 300_000] * 30)
        asked: list[str] = []

        def note(_: Any, __: Any, sql: str, parameters: Any, *___: Any) -> None:
            if "bytes_before" in sql:
                values = parameters.values() if isinstance(parameters, dict) else parameters
                asked.append("all" if 1000 in values else "few")

        sa.event.listen(own.engine, "before_cursor_execute", note)
        assert len(read(store, *shards, size=1_000_000)) == 2
        assert asked == ["few"]
        write(3, *["small"] * 50)
        found = [store.read_events([3], (), 1000, EVERYTHING) for _ in range(3)]
        assert [(len(rows), more) for rows, more in found] == [(8, True), (32, True), (50, False)]

    def test_bytes_are_counted_not_characters(self, store: DeliveryStore, write: WriteEvents) -> None:
        write(1, *["\N{PILE OF POO}" * 250] * 4)
        write(2, "small")
        assert len(read(store, 1, 2, size=4_000)) == 2
        assert len(read(store, 1, 2, size=8_000)) == 4

    def test_a_shard_without_events_gives_none(self, store: DeliveryStore) -> None:
        assert read(store, 1, 2) == []

    def test_a_payload_that_is_no_event_is_read_all_the_same(
        self, store: DeliveryStore, database: TestDatabase
    ) -> None:
        database.execute(
            "INSERT INTO posthog_outbox (shard, project, lane, payload, created_at) VALUES (1, 'p', 'l', 'broken', 0)"
        )
        assert [(row.payload, row.uuid) for row in read(store, 1)] == [("broken", "")]

    def test_uncommitted_events_are_not_read(self, store: DeliveryStore, own: Database, write: WriteEvents) -> None:
        values = {"shard": 1, "project": "p", "lane": "analytics", "payload": "{}"}
        with transactional(own.engine).connect() as connection:
            connection.execute(CaptureStatements(own.tables).insert_event, values)
            assert read(store, 1) == []
            assert store.count_backlog() == (0, 0)

    def test_an_event_that_commits_late_is_read_next_time(
        self, store: DeliveryStore, own: Database, write: WriteEvents, database: TestDatabase
    ) -> None:
        if database.backend == "sqlite":
            pytest.skip("SQLite has one writer at a time: nothing commits late")
        values = {"shard": 1, "project": "p", "lane": "analytics", "payload": '{"event":"early"}'}
        with transactional(own.engine).connect() as connection:
            connection.execute(CaptureStatements(own.tables).insert_event, values)
            write(1, "late")
            assert names(read(store, 1)) == ["late"]
            connection.commit()
        assert names(read(store, 1)) == ["early", "late"]


def test_a_deadlock_is_tried_again_at_once(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The other transaction has changed more rows, so that the worker's is the one that is undone."""
    with make_database(request, "mariadb", tmp_path) as database:
        create_tables(database.engine)
        own = Database(database.url, "posthog_")
        store = DeliveryStore(own, "w1")
        store.claim([1], lease=60)
        row = {"shard": 1, "project": "p", "lane": "analytics", "payload": "{}"}
        for _ in range(2):
            database.execute(
                "INSERT INTO posthog_outbox (shard, project, lane, payload, created_at) VALUES (1, 'p', 'l', '{}', 0)"
            )
        rows = read(store, 1)
        failed: list[BaseException] = []
        sa.event.listen(own.engine, "handle_error", lambda context: failed.append(context.original_exception))
        with database.engine.connect() as rival, ThreadPoolExecutor() as pool:
            for _ in range(50):
                rival.execute(CaptureStatements(own.tables).insert_event, row)
            lock = sa.text("UPDATE posthog_outbox SET lane = 'x' WHERE id = :id")
            rival.execute(lock, {"id": rows[1].id})
            settled = pool.submit(store.settle, rows, {1: 1})
            wait_until(lambda: database.count("information_schema.INNODB_LOCK_WAITS"), "the worker to wait for the row")
            rival.execute(lock, {"id": rows[0].id})
            rival.rollback()
            settled.result(timeout=30)
        assert [error.args[0] for error in failed] == [1213]
        assert database.count("posthog_outbox") == 0
        own.close()


class TestLooking:
    def test_ready_are_the_workers_own_shards_that_hold_events(self, store_of: StoreOf, write: WriteEvents) -> None:
        store_of("w1").claim([1, 2], lease=60)
        store_of("w2").claim([3], lease=60)
        first, _ = write(1, "a", "b")
        write(3, "c")
        write(4, "d")
        (ready,) = store_of("w1").read_ready()
        assert (ready.shard, ready.fence, ready.attempt, ready.wait, ready.oldest) == (1, 1, 0, 0.0, first)

    def test_a_shard_that_was_put_off_says_how_long_to_wait(self, store: DeliveryStore, write: WriteEvents) -> None:
        write(1, "a")
        store.postpone([1], {1: 1}, 30, "HTTP 503")
        (ready,) = store.read_ready()
        assert ready.attempt == 1
        assert 25 < ready.wait <= 30

    def test_oldest_is_of_every_shard_that_holds_events(self, store_of: StoreOf, write: WriteEvents) -> None:
        (first,) = write(1, "a")
        (second,) = write(9, "b")
        write(1, "c")
        assert store_of("w1").read_oldest() == {1: first, 9: second}

    def test_the_backlog_counts_what_waits_and_names_the_newest(self, store: DeliveryStore, write: WriteEvents) -> None:
        assert store.count_backlog() == (0, 0)
        write(1, "a", "b")
        (last,) = write(2, "c")
        assert store.count_backlog() == (last, 3)


class TestSettling:
    def test_events_of_several_shards_are_taken_away(self, store: DeliveryStore, write: WriteEvents) -> None:
        write(1, "a", "b")
        write(2, "c", "d")
        rows = read(store, 1, 2)
        store.settle([rows[0], rows[2]], {1: 1, 2: 1})
        assert names(read(store, 1, 2)) == ["b", "d"]

    def test_under_another_fence_nothing_is_taken_away(self, store: DeliveryStore, write: WriteEvents) -> None:
        write(1, "a")
        with pytest.raises(LeaseLost):
            store.settle(read(store, 1), {1: 2})
        assert names(read(store, 1)) == ["a"]

    def test_by_another_worker_nothing_is_taken_away(
        self, store: DeliveryStore, store_of: StoreOf, write: WriteEvents
    ) -> None:
        write(1, "a")
        with pytest.raises(LeaseLost):
            store_of("w2").settle(read(store, 1), {1: 1})
        assert names(read(store, 1)) == ["a"]

    def test_after_a_take_over_nothing_is_taken_away(
        self, database: TestDatabase, store: DeliveryStore, store_of: StoreOf, write: WriteEvents
    ) -> None:
        write(1, "a")
        database.execute("UPDATE posthog_shards SET lease_expires_at = 0 WHERE shard = 1")
        store_of("w2").claim([1], lease=60)
        with pytest.raises(LeaseLost):
            store.settle(read(store, 1), {1: 1})
        assert names(read(store, 1)) == ["a"]

    def test_the_shards_that_are_still_held_are_settled_though_another_is_lost(
        self, store: DeliveryStore, write: WriteEvents
    ) -> None:
        write(1, "a")
        write(2, "b")
        with pytest.raises(LeaseLost):
            store.settle(read(store, 1, 2), {1: 1, 2: 9})
        assert names(read(store, 1, 2)) == ["b"]

    def test_what_is_gone_already_counts_as_lost(self, store: DeliveryStore, write: WriteEvents) -> None:
        write(1, "a")
        rows = read(store, 1)
        store.settle(rows, {1: 1})
        with pytest.raises(LeaseLost):
            store.settle(rows, {1: 1})

    def test_a_transaction_of_the_application_that_is_still_open_is_not_waited_for(
        self, request: pytest.FixtureRequest, tmp_path: Any
    ) -> None:
        for backend in ("postgresql", "mariadb"):
            with make_database(request, backend, tmp_path) as database:
                self._settle_beside_an_open_transaction(database)

    @staticmethod
    def _settle_beside_an_open_transaction(database: TestDatabase) -> None:
        create_tables(database.engine)
        impatient = {
            "postgresql": {"options": "-c lock_timeout=1s"},
            "mariadb": {"init_command": "SET innodb_lock_wait_timeout = 1"},
        }[database.backend]
        engine = sa.create_engine(database.url, connect_args=impatient)
        own = Database(engine, "posthog_")
        store = DeliveryStore(own, "w1")
        store.claim([1], lease=60)
        values = {"shard": 1, "project": "p", "lane": "analytics", "payload": '{"event":"a"}'}
        with own.begin() as connection:
            connection.execute(CaptureStatements(own.tables).insert_event, values)
        rows = read(store, 1)
        with engine.connect() as application:
            application.execute(CaptureStatements(own.tables).insert_event, values)
            store.settle(rows, {1: 1})
            application.execute(CaptureStatements(own.tables).insert_event, values)
            application.commit()
        assert len(read(store, 1)) == 2
        engine.dispose()


class TestRetrying:
    @staticmethod
    def state(database: TestDatabase, shard: int) -> tuple[Any, ...]:
        row = database.rows("posthog_shards", "shard")[shard]
        return row["attempt"], row["not_before"] > 0, row["last_error"]

    def test_postponing_counts_attempts_and_keeps_the_error(self, database: TestDatabase, store: DeliveryStore) -> None:
        store.postpone([1, 2], {1: 1, 2: 1}, 5, "HTTP 503")
        store.postpone([2], {2: 1}, 5, "HTTP 500")
        assert self.state(database, 1) == (1, True, "HTTP 503")
        assert self.state(database, 2) == (2, True, "HTTP 500")
        assert self.state(database, 3) == (0, False, None)

    def test_clearing_forgets_the_failures_of_these_shards(self, database: TestDatabase, store: DeliveryStore) -> None:
        store.postpone([1, 2], {1: 1, 2: 1}, 5, "HTTP 503")
        store.clear_retry([1], {1: 1})
        assert self.state(database, 1) == (0, False, None)
        assert self.state(database, 2) == (1, True, "HTTP 503")

    def test_noting_keeps_the_error_and_nothing_else(self, database: TestDatabase, store: DeliveryStore) -> None:
        store.note_error([1], {1: 1}, "token refused")
        assert self.state(database, 1) == (0, False, "token refused")

    @pytest.mark.parametrize("worker", ["w1", "w2"])
    def test_under_another_fence_or_by_another_worker_nothing_is_changed(
        self, database: TestDatabase, store: DeliveryStore, store_of: StoreOf, worker: str
    ) -> None:
        store.postpone([1], {1: 1}, 5, "HTTP 503")
        before = database.rows("posthog_shards", "shard")
        fences = {1: 2} if worker == "w1" else {1: 1}
        store_of(worker).postpone([1], fences, 50, "stale")
        store_of(worker).note_error([1], fences, "stale")
        store_of(worker).clear_retry([1], fences)
        assert database.rows("posthog_shards", "shard") == before

    def test_a_take_over_keeps_what_is_known_of_the_retries(
        self, database: TestDatabase, store: DeliveryStore, store_of: StoreOf
    ) -> None:
        store.postpone([1], {1: 1}, 5, "HTTP 503")
        store.give_back([1])
        store_of("w2").claim([1], lease=60)
        assert self.state(database, 1) == (1, True, "HTTP 503")

    @pytest.mark.parametrize("error", ["NUL \0 here", "\N{PILE OF POO}", "x" * 100_000], ids=["NUL", "emoji", "long"])
    def test_an_error_of_any_text_can_be_kept(self, database: TestDatabase, store: DeliveryStore, error: str) -> None:
        store.postpone([1], {1: 1}, 5, error)
        store.note_error([2], {2: 1}, error)
        rows = database.rows("posthog_shards", "shard")[1:3]
        kept = [unescape(row["last_error"]) for row in rows]
        assert kept == [error.replace("\0", "\N{REPLACEMENT CHARACTER}")[:2000]] * 2


class TestBurying:
    def test_an_event_moves_whole_with_the_reason(
        self, database: TestDatabase, store: DeliveryStore, write: WriteEvents
    ) -> None:
        write(1, "poison", "fine")
        (before, _) = database.rows("posthog_outbox")
        store.bury(read(store, 1)[0], {1: 1}, "HTTP 400: bad", 400)
        (dead,) = database.rows("posthog_dead_letters")
        assert {name: dead[name] for name in before if name != "id"} == {k: v for k, v in before.items() if k != "id"}
        assert (dead["event_uuid"], dead["reason"], dead["status"]) == ("uuid of poison", "HTTP 400: bad", 400)
        assert dead["died_at"] >= dead["created_at"]
        assert names(read(store, 1)) == ["fine"]

    def test_a_status_may_be_unknown(self, database: TestDatabase, store: DeliveryStore, write: WriteEvents) -> None:
        write(1, "poison")
        store.bury(read(store, 1)[0], {1: 1}, "given up", None)
        assert [row["status"] for row in database.rows("posthog_dead_letters")] == [None]

    @pytest.mark.parametrize("worker", ["w1", "w2"])
    def test_under_another_fence_or_by_another_worker_nothing_is_moved(
        self, database: TestDatabase, store: DeliveryStore, store_of: StoreOf, write: WriteEvents, worker: str
    ) -> None:
        write(1, "poison")
        with pytest.raises(LeaseLost):
            store_of(worker).bury(read(store, 1)[0], {1: 2 if worker == "w1" else 1}, "HTTP 400", 400)
        assert (database.count("posthog_outbox"), database.count("posthog_dead_letters")) == (1, 0)

    def test_what_is_gone_already_is_not_buried_again(
        self, database: TestDatabase, store: DeliveryStore, write: WriteEvents
    ) -> None:
        write(1, "poison")
        row = read(store, 1)[0]
        store.bury(row, {1: 1}, "HTTP 400", 400)
        with pytest.raises(LeaseLost):
            store.bury(row, {1: 1}, "HTTP 400", 400)
        assert database.count("posthog_dead_letters") == 1

    def test_a_reason_of_any_text_can_be_kept(
        self, database: TestDatabase, store: DeliveryStore, write: WriteEvents
    ) -> None:
        write(1, "poison")
        store.bury(read(store, 1)[0], {1: 1}, "NUL \0 here" + "x" * 100_000, 400)
        (dead,) = database.rows("posthog_dead_letters")
        assert unescape(dead["reason"]).startswith("NUL \N{REPLACEMENT CHARACTER} here")


class TestIdentity:
    def test_ids_are_never_used_again(self, store: DeliveryStore, write: WriteEvents) -> None:
        ids = write(1, "a", "b", "c")
        store.settle(read(store, 1), {1: 1})
        more = write(1, "d")
        assert more[0] > max(ids)
        assert ids == sorted(set(ids))

    def test_ids_of_dead_letters_are_never_used_again(
        self, database: TestDatabase, store: DeliveryStore, write: WriteEvents
    ) -> None:
        write(1, "a", "b")
        for row in read(store, 1):
            store.bury(row, {1: 1}, "HTTP 400", 400)
        last = database.rows("posthog_dead_letters")[-1]["id"]
        database.execute("DELETE FROM posthog_dead_letters")
        write(1, "c")
        store.bury(read(store, 1)[0], {1: 1}, "HTTP 400", 400)
        assert database.rows("posthog_dead_letters")[0]["id"] > last


class TestEngines:
    """Applications set their engines up in their own ways."""

    def test_an_engine_that_begins_transactions_by_an_event_keeps_what_a_worker_does(
        self, sqlite_database: TestDatabase
    ) -> None:
        engine = sa.create_engine(sqlite_database.url)
        begin_by_hand(engine)
        store = DeliveryStore(Database(engine, "posthog_"), "w1")
        store.announce("host", 1, "0.1.0")
        store.claim([1], lease=60)
        sqlite_database.execute(
            "INSERT INTO posthog_outbox (shard, project, lane, payload, created_at) VALUES (1, 'p', 'l', '{}', 0)"
        )
        store.settle(read(store, 1), {1: 1})
        assert sqlite_database.count("posthog_outbox") == 0
        assert sqlite_database.count("posthog_workers") == 1
        engine.dispose()

    @pytest.mark.parametrize("level", ["SERIALIZABLE", "AUTOCOMMIT"])
    def test_any_isolation_will_do(self, database: TestDatabase, write: WriteEvents, level: Any) -> None:
        engine = sa.create_engine(database.url, isolation_level=level)
        store = DeliveryStore(Database(engine, "posthog_"), "w1")
        store.claim([1], lease=60)
        write(1, "poison", "fine")
        poison, fine = read(store, 1)
        with pytest.raises(LeaseLost):
            store.bury(poison, {1: 9}, "HTTP 400", 400)
        assert (database.count("posthog_outbox"), database.count("posthog_dead_letters")) == (2, 0)
        store.bury(poison, {1: 1}, "HTTP 400", 400)
        store.settle([fine], {1: 1})
        assert (database.count("posthog_outbox"), database.count("posthog_dead_letters")) == (0, 1)
        engine.dispose()


def begin_by_hand(engine: sa.Engine) -> None:
    """SQLAlchemy's documented way to real transactions with sqlite3."""

    @sa.event.listens_for(engine, "connect")
    def connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")
