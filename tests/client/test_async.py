"""What only the asynchronous client does: it never blocks the event loop, ends well when it is cancelled, serves loops.

Where a call has to wait, what it waits for is done by the event loop itself: a call that blocked it would wait in vain.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from hogbox import AsyncPostHog
from hogbox._client.local_flags import LocalFlags
from hogbox.errors import MissingDistinctId
from hogbox.settings import DeliverySettings
from tests.client.conftest import TOKEN
from tests.emulator.flag_case import definitions, flag
from tests.fixtures.colour import ASYNCHRONOUS
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store

KEY = "phs_a_key_of_the_tests"
DOCUMENT = definitions(flag("on"), flag("off", active=False))
IN_TIME = 20.0

Call = Callable[[AsyncPostHog], Awaitable[Any]]

DATABASE_CALLS: dict[str, Call] = {
    "capture": lambda posthog: posthog.capture(None, "paid", distinct_id="u1"),
    "identify": lambda posthog: posthog.identify(None, distinct_id="u1"),
    "group_identify": lambda posthog: posthog.group_identify(None, "company", "c-19"),
    "alias": lambda posthog: posthog.alias(None, "anon", distinct_id="u1"),
    "capture_exception": lambda posthog: posthog.capture_exception(None, "it broke"),
    "get_feature_flag": lambda posthog: posthog.get_feature_flag(None, "on", distinct_id="u1"),
    "get_all_flags": lambda posthog: posthog.get_all_flags(None, distinct_id="u1"),
    "flags": lambda posthog: posthog.flags(None, distinct_id="u1"),
    "an exposure": lambda posthog: posthog.is_feature_enabled(None, "on", distinct_id="u1", track_exposures=True),
    "create_tables": lambda posthog: posthog.create_tables(),
    "deliver": lambda posthog: posthog.deliver(),
    "start": lambda posthog: posthog.start(),
}

NETWORK_CALLS: dict[str, Call] = {
    "evaluate_flag": lambda posthog: posthog.evaluate_flag(None, "on", distinct_id="u1"),
    "evaluate_flag_payload": lambda posthog: posthog.evaluate_flag_payload(None, "on", distinct_id="u1"),
    "evaluate_all_flags": lambda posthog: posthog.evaluate_all_flags(None, distinct_id="u1"),
    "refresh_flag_definitions": lambda posthog: posthog.refresh_flag_definitions(),
    "deliver": lambda posthog: posthog.deliver(),
}


@asynccontextmanager
async def opened(database: TestDatabase, **arguments: Any) -> AsyncIterator[AsyncPostHog]:
    async with AsyncPostHog(database.url, project_token=TOKEN, **arguments) as posthog:
        yield posthog


@asynccontextmanager
async def posthog_in_this_loop() -> AsyncIterator[str]:
    """A PostHog that answers from the event loop of the caller."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        await reader.readexactly(int(sizes[0].partition(b":")[2]) if sizes else 0)
        flags = {"flags": {"on": {"key": "on", "enabled": True}}}
        body = json.dumps(
            DOCUMENT if head.startswith(b"GET") else {"status": "Ok"} if head.startswith(b"POST /batch/") else flags
        )
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body.encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("name", DATABASE_CALLS)
def test_the_loop_goes_on_while_a_call_waits_for_the_database(sqlite_database: TestDatabase, name: str) -> None:
    async def serve() -> None:
        async with opened(sqlite_database, host="http://127.0.0.1:9") as posthog:
            lock = sqlite_database.engine.connect()
            lock.exec_driver_sql("BEGIN EXCLUSIVE")
            try:
                call = asyncio.ensure_future(DATABASE_CALLS[name](posthog))
                for _ in range(5):
                    await asyncio.sleep(0.01)
                assert not call.done()
            finally:
                lock.rollback()
                lock.close()
            await asyncio.wait_for(call, IN_TIME)

    store(sqlite_database, TOKEN, DOCUMENT)
    asyncio.run(serve())


@pytest.mark.parametrize("name", NETWORK_CALLS)
def test_the_loop_goes_on_while_a_call_waits_for_posthog(database: TestDatabase, name: str) -> None:
    async def serve() -> Any:
        async with posthog_in_this_loop() as url, opened(database, host=url, personal_api_key=KEY) as posthog:
            await posthog.capture(None, "paid", distinct_id="u1")
            return await asyncio.wait_for(NETWORK_CALLS[name](posthog), IN_TIME)

    result = asyncio.run(serve())
    expected = {"evaluate_flag": True, "evaluate_flag_payload": None, "deliver": (1, 0, 0)}
    assert result == expected.get(name, result)


