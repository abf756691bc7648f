"""A program that ends while its worker thread delivers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hogbox import PostHog
from hogbox.emulator import Emulator
from tests.fixtures.database import TestDatabase

PROGRAM = """
import atexit, sys
from hogbox import PostHog

database, host = sys.argv[1:]
posthog = PostHog(database, project_token="phc_exit", host=host)
atexit.register(posthog.shutdown, 20)
posthog.start()
for number in range(400):
    posthog.capture(None, "captured", distinct_id=f"u{number % 40}")
"""

EVENTS = 400


def run(database: TestDatabase, host: str) -> str:
    """Run the program; what it complained of."""
    command = [sys.executable, "-c", PROGRAM, database.url, host]
    many_turns = {**os.environ, "HOGBOX_BATCH_EVENTS": "10"}
    return subprocess.run(command, env=many_turns, capture_output=True, text=True, timeout=60, check=True).stderr


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_it_ends_without_a_complaint_and_loses_nothing(database: TestDatabase, emulator: Emulator) -> None:
    emulator.fault(delay=0.2)
    assert run(database, emulator.url) == ""
    assert database.count("posthog_workers") == 0
    emulator.clear_faults()
    with PostHog(database.url, project_token="phc_exit", host=emulator.url) as posthog:
        assert posthog.deliver().waiting == 0
    assert len(emulator.events(unique=True)) == EVENTS
