"""The nightly job: what it did and what it captured are committed together, delivered, and it ends by itself."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hogbox.emulator import Emulator
from tests.docs.page import ROOT
from tests.examples.quotation import shown_file
from tests.fixtures.database import TestDatabase

SCRIPT = ROOT / "examples" / "script.py"


@pytest.fixture
def trials(sqlite_database: TestDatabase) -> TestDatabase:
    """A database with three trials, two of them over."""
    sqlite_database.execute("CREATE TABLE trials (person TEXT, days_left INTEGER)")
    sqlite_database.execute("INSERT INTO trials VALUES ('ada', 0), ('bob', 3), ('eve', 0)")
    return sqlite_database


def run(database: TestDatabase, host: str) -> subprocess.CompletedProcess[str]:
    settings = {"HOGBOX_DATABASE_URL": database.url, "POSTHOG_HOST": host, "POSTHOG_PROJECT_TOKEN": "phc_script"}
    environment = {**os.environ, **settings}
    command = [sys.executable, str(SCRIPT)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_job_captures_delivers_and_ends(trials: TestDatabase, emulator: Emulator) -> None:
    done = run(trials, emulator.url)
    assert (done.returncode, done.stdout) == (0, "2 trials ended\n2 events delivered, 0 wait\n"), done.stderr
    assert {(event.event, event.distinct_id) for event in emulator.events()} == {
        ("trial ended", "ada"),
        ("trial ended", "eve"),
    }
    again = run(trials, emulator.url)
    assert again.stdout == "0 trials ended\n0 events delivered, 0 wait\n"


def test_p1_a_job_that_fails_leaves_nothing_but_the_exception(trials: TestDatabase, emulator: Emulator) -> None:
    trials.execute("INSERT INTO trials VALUES (NULL, 0)")
    done = run(trials, emulator.url)
    assert done.returncode == 1
    assert "MissingDistinctId" in done.stderr
    assert done.stdout == "1 events delivered, 0 wait\n"
    (event,) = emulator.events()
    assert event.properties["$exception_list"][0]["mechanism"]["handled"] is False
    assert trials.count("trials") == 4


def test_the_page_shows_the_script() -> None:
    assert shown_file("run-in-scripts", "script.py") == SCRIPT.read_text()
