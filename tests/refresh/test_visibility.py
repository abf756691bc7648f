"""A change of definitions at PostHog is visible to every process within the interval and the max age."""

from __future__ import annotations

import multiprocessing
import time
from typing import Any

import pytest

from hogbox import PostHog
from hogbox.emulator import Emulator
from tests.emulator.flag_case import definitions, flag
from tests.fixtures.database import TestDatabase
from tests.fixtures.process import WorkerStarter
from tests.fixtures.waiting import wait_until

TOKEN = "phc_visible"
INTERVAL = 2
PROCESSES = 3
LENIENCE = 0.5
"""For a machine that is busy with other tests."""


def _watch(url: str, pipe: Any) -> None:
    """Says so when the flag is first seen on, and again when it is first seen off."""
    with PostHog(url, project_token=TOKEN) as posthog:
        for wanted in (True, False):
            while posthog.get_feature_flag(None, "switch", distinct_id="u1") is not wanted:
                time.sleep(0.02)
            pipe.send(time.time())


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_every_process_sees_a_change_within_the_interval_and_a_second(
    emptied: Any, emulator: Emulator, start_worker: WorkerStarter, backend: str
) -> None:
    database: TestDatabase = emptied(backend)
    url = database.engine.url.render_as_string(hide_password=False)
    emulator.set_flags(definitions(flag("switch")))
    environment = {
        "POSTHOG_PROJECT_TOKEN": TOKEN,
        "POSTHOG_PERSONAL_API_KEY": "phs_visible",
        "POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS": str(INTERVAL),
    }
    for _ in range(2):
        start_worker(url, emulator.url, **environment)
    wait_until(lambda: database.count("posthog_flag_definitions"), "the first refresh")
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(PROCESSES)]
    fleet = [context.Process(target=_watch, args=(url, theirs)) for _, theirs in pipes]
    for process in fleet:
        process.start()
    try:
        for ours, _ in pipes:
            assert ours.poll(20)
            ours.recv()
        changed = time.time()
        emulator.set_flags(definitions(flag("switch", active=False)))
        for ours, _ in pipes:
            assert ours.poll(20)
            assert ours.recv() - changed < INTERVAL + 1 + LENIENCE
    finally:
        for process in fleet:
            process.terminate()
            process.join()
