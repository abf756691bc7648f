"""A short form of the proof, with real processes; and workers that are broken on purpose, which it has to notice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AGAIN = pytest.mark.nightly(reason="half a minute for each, and two that are noticed show that the proof looks")


def prove(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "proof", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)


def test_p1_to_p4_hold_in_the_short_form() -> None:
    result = prove("--short")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "nothing lost, out of order or restamped" in result.stdout


@pytest.mark.parametrize(
    ("broken", "fault", "words"),
    [
        ("no-order", "server-down", "out of order"),
        ("early-delete", "server-down", "lost"),
        pytest.param("fence", "worker-stopped", "sent again behind a later one", marks=AGAIN),
        pytest.param("credulous", "lying-200", "lost", marks=AGAIN),
    ],
)
def test_a_broken_build_is_noticed(broken: str, fault: str, words: str) -> None:
    result = prove("--short", "--events", "400", "--faults", fault, "--databases", "sqlite", "--break", broken)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "BROKEN: " in result.stdout
    assert words in result.stdout
