"""`hogbox deliver`: numbers on the output, a bar on a terminal, exit code 1 where events still wait."""

from __future__ import annotations

import errno
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from hogbox.emulator import Emulator
from tests.cli.conftest import TOKEN, Hogbox
from tests.fixtures.database import TestDatabase

Capture = Callable[[TestDatabase, int], None]


def test_what_waits_is_delivered_and_counted(
    hogbox: Hogbox, database: TestDatabase, capture: Capture, emulator: Emulator
) -> None:
    capture(database, 7)
    done = hogbox("deliver", "-d", database.url, "--host", emulator.url)
    assert (done.returncode, done.stdout) == (0, "7 delivered, 0 dead, 0 waiting\n")
    assert len(emulator.events()) == 7
    assert database.events() == []


def test_without_a_terminal_there_is_no_bar(
    hogbox_process: Hogbox, sqlite_database: TestDatabase, capture: Capture, emulator: Emulator
) -> None:
    capture(sqlite_database, 1)
    done = hogbox_process("deliver", HOGBOX_DATABASE_URL=sqlite_database.url, POSTHOG_HOST=emulator.url)
    assert done.returncode == 0
    assert "\x1b" not in done.stderr
    assert done.stderr.count("delivering") == done.stderr.count("delivering to ") == 1
    assert all(" hogbox.worker: " in line for line in done.stderr.splitlines())


def test_verbose_logs_every_request(
    hogbox_process: Hogbox, sqlite_database: TestDatabase, capture: Capture, emulator: Emulator
) -> None:
    capture(sqlite_database, 1)
    done = hogbox_process("deliver", "-v", "-d", sqlite_database.url, "--host", emulator.url)
    assert "hogbox.http: POST /batch/: HTTP 200 in " in done.stderr
    assert TOKEN not in done.stderr


def test_an_empty_outbox_is_no_failure_and_no_request(
    hogbox: Hogbox, sqlite_database: TestDatabase, emulator: Emulator
) -> None:
    done = hogbox("deliver", "-d", sqlite_database.url, "--host", emulator.url)
    assert (done.returncode, done.stdout) == (0, "0 delivered, 0 dead, 0 waiting\n")
    assert emulator.requests() == []


def test_events_that_still_wait_make_it_exit_with_1(
    hogbox_process: Hogbox, sqlite_database: TestDatabase, capture: Capture
) -> None:
    capture(sqlite_database, 2)
    done = hogbox_process("deliver", "-d", sqlite_database.url, "--host", "http://127.0.0.1:9", "--timeout", "0.5")
    assert (done.returncode, done.stdout) == (1, "0 delivered, 0 dead, 2 waiting\n")
    assert "PostHog is not accepting events" in done.stderr
    assert "Traceback" not in done.stderr


def test_on_a_terminal_a_bar_shows_how_far_it_is(
    environment: dict[str, str], sqlite_database: TestDatabase, capture: Capture, emulator: Emulator, tmp_path: Path
) -> None:
    capture(sqlite_database, 5)
    ours, theirs = pty.openpty()
    arguments = ["deliver", "-d", sqlite_database.url, "--host", emulator.url]
    process = subprocess.Popen(
        [sys.executable, "-m", "hogbox", *arguments],
        env={**environment, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=tmp_path,
    )
    os.close(theirs)
    shown = read_to_the_end(ours)
    assert process.wait() == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    assert "\x1b" in shown
    assert re.search(r"delivering .*5/5", plain)
    assert "5 delivered, 0 dead, 0 waiting" in plain


def read_to_the_end(terminal: int) -> str:
    shown = b""
    try:
        while chunk := os.read(terminal, 65536):
            shown += chunk
    except OSError as error:
        # Linux tells the end of a terminal in this way.
        if error.errno != errno.EIO:
            raise
    finally:
        os.close(terminal)
    return shown.decode()
