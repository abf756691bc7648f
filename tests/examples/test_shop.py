"""The demo as people run it: it ends by itself, tells the truth, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hogbox.emulator import Emulator

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "examples.shop"]
TOKEN = "phc_a_project_of_my_own"


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment to run the demo in; afterwards, neither files nor processes of it may be left."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HOGBOX_", "POSTHOG_"))}
    yield {**clean, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    assert list(tmp_path.iterdir()) == []
    assert [process.pid for process in psutil.process_iter(["cmdline"]) if _mentions(process, tmp_path)] == []


def _mentions(process: psutil.Process, folder: Path) -> bool:
    return any(str(folder) in argument for argument in process.info["cmdline"] or ())


def run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The demo, from beginning to end."""
    return subprocess.run(COMMAND, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False)


def table(output: str) -> dict[str, int]:
    """The numbers of the table, by their names."""
    return {name.strip(): int(number) for name, number in re.findall(r"^│ ([a-z, ]+?) +│ +(\d+) │", output, re.M)}


def test_the_demo_keeps_every_promise(environment: dict[str, str]) -> None:
    result = run(environment)
    assert result.returncode == 0, result.stdout + result.stderr
    numbers = table(result.stdout)
    assert numbers["committed"] == numbers["delivered"] > 500
    assert numbers["rolled back"] > 20
    assert numbers["faults"] >= 5
    for wrong in ("lost", "out of order", "rolled back, yet delivered", "counted twice"):
        assert numbers[wrong] == 0
    assert "worker 2 has taken over" in result.stdout
    assert "the running shop saw it" in result.stdout
    assert 5 < numbers["polls"] < 40
    assert numbers["evaluations"] > 2000
    for flag in ("gift-wrap: True", "thank-you: hedgehog", "team-discount: True", "summer-sale: True"):
        assert re.search(rf"│ +[1-9]\d* │ orders with {flag} ", result.stdout), flag
    assert "POSTHOG_PROJECT_TOKEN" in result.stdout


def test_ctrl_c_leaves_nothing_behind(environment: dict[str, str]) -> None:
    with subprocess.Popen(COMMAND, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "worker 1 is killed" in line:
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


def test_a_project_of_ones_own_gets_a_few_events(environment: dict[str, str], emulator: Emulator) -> None:
    result = run({**environment, "POSTHOG_PROJECT_TOKEN": TOKEN, "POSTHOG_HOST": emulator.url})
    assert result.returncode == 0, result.stdout + result.stderr
    numbers = table(result.stdout)
    events = emulator.events()
    assert {event.token for event in events} == {TOKEN}
    assert {event.event for event in events} <= {"signed_up", "order_placed"}
    assert len(events) == numbers["committed"] == numbers["taken by the host"] <= 12
    assert emulator.url in result.stdout


def test_a_project_that_refuses_is_told(environment: dict[str, str], emulator: Emulator) -> None:
    emulator.fault(status=400)
    result = run({**environment, "POSTHOG_PROJECT_TOKEN": TOKEN, "POSTHOG_HOST": emulator.url})
    assert result.returncode == 1
    assert table(result.stdout)["dead letters"] > 0
    assert "dead letter" in result.stdout
