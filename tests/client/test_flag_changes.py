"""Reacting to changed flags: what is told, to whom, and what exists meanwhile."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest
import sqlalchemy as sa

from hogbox import AsyncPostHog, FlagChanges, FlagResultChange, PostHog
from hogbox.errors import InvalidPerson, MissingDistinctId, UsageError
from hogbox.flags import Reason
from tests.client.conftest import TOKEN
from tests.client.test_process import in_child
from tests.emulator.flag_case import definitions, flag, where
from tests.fixtures.database import TestDatabase, make_database
from tests.fixtures.stored import store
from tests.fixtures.waiting import wait_until

SOON = 10.0
BRIEF = 0.05
"""The shortest interval."""

Queue = SimpleQueue[Any]


def document(*keys: str, **shared: Any) -> dict[str, Any]:
    return definitions(*map(flag, keys), **shared)


@pytest.fixture
def posthog(database: TestDatabase) -> Iterator[PostHog]:
    with PostHog(database.url, project_token=TOKEN, definitions_max_age=BRIEF) as posthog:
        yield posthog


@contextmanager
def outage(database: TestDatabase) -> Iterator[None]:
    """Every look fails for as long as the block lasts."""
    database.execute("ALTER TABLE posthog_flag_definitions RENAME TO moved")
    try:
        yield
    finally:
        database.execute("ALTER TABLE moved RENAME TO posthog_flag_definitions")


def watches() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "hogbox-flags"]


def heard(queue: Queue) -> Any:
    return queue.get(timeout=SOON)


def silent(posthog: PostHog, queue: Queue) -> bool:
    """Whether nothing is told of what is stored now, though the watch has looked at it."""
    with posthog.flag_changes() as changes:
        changes.wait(4 * BRIEF)
    with pytest.raises(Empty):
        queue.get_nowait()
    return True


def test_what_is_added_removed_and_changed_is_told(any_database: TestDatabase) -> None:
    queue: Queue = SimpleQueue()
    with PostHog(any_database.url, project_token=TOKEN, definitions_max_age=BRIEF) as posthog:
        posthog.on_flags_changed(queue.put)
        store(any_database, TOKEN, document("a", "b"))
        assert heard(queue) == FlagChanges(("a", "b"), (), (), None, 1)
        store(any_database, TOKEN, definitions(flag("b", where("plan", "pro")), flag("c")))
        change = heard(queue)
        assert change == FlagChanges(("c",), ("a",), ("b",), 1, 2)
        assert sorted(change.keys) == ["a", "b", "c"]
        store(any_database, TOKEN, definitions(flag("b", where("plan", "pro")), flag("c"), cohorts={"1": {}}))
        assert heard(queue) == FlagChanges((), (), ("b", "c"), 2, 3)
        any_database.execute("DELETE FROM posthog_flag_definitions")
        change = heard(queue)
        assert (sorted(change.removed), change.old_revision, change.new_revision) == (["b", "c"], 3, None)


def test_what_changes_between_two_looks_is_one_change(posthog: PostHog, database: TestDatabase) -> None:
    store(database, TOKEN, document("a"))
    with posthog.flag_changes() as changes:
        for key in ("b", "c", "d"):
            store(database, TOKEN, document(key))
        assert changes.wait(SOON) == FlagChanges(("d",), ("a",), (), 1, 4)
        assert changes.wait(2 * BRIEF) is None


def test_a_stream_begins_with_what_the_process_knows(posthog: PostHog, database: TestDatabase) -> None:
    store(database, TOKEN, document("a"))
    assert posthog.get_feature_flag(None, "a", distinct_id="u1") is True
    changes = posthog.flag_changes()
    store(database, TOKEN, document("b"))
    assert next(changes) == FlagChanges(("b",), ("a",), (), 1, 2)


def test_the_same_definitions_and_those_that_cannot_be_read_are_no_change(
    posthog: PostHog, database: TestDatabase
) -> None:
    store(database, TOKEN, document("a"))
    queue: Queue = SimpleQueue()
    with posthog.on_flags_changed(queue.put), posthog.on_flag_changed("a", queue.put, distinct_id="u1"):
        for text in (document("a"), "no definitions"):
            store(database, TOKEN, text)
            assert silent(posthog, queue)
        store(database, TOKEN, document("b"))
        first, second = heard(queue), heard(queue)
        assert first == FlagChanges(("b",), ("a",), (), 2, 4)
        assert second.new.reason == Reason.UNKNOWN_FLAG


def test_one_persons_flag_is_told_when_its_answer_changes(posthog: PostHog, database: TestDatabase) -> None:
    queue: Queue = SimpleQueue()
    about: dict[str, Any] = {"distinct_id": "ada", "person_properties": {"plan": "pro"}}
    posthog.on_flag_changed("new", queue.put, **about)
    store(database, TOKEN, definitions(flag("new", where("plan", "pro"))))
    change = heard(queue)
    assert isinstance(change, FlagResultChange)
    assert (change.key, change.distinct_id, change.revision) == ("new", "ada", 1)
    assert (change.old.value, change.old.reason, change.new.value) == (None, Reason.NO_DEFINITIONS, True)
    store(database, TOKEN, definitions(flag("new", where("plan", "pro"), where("plan", "none")), flag("other")))
    assert silent(posthog, queue)
    store(database, TOKEN, definitions(flag("new", where("plan", "pro"), filters={"payloads": {"true": "7"}})))
    change = heard(queue)
    assert (change.old.value, change.new.value, change.old.payload, change.new.payload) == (True, True, None, 7)
    store(database, TOKEN, definitions(flag("new", where("plan", "none"))))
    assert heard(queue).new.value is False
    assert database.events() == []


def test_an_answer_changes_with_the_time_too(posthog: PostHog, database: TestDatabase) -> None:
    queue: Queue = SimpleQueue()
    store(database, TOKEN, definitions(flag("old", where("since", "-1h", "is_date_before"))))
    since = datetime.now(UTC) - timedelta(hours=1, seconds=-0.5)
    posthog.on_flag_changed("old", queue.put, distinct_id="ada", person_properties={"since": since})
    change = heard(queue)
    assert (change.old.value, change.new.value) == (False, True)


def test_a_callback_that_raises_is_logged_and_the_others_are_called(
    posthog: PostHog, database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    queue: Queue = SimpleQueue()

    def fail(_: FlagChanges) -> None:
        raise SystemExit("of the application")

    posthog.on_flags_changed(fail)
    posthog.on_flags_changed(queue.put)
    for number in range(2):
        store(database, TOKEN, document(f"a{number}"))
        heard(queue)
    assert caplog.text.count("a callback for changed flags failed") == 2


def test_callbacks_may_read_flags_close_themselves_and_shut_the_client_down(
    posthog: PostHog, database: TestDatabase
) -> None:
    queue: Queue = SimpleQueue()

    def read(change: FlagChanges) -> None:
        queue.put([posthog.get_feature_flag(None, key, distinct_id="u1") for key in change.keys])
        mine.close()

    mine = posthog.on_flags_changed(read)
    other = posthog.on_flags_changed(queue.put)
    store(database, TOKEN, document("a"))
    assert heard(queue) == [True]
    assert heard(queue) == FlagChanges(("a",), (), (), None, 1)
    assert mine.closed
    other.close()

    def shut_down(_: FlagChanges) -> None:
        posthog.shutdown()
        queue.put("shut down")

    posthog.on_flags_changed(shut_down)
    store(database, TOKEN, document("b"))
    assert heard(queue) == "shut down"
    wait_until(lambda: not watches(), "the end of the thread")


def test_a_thread_exists_only_while_somebody_listens(posthog: PostHog, database: TestDatabase) -> None:
    store(database, TOKEN, document("a"))
    posthog.get_feature_flag(None, "a", distinct_id="u1")
    posthog.flag_changes()
    assert not watches()
    one, other = posthog.on_flags_changed(print), posthog.on_flags_changed(print)
    assert len(watches()) == 1
    one.close()
    one.close()
    assert len(watches()) == 1
    other.close()
    wait_until(lambda: not watches(), "the end of the thread")
    with posthog.on_flags_changed(print) as again:
        assert len(watches()) == 1
        posthog.shutdown()
        assert again.closed
        assert not watches()


def test_a_disabled_client_notices_nothing_and_runs_nothing(database: TestDatabase) -> None:
    with PostHog(database.url, project_token=TOKEN, disabled=True) as posthog:
        posthog.on_flags_changed(print)
        posthog.on_flag_changed("a", print, distinct_id="u1")
        assert posthog.flag_changes(interval=BRIEF).wait(3 * BRIEF) is None
        assert not watches()


def test_a_thousand_callbacks_share_the_looks_and_the_comparison(posthog: PostHog, database: TestDatabase) -> None:
    queue: Queue = SimpleQueue()
    statements: list[str] = []
    for _ in range(1000):
        posthog.on_flags_changed(queue.put)
    engine = posthog._components.database.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    began = time.monotonic()
    store(database, TOKEN, document("a"))
    changes = [heard(queue) for _ in range(1000)]
    looks = (time.monotonic() - began) / (BRIEF / 2) + 2
    assert set(changes) == {FlagChanges(("a",), (), (), None, 1)}
    assert len(watches()) == 1
    assert len(statements) <= 2 * looks


def test_two_clients_in_one_process_are_told_each_of_their_own(database: TestDatabase, posthog: PostHog) -> None:
    queue: Queue = SimpleQueue()
    with PostHog(database.url, project_token="phc_other", definitions_max_age=BRIEF) as other:
        posthog.on_flags_changed(lambda change: queue.put(("one", change.keys)))
        other.on_flags_changed(lambda change: queue.put(("other", change.keys)))
        store(database, "phc_other", document("b"))
        assert heard(queue) == ("other", ("b",))
        store(database, TOKEN, document("a"))
        assert heard(queue) == ("one", ("a",))


def test_an_outage_is_survived_and_what_changed_in_it_is_told(
    posthog: PostHog, database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "hogbox")
    queue: Queue = SimpleQueue()
    store(database, TOKEN, document("a"))
    posthog.on_flags_changed(queue.put)
    with outage(database):
        wait_until(lambda: "are not noticed" in caplog.text, "the warning")
    store(database, TOKEN, document("b"))
    assert heard(queue) == FlagChanges(("b",), ("a",), (), 1, 2)
    assert caplog.text.count("are not noticed") == 1
    assert "noticed again" in caplog.text


def test_who_listens_during_an_outage_is_told_what_comes_after_it(posthog: PostHog, database: TestDatabase) -> None:
    queue: Queue = SimpleQueue()
    changes = posthog.flag_changes()
    with outage(database):
        posthog.on_flags_changed(queue.put)
        assert changes.wait(2 * BRIEF) is None
    assert changes.wait(4 * BRIEF) is None
    store(database, TOKEN, document("a"))
    assert heard(queue).added == changes.wait(SOON).added == ("a",)  # type: ignore[union-attr]


def test_a_connection_that_the_server_ends_is_made_anew(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    queue = SimpleQueue[Any]()
    # A database of its own: in one that tests share, their connections would end too.
    with (
        make_database(request, "postgresql", tmp_path, tables=True) as database,
        PostHog(database.url, project_token=TOKEN, definitions_max_age=BRIEF) as posthog,
    ):
        posthog.on_flags_changed(queue.put)
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        store(database, TOKEN, document("a"))
        assert heard(queue).added == ("a",)


def test_a_forked_child_has_the_callbacks_and_the_streams(any_database: TestDatabase) -> None:
    store(any_database, TOKEN, document("a"))
    with PostHog(any_database.url, project_token=TOKEN, definitions_max_age=BRIEF) as posthog, ExitStack() as stack:
        queue: Queue = SimpleQueue()
        stack.enter_context(posthog.on_flags_changed(lambda change: queue.put((os.getpid(), change.keys))))
        changes = stack.enter_context(posthog.flag_changes())

        def listen() -> None:
            any_database.engine.dispose(close=False)  # its open connections are the parent's
            store(any_database, TOKEN, document("b"))
            assert heard(queue) == (os.getpid(), ("b", "a"))
            change = changes.wait(SOON)
            assert change is not None
            assert change.added == ("b",)
            posthog.shutdown()
            assert not watches()

        in_child(listen)
        assert heard(queue) == (os.getpid(), ("b", "a"))
        assert next(changes).added == ("b",)


def test_mistakes_of_the_caller_are_told_at_once(posthog: PostHog) -> None:
    async def awaited(_: Any) -> None: ...

    for interval in (0, -1, float("nan"), float("inf"), "1", True):
        with pytest.raises(UsageError, match="interval"):
            posthog.on_flags_changed(print, interval=interval)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="interval"):
            posthog.flag_changes(interval=interval)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="AsyncPostHog"):
        posthog.on_flags_changed(awaited)
    with pytest.raises(UsageError, match="callback"):
        posthog.on_flags_changed(None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="key is text"):
        posthog.on_flag_changed(7, print, distinct_id="u1")  # type: ignore[arg-type]
    with pytest.raises(MissingDistinctId):
        posthog.on_flag_changed("a", print)
    with pytest.raises(InvalidPerson):
        posthog.on_flag_changed("a", print, distinct_id="u1", groups=7)  # type: ignore[arg-type]
    assert not watches()


def test_a_stream_that_waits_ends_with_the_client(posthog: PostHog) -> None:
    ended: Queue = SimpleQueue()
    changes = posthog.flag_changes(interval=60)
    waiting = threading.Thread(target=lambda: ended.put(list(changes)))
    waiting.start()
    wait_until(lambda: posthog._watch._outcome is not None, "the first look")
    posthog.shutdown()
    assert heard(ended) == []
    waiting.join(SOON)
    assert changes.closed
    assert posthog.flag_changes(interval=BRIEF).wait(2 * BRIEF) is None  # of a client that is used again


def run(main: Callable[[AsyncPostHog], Any], database: TestDatabase) -> Any:
    async def body() -> Any:
        async with AsyncPostHog(database.url, project_token=TOKEN, definitions_max_age=BRIEF) as posthog:
            async with asyncio.timeout(3 * SOON):
                return await main(posthog)

    return asyncio.run(body())


def test_async_streams_give_each_change_and_end_with_the_client(database: TestDatabase) -> None:
    async def main(posthog: AsyncPostHog) -> None:
        async with posthog.flag_changes() as changes:
            store(database, TOKEN, document("a"))
            assert await anext(changes) == FlagChanges(("a",), (), (), None, 1)
        assert [change async for change in changes] == []
        rest = asyncio.create_task(_collect(posthog.flag_changes(interval=60)))
        await asyncio.sleep(2 * BRIEF)
        await posthog.shutdown()
        assert await rest == []

    run(main, database)


def test_an_async_stream_that_is_cancelled_leaves_nothing(database: TestDatabase) -> None:
    async def main(posthog: AsyncPostHog) -> None:
        waiting = asyncio.create_task(_collect(posthog.flag_changes(interval=60)))
        await asyncio.sleep(2 * BRIEF)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not posthog._watch.ending._calls
        assert not watches()

    run(main, database)


def test_async_callbacks_are_called_in_the_loop_and_do_not_pile_up(database: TestDatabase) -> None:
    async def main(posthog: AsyncPostHog) -> None:
        loop, go, told, plain = asyncio.get_running_loop(), asyncio.Event(), list[FlagChanges](), list[Any]()

        async def slow(change: FlagChanges) -> None:
            assert asyncio.get_running_loop() is loop
            told.append(change)
            await go.wait()

        await posthog.on_flags_changed(slow)
        await posthog.on_flag_changed("a", plain.append, distinct_id="u1")
        for key in ("a", "b", "c"):
            store(database, TOKEN, document(key))
            await asyncio.sleep(6 * BRIEF)
        assert told == [FlagChanges(("a",), (), (), None, 1)]
        assert [change.new.value for change in plain] == [True, None]
        go.set()
        while len(told) < 2:
            await asyncio.sleep(BRIEF)
        assert told[1] == FlagChanges(("c",), ("a",), (), 1, 3)

    run(main, database)


def test_async_callbacks_that_fail_are_logged_and_called_again(
    database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(posthog: AsyncPostHog) -> None:
        told: list[int] = []

        async def fail(_: FlagChanges) -> None:
            told.append(1)
            raise RuntimeError("of the application")

        def fail_at_once(_: FlagChanges) -> None:
            told.append(2)
            raise RuntimeError("of the application")

        await posthog.on_flags_changed(fail)
        await posthog.on_flags_changed(fail_at_once)
        for number in (1, 2):
            store(database, TOKEN, document(f"a{number}"))
            while len(told) < 2 * number:
                await asyncio.sleep(BRIEF)
        await asyncio.sleep(BRIEF)
        assert caplog.text.count("a callback for changed flags failed") == 4

    run(main, database)


def test_async_callbacks_end_with_their_loop(database: TestDatabase) -> None:
    posthog = AsyncPostHog(database.url, project_token=TOKEN, definitions_max_age=BRIEF)

    async def listen() -> Any:
        return await posthog.on_flags_changed(print)

    subscription = asyncio.run(listen())
    wait_until(lambda: not watches(), "the end of the thread")
    assert subscription.closed
    asyncio.run(posthog.shutdown())


async def _collect(changes: Any) -> list[FlagChanges]:
    return [change async for change in changes]