def test_the_loop_goes_on_while_large_definitions_are_read(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive, parse = threading.Event(), LocalFlags.parse

    def slow(text: str, timezone: str, contexts: Sequence[str] = ()) -> LocalFlags:
        assert alive.wait(IN_TIME)
        return parse(text, timezone, contexts)

    async def serve() -> None:
        async with opened(database) as posthog:
            reading = asyncio.ensure_future(posthog.get_feature_flag(None, "on", distinct_id="u1"))
            await asyncio.sleep(0.01)
            alive.set()
            assert await reading is True

    store(database, TOKEN, DOCUMENT)
    monkeypatch.setattr(LocalFlags, "parse", slow)
    asyncio.run(serve())


def test_a_read_that_needs_no_look_does_not_suspend(database: TestDatabase) -> None:
    async def serve() -> None:
        async with opened(database, definitions_max_age=3600) as posthog:
            await posthog.get_feature_flag(None, "on", distinct_id="u1")
            with pytest.raises(StopIteration) as end:
                posthog.get_feature_flag(None, "on", distinct_id="u2").send(None)
            assert end.value.value is True

    store(database, TOKEN, DOCUMENT)
    asyncio.run(serve())


def test_the_identify_callback_may_be_asynchronous(database: TestDatabase) -> None:
    async def identify(ctx: Any) -> str:
        await asyncio.sleep(0)
        return "u1"

    async def serve() -> None:
        async with opened(database, identify=identify) as posthog:
            await posthog.capture(None, "paid")
            assert await posthog.get_feature_flag(None, "on") is True

    store(database, TOKEN, DOCUMENT)
    asyncio.run(serve())
    assert [event["distinct_id"] for event in database.events()] == ["u1"]


def test_without_a_distinct_id_it_raises(database: TestDatabase) -> None:
    async def serve() -> None:
        async with opened(database) as posthog:
            with pytest.raises(MissingDistinctId):
                await posthog.capture(None, "paid")

    asyncio.run(serve())


def test_one_client_serves_one_loop_after_another(database: TestDatabase) -> None:
    posthog: list[AsyncPostHog] = []

    async def serve() -> Any:
        async with posthog_in_this_loop() as url:
            if not posthog:
                posthog.append(AsyncPostHog(database.url, project_token=TOKEN, host=url))
            posthog[0]._transport._host = url  # the server's port is another one in each loop
            await posthog[0].capture(None, "paid", distinct_id="u1")
            value = await posthog[0].evaluate_flag(None, "on", distinct_id="u1")
            await posthog[0].shutdown()
            return value

    assert [asyncio.run(serve()) for _ in range(3)] == [True, True, True]
    assert len(database.events()) == 3


def test_one_client_serves_loops_of_several_threads(database: TestDatabase) -> None:
    posthog = AsyncPostHog(database.url, project_token=TOKEN)

    async def serve() -> None:
        await asyncio.gather(*(posthog.capture(None, "paid", distinct_id="u1") for _ in range(5)))

    threads = [threading.Thread(target=lambda: asyncio.run(serve())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(database.events()) == 20
    asyncio.run(posthog.shutdown())


def test_p1_the_exposures_of_a_snapshot_are_written_with_the_event_that_tells_of_it(any_database: TestDatabase) -> None:
    url = any_database.engine.url.set(drivername=ASYNCHRONOUS[any_database.backend])

    async def serve() -> None:
        engine = create_async_engine(url)
        async with opened(any_database) as posthog:
            for end in ("rollback", "commit"):
                async with AsyncSession(engine) as session:
                    flags = await posthog.flags(session, distinct_id="u1", track_exposures=True)
                    assert (flags.get("on"), flags.is_enabled("off")) == (True, False)
                    assert flags.get("on") is True
                    assert await outbox(session) == 0
                    await posthog.capture(session, "paid", distinct_id="u1", flags=flags)
                    assert await outbox(session) == 3
                    await getattr(session, end)()
        await engine.dispose()

    store(any_database, TOKEN, DOCUMENT)
    asyncio.run(serve())
    assert [event["event"] for event in any_database.events()] == [*["$feature_flag_called"] * 2, "paid"]


async def outbox(session: AsyncSession) -> int:
    return await session.scalar(sa.text("SELECT count(*) FROM posthog_outbox")) or 0


def test_exposures_that_nobody_writes_are_none(database: TestDatabase) -> None:
    async def serve() -> None:
        async with opened(database, track_exposures=True) as posthog:
            flags = await posthog.flags(None, distinct_id="u1")
            flags.get("on")
            assert database.events() == []
            await flags.write_exposures()
            await flags.write_exposures()
            silent = await posthog.flags(None, distinct_id="u2", track_exposures=False)
            silent.get("on")
            await silent.write_exposures()

    store(database, TOKEN, DOCUMENT)
    asyncio.run(serve())
    assert len(database.events()) == 1


def test_a_delivery_that_is_cancelled_ends_soon_and_loses_nothing(database: TestDatabase) -> None:
    """PostHog can't be reached: a delivery would go on for its whole time-out."""
    quick = DeliverySettings(request_timeout_seconds=1, retry_base_seconds=0.1, retry_cap_seconds=0.1)

    async def serve() -> None:
        async with opened(database, host="http://127.0.0.1:9", delivery=quick) as posthog:
            await posthog.capture(None, "paid", distinct_id="u1")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await posthog.deliver(timeout=None)

    began = time.monotonic()
    asyncio.run(serve())  # ends when the thread that delivered has
    assert time.monotonic() - began < IN_TIME
    assert len(database.events()) == 1
