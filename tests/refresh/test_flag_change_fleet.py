"""A fleet of processes: each is told of a change within its interval and a second."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection

import pytest

from hogbox import AsyncPostHog, PostHog
from tests.emulator.flag_case import definitions, flag
from tests.fixtures.database import BACKENDS, TestDatabase, use_wal
from tests.fixtures.stored import store

TOKEN = "phc_a_fleet_that_listens"
PROCESSES = 8
INTERVAL = 1.0
STARTED_WITHIN = 60.0


def listen(url: str, pipe: Connection) -> None:
    """Say when listening has begun, and then of each change what is new, and when it was told."""

    async def main() -> None:
        posthog = AsyncPostHog(url, project_token=TOKEN, definitions_max_age=INTERVAL)
        async with posthog, posthog.flag_changes() as changes:
            pipe.send("ready")
            async for change in changes:
                pipe.send((change.added, time.time()))

    asyncio.run(main())


def call_back(url: str, pipe: Connection) -> None:
    """The same by a callback."""
    posthog = PostHog(url, project_token=TOKEN, definitions_max_age=INTERVAL)
    posthog.on_flags_changed(lambda change: pipe.send((change.added, time.time())))
    pipe.send("ready")
    pipe.recv()


@pytest.mark.parametrize("database", BACKENDS, indirect=True)
@pytest.mark.nightly(reason="eight processes that start anew, on each database")
def test_every_process_is_told_within_the_interval_and_a_second(database: TestDatabase) -> None:
    use_wal(database)
    store(database, TOKEN, definitions(flag("at first")))
    spawn = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pipes = []
        for number in range(PROCESSES):
            mine, its = spawn.Pipe()
            process = spawn.Process(target=listen if number % 2 else call_back, args=(database.url, its))
            process.start()
            stack.callback(process.join)
            stack.callback(process.terminate)
            pipes.append(mine)
        for pipe in pipes:
            assert pipe.poll(STARTED_WITHIN)
            assert pipe.recv() == "ready"
        delays = []
        for key in ("one", "two", "three"):
            store(database, TOKEN, definitions(flag(key)))
            stored_at = time.time()
            for pipe in pipes:
                assert pipe.poll(INTERVAL + 1), "a process was not told in time"
                added, told_at = pipe.recv()
                assert added == (key,)
                delays.append(told_at - stored_at)
    assert len(delays) == 3 * PROCESSES
    assert max(delays) <= INTERVAL + 1, sorted(delays)
    print(f"told after {sum(delays) / len(delays):.2f} s, at the latest after {max(delays):.2f} s")
