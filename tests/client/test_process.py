"""Several threads and several processes with one client (P8)."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest
from sqlalchemy.orm import Session

from hogbox import PostHog
from hogbox._store.connections.database import Database
from hogbox._store.connections.fork_gate import ForkGate
from tests.client.conftest import TOKEN
from tests.fixtures.database import TestDatabase
from tests.fixtures.waiting import wait_until


def in_child(act: Callable[[], object]) -> None:
    """Run in a forked child, which ends at once; fails where it fails."""
    child = os.fork()
    if child == 0:
        signal.alarm(25)  # one that hangs fails
        try:
            act()
        except BaseException as error:
            os.write(2, f"in the child: {error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("own_engine", [False, True], ids=["URL", "engine"])
def test_capturing_goes_on_in_a_forked_child_and_in_the_parent(any_database: TestDatabase, own_engine: bool) -> None:
    source = any_database.engine if own_engine else any_database.url
    with PostHog(source, project_token=TOKEN) as posthog:
        posthog.capture(None, "before", distinct_id="u1")

        def capture() -> None:
            for number in range(3):
                posthog.capture(None, f"child {number}", distinct_id="u1")

        in_child(capture)
        posthog.capture(None, "after", distinct_id="u1")
        in_child(capture)
        posthog.capture(None, "at last", distinct_id="u1")
    names = [event["event"] for event in any_database.events()]
    child = ["child 0", "child 1", "child 2"]
    assert names == ["before", *child, "after", *child, "at last"]


def test_a_transaction_of_the_parent_that_is_open_at_the_fork_stays_the_parents(any_database: TestDatabase) -> None:
    if any_database.backend == "sqlite":
        pytest.skip("SQLite has one writer at a time: the child would wait for the parent, which waits for the child")
    with PostHog(any_database.engine, project_token=TOKEN) as posthog, Session(any_database.engine) as session:
        posthog.capture(session, "parent", distinct_id="u1")
        in_child(lambda: posthog.capture(None, "child", distinct_id="u1"))
        session.commit()
    assert sorted(event["event"] for event in any_database.events()) == ["child", "parent"]


def test_the_applications_own_engine_leaves_the_parents_connections_alone_in_a_child(
    any_database: TestDatabase,
) -> None:
    engine = any_database.engine
    with PostHog(engine, project_token=TOKEN) as posthog:
        posthog.capture(None, "parent", distinct_id="u1")
        pooled = engine.pool
        assert pooled.checkedin() > 0  # type: ignore[attr-defined]

        def use_it_before_hogbox_does() -> None:
            assert engine.pool is not pooled
            with engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")

        in_child(use_it_before_hogbox_does)
        assert engine.pool is pooled


def test_uuids_of_parent_and_child_differ(any_database: TestDatabase) -> None:
    with PostHog(any_database.url, project_token=TOKEN) as posthog:
        posthog.capture(None, "parent", distinct_id="u1")
        in_child(lambda: posthog.capture(None, "child", distinct_id="u1"))
        posthog.capture(None, "parent", distinct_id="u1")
    assert len({event["uuid"] for event in any_database.events()}) == 3


def test_a_child_of_a_process_with_a_worker_thread_captures_and_shuts_down(any_database: TestDatabase) -> None:
    with PostHog(any_database.url, project_token=TOKEN, host="http://127.0.0.1:9") as posthog:
        posthog.start()

        def act() -> None:
            posthog.capture(None, "child", distinct_id="u1")
            posthog.shutdown()

        in_child(act)
    assert [event["event"] for event in any_database.events()] == ["child"]


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_p8_children_forked_while_threads_write_to_sqlite_are_not_locked_out(
    sqlite_database: TestDatabase, journal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine one commit may take longer than the second that a fork waits.
    monkeypatch.setattr(ForkGate.__init__, "__defaults__", (30.0,))
    database = sqlite_database
    database.execute(f"PRAGMA journal_mode = {journal}")
    for number in range(8):
        with PostHog(database.url, project_token=TOKEN, host="http://127.0.0.1:9") as posthog, writing(posthog):
            posthog.start()
            in_child(lambda client=posthog: client.capture(None, "child", distinct_id="u1"))  # type: ignore[misc]
        assert [event["event"] for event in database.events()].count("child") == number + 1


@contextmanager
def writing(posthog: PostHog) -> Iterator[None]:
    """A thread captures one event after the other meanwhile."""
    ended, begun = threading.Event(), threading.Event()

    def write() -> None:
        while not ended.is_set():
            posthog.capture(None, "parent", distinct_id="u2")
            begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert begun.wait(30)
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_fork_waits_until_other_threads_are_out_of_hogboxs_connections(any_database: TestDatabase) -> None:
    with closing(Database(any_database.url, "posthog_")) as database:
        inside, committed = threading.Event(), threading.Event()

        def hold() -> None:
            with database.begin():
                inside.set()
                wait_until(lambda: bool(database.gate._forking), "the fork to begin")
            committed.set()

        thread = threading.Thread(target=hold)
        thread.start()
        assert inside.wait(30)

        def see() -> None:
            assert committed.is_set() or not database.gate._holders
            with database.begin():
                pass

        in_child(see)
        thread.join()
        with database.begin():
            pass


def test_a_fork_waits_no_longer_than_its_patience() -> None:
    gate, inside, ended = ForkGate(patience=0.01), threading.Event(), threading.Event()

    def stay() -> None:
        with gate.passing():
            inside.set()
            ended.wait(30)

    thread = threading.Thread(target=stay)
    thread.start()
    assert inside.wait(30)
    assert not gate.close()
    with gate.passing():  # the forking thread is not stopped by itself
        pass
    gate.open()
    ended.set()
    thread.join()
    assert gate.close()
    gate.open()


def test_a_thread_that_is_inside_of_a_connection_may_open_another_while_a_fork_waits() -> None:
    gate, forked = ForkGate(), threading.Event()
    gate.hold(1)

    def fork() -> None:
        assert gate.close()
        gate.open()
        forked.set()

    thread = threading.Thread(target=fork)
    thread.start()
    wait_until(lambda: bool(gate._forking), "the fork to begin")
    with gate.passing():
        pass
    gate.release(1)
    thread.join()
    assert forked.is_set()


def test_eight_threads_capture_through_one_client(any_database: TestDatabase) -> None:
    errors: list[BaseException] = []
    with PostHog(any_database.url, project_token=TOKEN, before_send=lambda e: e if e["event"] else None) as posthog:

        def work(number: int) -> None:
            try:
                for step in range(10):
                    posthog.capture(None, f"{number}-{step}", distinct_id=f"u{number}")
                with Session(any_database.engine) as session, session.begin():
                    posthog.capture(session, f"{number}-10", distinct_id=f"u{number}")
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert errors == []
    events = any_database.events()
    assert len({event["uuid"] for event in events}) == len(events) == 88
    for number in range(8):
        own = [event["event"] for event in events if event["distinct_id"] == f"u{number}"]
        assert own == [f"{number}-{step}" for step in range(11)]


def test_counts_of_many_threads_add_up(any_database: TestDatabase) -> None:
    posthog = PostHog(project_token=TOKEN, disabled=True)
    threads = [threading.Thread(target=lambda: [posthog.capture(None, "paid") for _ in range(200)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert posthog.discarded.disabled == 1600
