"""Marks on PostgreSQL: reads begin behind what was delivered, and never behind what may still be committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from hogbox import PostHog
from hogbox._store.connections.database import Database
from hogbox._store.delivery import DeliveryStore
from hogbox._store.inspection.measure import MeasureStore
from hogbox._store.inspection.status import StatusStore
from hogbox._store.shards.mark import MarkStore
from hogbox.emulator import Emulator
from hogbox.schema import create_tables
from tests.fixtures.database import SharedDatabases, TestDatabase, make_database
from tests.fixtures.waiting import wait_until
from tests.store.test_event import names, read

INTO = "INSERT INTO posthog_outbox (shard, project, lane, payload, created_at)"


@pytest.fixture
def database(emptied: SharedDatabases) -> TestDatabase:
    return emptied("postgresql")


@pytest.fixture
def own(database: TestDatabase) -> Iterator[Database]:
    opened = Database(database.url, "posthog_")
    yield opened
    opened.close()


@pytest.fixture
def store(own: Database) -> DeliveryStore:
    store = DeliveryStore(own, "w1")
    store.claim(range(64), lease=60)
    return store


@pytest.fixture
def marks(own: Database) -> MarkStore:
    return MarkStore(own, "w1")


def insert(connection: sa.Connection, name: str, shard: int = 1) -> None:
    payload = f'{{"event":"{name}"}}'
    values = {"shard": shard, "project": "p", "lane": "analytics", "payload": payload}
    connection.execute(sa.text(f"{INTO} VALUES (:shard, :project, :lane, :payload, 0)"), values)


def write(database: TestDatabase, name: str, shard: int = 1) -> None:
    with database.engine.begin() as connection:
        insert(connection, name, shard)


def write_many(database: TestDatabase, count: int) -> None:
    some = f"SELECT n % 64, 'p', 'analytics', '{{}}', 0 FROM generate_series(1, {count}) n"
    database.execute(f"{INTO} {some}")


def deliver(store: DeliveryStore) -> list[str]:
    """Everything that can be read now, taken away."""
    rows = read(store, *range(64))
    fences = {one.shard: one.fence for one in store.read_ready()}
    assert {row.shard for row in rows} == set(fences)
    store.settle(rows, fences)
    return names(rows)


def mark(database: TestDatabase, shard: int = 1) -> int | None:
    found: int | None = database.rows("posthog_shards", "shard")[shard]["read_from"]
    return found


def last_id(database: TestDatabase) -> int:
    with database.engine.connect() as connection:
        return connection.scalar(sa.text("SELECT last_value FROM posthog_outbox_id_seq")) or 0


def moved(marks: MarkStore) -> bool:
    """Move the marks however little there is to pass."""
    marks.renew()
    return marks.advance()


class TestOrder:
    def test_p4_an_event_that_is_committed_late_goes_before_a_later_one_though_others_were_passed(
        self, database: TestDatabase, store: DeliveryStore, marks: MarkStore
    ) -> None:
        with database.engine.connect() as late:
            insert(late, "early")
            write(database, "of somebody else")
            assert deliver(store) == ["of somebody else"]
            assert not moved(marks)
            assert not moved(marks)
            late.commit()
        write(database, "later")
        assert deliver(store) == ["early", "later"]
        assert moved(marks)
        assert mark(database) == last_id(database) + 1

    def test_p4_an_event_waits_whose_transaction_has_an_id_for_it_and_no_number_of_its_own_yet(
        self, database: TestDatabase, store: DeliveryStore, marks: MarkStore
    ) -> None:
        """A trigger runs after the id was taken, and before PostgreSQL gives the transaction its number."""
        blocked = (
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF NEW.payload LIKE '%early%' THEN PERFORM pg_advisory_xact_lock(77); END IF; RETURN NEW; END $$"
        )
        database.execute(blocked)
        database.execute("CREATE TRIGGER wait BEFORE INSERT ON posthog_outbox FOR EACH ROW EXECUTE FUNCTION wait()")
        try:
            with database.engine.connect() as gate, ThreadPoolExecutor(1) as pool:
                before = last_id(database)
                gate.exec_driver_sql("SELECT pg_advisory_lock(77)")
                early = pool.submit(write, database, "early")
                wait_until(lambda: last_id(database) > before, "the id")
                write(database, "of somebody else")
                assert deliver(store) == ["of somebody else"]
                assert not moved(marks)
                assert not moved(marks)
                gate.exec_driver_sql("SELECT pg_advisory_unlock(77)")
                early.result(timeout=30)
        finally:
            database.execute("DROP TRIGGER wait ON posthog_outbox")
            database.execute("DROP FUNCTION wait()")
        write(database, "later")
        assert deliver(store) == ["early", "later"]

    def test_p4_a_transaction_that_began_to_write_in_a_savepoint_is_waited_for(
        self, database: TestDatabase, store: DeliveryStore, marks: MarkStore
    ) -> None:
        with database.engine.connect() as late:
            late.begin()
            with late.begin_nested():
                insert(late, "early")
            write(database, "of somebody else")
            deliver(store)
            assert not moved(marks)
            late.commit()
        write(database, "later")
        assert deliver(store) == ["early", "later"]

    def test_p4_a_transaction_that_is_prepared_is_waited_for_under_its_new_name(
        self, database: TestDatabase, store: DeliveryStore, marks: MarkStore
    ) -> None:
        with database.engine.connect() as connection:
            if connection.scalar(sa.text("SHOW max_prepared_transactions")) == "0":
                pytest.skip("this server takes no prepared transactions (max_prepared_transactions)")
        with database.engine.connect() as late:
            insert(late, "early")
            write(database, "of somebody else")
            deliver(store)
            assert not moved(marks)
            late.exec_driver_sql("PREPARE TRANSACTION 'hogbox late'")
        assert not moved(marks)
        assert not moved(marks)
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as other:
            other.exec_driver_sql("COMMIT PREPARED 'hogbox late'")
        write(database, "later")
        assert deliver(store) == ["early", "later"]
        assert moved(marks)

    @pytest.mark.parametrize("seed", range(6))
    def test_p4_every_read_finds_all_that_was_committed_whatever_the_transactions_do(
        self, database: TestDatabase, store: DeliveryStore, marks: MarkStore, seed: int
    ) -> None:
        chance = Random(seed)
        waiting: set[str] = set()
        open_ones: dict[sa.Connection, set[str]] = {}
        with ExitStack() as stack:
            idle = [stack.enter_context(database.engine.connect()) for _ in range(4)]
            for step in range(150):
                what = chance.choice(["insert", "insert", "end", "deliver", "advance", "advance"])
                if what == "insert":
                    connection = chance.choice([*open_ones, *idle])
                    idle = [one for one in idle if one is not connection]
                    insert(connection, f"event {step}", chance.randrange(3))
                    open_ones.setdefault(connection, set()).add(f"event {step}")
                elif what == "end" and open_ones:
                    connection = chance.choice([*open_ones])
                    written = open_ones.pop(connection)
                    idle.append(connection)
                    if chance.random() < 0.7:
                        connection.commit()
                        waiting |= written
                    else:
                        connection.rollback()
                elif what == "advance":
                    moved(marks)
                elif what == "deliver":
                    rows = read(store, 0, 1, 2) if chance.random() < 0.5 else read(store, *range(64))
                    assert set(names(rows)) == waiting
                    assert len(store.read_oldest()) == len({row.shard for row in rows})
                    some = [row for row in rows if chance.random() < 0.7]
                    store.settle(some, dict.fromkeys(range(3), 1))
                    waiting -= set(names(some))


class TestMoving:
    def test_marks_pass_what_was_delivered(
        self, database: TestDatabase, store: DeliveryStore, marks: MarkStore
    ) -> None:
        write(database, "a", shard=1)
        write(database, "b", shard=2)
        deliver(store)
        assert moved(marks)
        assert {mark(database, shard) for shard in range(64)} == {last_id(database) + 1}

    def test_an_event_that_waits_is_the_mark_of_its_shard_alone(
        self, database: TestDatabase, store: DeliveryStore, marks: MarkStore
    ) -> None:
        write(database, "waits", shard=1)
        waits = last_id(database)
        write(database, "b", shard=2)
        assert moved(marks)
        assert (mark(database, 1), mark(database, 3)) == (waits, last_id(database) + 1)
        assert names(read(store, *range(64))) == ["waits", "b"]
        assert moved(marks)
        assert mark(database, 1) == waits

    def test_marks_are_written_when_there_is_something_to_pass(
        self, database: TestDatabase, store: DeliveryStore, marks: MarkStore
    ) -> None:
        assert moved(marks)
        write(database, "a")
        deliver(store)
        assert not marks.advance()
        write_many(database, 1000)
        assert marks.advance()

    def test_only_a_workers_own_shards_are_written(self, database: TestDatabase, own: Database) -> None:
        DeliveryStore(own, "w1").claim([1], lease=60)
        write(database, "a", shard=2)
        assert moved(MarkStore(own, "w1"))
        assert (mark(database, 1), mark(database, 2)) == (last_id(database) + 1, None)

    def test_an_old_snapshot_and_a_writer_of_other_tables_are_not_waited_for(
        self, database: TestDatabase, store: DeliveryStore, marks: MarkStore
    ) -> None:
        with database.engine.connect() as dump, database.engine.connect() as report:
            dump.execution_options(isolation_level="REPEATABLE READ").exec_driver_sql("SELECT 1 FROM posthog_outbox")
            report.exec_driver_sql("CREATE TEMPORARY TABLE results AS SELECT 1 AS one")
            write(database, "a")
            assert moved(marks)
            dump.rollback()

    def test_a_savepoint_that_was_rolled_back_is_not_waited_for(
        self, database: TestDatabase, store: DeliveryStore, marks: MarkStore
    ) -> None:
        with database.engine.connect() as connection:
            connection.begin()
            with connection.begin_nested() as savepoint:
                insert(connection, "never")
                savepoint.rollback()
            assert moved(marks)

    @pytest.mark.parametrize("prelude", ["LOCK TABLE posthog_outbox IN SHARE ROW EXCLUSIVE MODE", "SELECT 1"])
    def test_locks_of_both_kinds_are_seen(
        self, database: TestDatabase, store: DeliveryStore, marks: MarkStore, prelude: str
    ) -> None:
        """PostgreSQL notes most locks with their process, and those that others might wait for in a common table."""
        with database.engine.connect() as connection:
            connection.exec_driver_sql(prelude)
            insert(connection, "early")
            assert not moved(marks)

    def test_a_watch_is_worth_nothing_after_a_restart(
        self, database: TestDatabase, store: DeliveryStore, marks: MarkStore
    ) -> None:
        with database.engine.connect() as late:
            insert(late, "early")
            assert not moved(marks)
            marks._server = "another one"
            assert not moved(marks)
            late.commit()
        assert moved(marks)


class TestNoMarks:
    """Where ids say nothing of what may still be committed, reads are as they are without marks."""

    @pytest.mark.parametrize(
        "change",
        [
            "ALTER SEQUENCE posthog_outbox_id_seq CACHE 20",
            "ALTER SEQUENCE posthog_outbox_id_seq INCREMENT 2",
            "ALTER SEQUENCE posthog_outbox_id_seq CYCLE",
            "CREATE TABLE part () INHERITS (posthog_outbox)",
        ],
    )
    def test_ids_that_are_not_handed_out_one_by_one(
        self, request: pytest.FixtureRequest, tmp_path: Path, change: str
    ) -> None:
        with make_database(request, "postgresql", tmp_path) as database:
            create_tables(database.engine)
            database.execute(change)
            own = Database(database.engine, "posthog_")
            store, marks = DeliveryStore(own, "w1"), MarkStore(own, "w1")
            store.claim(range(64), lease=60)
            write(database, "a")
            assert not moved(marks)
            assert mark(database) is None
            assert deliver(store) == ["a"]

    @pytest.mark.parametrize("backend", ["sqlite", "mariadb"])
    def test_databases_that_do_not_tell_who_writes(self, emptied: SharedDatabases, backend: str) -> None:
        database = emptied(backend)
        with closing(Database(database.url, "posthog_")) as own:
            DeliveryStore(own, "w1").claim(range(64), lease=60)
            write(database, "a")
            marks = MarkStore(own, "w1")
            assert not moved(marks)
            marks.verify(64)
        assert mark(database) is None


class TestIdsBelowTheMark:
    def test_an_event_with_an_id_that_somebody_wrote_is_found(
        self, database: TestDatabase, store: DeliveryStore, marks: MarkStore
    ) -> None:
        write(database, "a", shard=5)
        deliver(store)
        assert moved(marks)
        by_hand = f"{INTO} OVERRIDING SYSTEM VALUE".replace("(shard", "(id, shard")
        database.execute(f"{by_hand} VALUES (-7, 5, 'p', 'l', :payload, 0)", payload='{"event":"b"}')
        assert read(store, *range(64)) == []
        for _ in range(8):
            marks.verify(8)
        assert deliver(store) == ["b"]
        assert (mark(database, 4), mark(database, 5)) == (last_id(database) + 1, None)

    def test_ids_that_begin_again_are_noticed_at_once(
        self, request: pytest.FixtureRequest, tmp_path: Path, emulator: Emulator
    ) -> None:
        with make_database(request, "postgresql", tmp_path) as database:
            create_tables(database.engine)
            with PostHog(database.url, project_token="phc_again", host=emulator.url) as posthog:
                for number in range(3):
                    posthog.capture(None, f"event {number}", distinct_id="u1")
                assert posthog.deliver().delivered == 3
                assert mark(database) == 4
                database.execute("TRUNCATE posthog_outbox RESTART IDENTITY")
                posthog.capture(None, "the first one again", distinct_id="u1")
                assert posthog.deliver().delivered == 1


READS: dict[str, Callable[[DeliveryStore], object]] = {
    "poll": lambda store: store.read_ready(),
    "all shards": lambda store: store.read_events(range(64), (), 1000, 5_000_000),
    "one shard": lambda store: store.read_events([5], (), 1000, 5_000_000),
    "drain": lambda store: (store.count_backlog(), store.read_oldest()),
    "status": lambda store: StatusStore(store._database).read(),
    "metrics": lambda store: MeasureStore(store._database).read(),
}


@pytest.fixture(scope="module")
def crowded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """An outbox through which many events went beside an old snapshot, which is still there."""
    with make_database(request, "postgresql", tmp_path_factory.mktemp("crowded")) as database:
        create_tables(database.engine)
        with database.engine.connect() as old, closing(Database(database.engine, "posthog_")) as own:
            old.execution_options(isolation_level="REPEATABLE READ").exec_driver_sql("SELECT 1")
            write_many(database, 50_000)
            database.execute("DELETE FROM posthog_outbox")
            database.execute("ANALYZE posthog_outbox")
            DeliveryStore(own, "w1").claim(range(64), lease=60)
            assert moved(MarkStore(own, "w1"))
            write(database, "waits", shard=5)
            yield own
            old.rollback()


@pytest.mark.parametrize("name", READS)
def test_a_read_beside_an_old_snapshot_looks_at_few_pages(crowded: Database, name: str) -> None:
    assert sum(pages(crowded, name)) < 600


def pages(own: Database, name: str) -> list[int]:
    """The pages that each statement of a read looks at, without those that move the marks."""
    looked: list[int] = []

    def explain(connection: sa.Connection, _: Any, sql: str, parameters: Any, *__: Any) -> None:
        if "posthog_outbox" in sql and sql.startswith("SELECT"):
            cursor = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", parameters)
            ((plan,),) = (row[0] for row in cursor)
            looked.append(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])

    sa.event.listen(own.engine, "before_cursor_execute", explain)
    READS[name](DeliveryStore(own, "w1"))
    sa.event.remove(own.engine, "before_cursor_execute", explain)
    assert looked
    return looked
