"""The `hogbox` command, in this process where that tells as much."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from hogbox import PostHog
from hogbox.cli import main
from tests.fixtures.database import TestDatabase

TOKEN = "phc_a_token_of_the_tests"


class Ended(NamedTuple):
    """What became of a command."""

    returncode: int
    stdout: str
    stderr: str


Hogbox = Callable[..., Ended]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment without what the machine says of hogbox and PostHog."""
    ours = ("POSTHOG_", "HOGBOX_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.fixture
def hogbox(
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Hogbox]:
    """Runs the command in this process: `hogbox("migrate", "-d", url, HOGBOX_TABLE_PREFIX="x_")`."""
    monkeypatch.chdir(tmp_path)
    level = logging.getLogger("httpx2").level

    def run(*arguments: str, **settings: str) -> Ended:
        for name in set(os.environ) - set(environment):
            monkeypatch.delenv(name)
        for name, value in {"COLUMNS": "100", **settings}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["hogbox", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        code = ended.value.code
        if isinstance(code, str):
            return Ended(1, shown.out, f"{shown.err}{code}\n")
        return Ended(int(code or 0), shown.out, shown.err)

    yield run
    logging.getLogger("httpx2").setLevel(level)


@pytest.fixture
def hogbox_process(environment: dict[str, str], tmp_path: Path) -> Hogbox:
    """Runs the command in a process of its own, where a warning is an error."""

    def run(*arguments: str, **settings: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "hogbox", *arguments],
            env={**environment, "COLUMNS": "100", **settings},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def capture() -> Callable[[TestDatabase, int], None]:
    """Captures so many events into a database, each of another person."""

    def capture(database: TestDatabase, events: int) -> None:
        posthog = PostHog(project_token=TOKEN)
        with database.engine.begin() as connection:
            for number in range(events):
                posthog.capture(connection, f"paid {number}", distinct_id=f"u{number}")

    return capture
