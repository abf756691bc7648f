"""The benchmarks still run: the quick form of one subject, without a look at its figures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.sample import backlog

ROOT = Path(__file__).parents[2]


def test_one_subject_runs() -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "capture"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    assert "at least 4x" in result.stdout
    assert result.stdout.count("µs against") == 5


def test_events_arrive_in_the_counting_server() -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "end_to_end"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("events/s") == 3


def test_reads_of_flags_are_compared_with_the_peers() -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "flags_client"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("at least 8x") == 3


def test_every_encoding_is_measured() -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "compression"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("bytes an event") == 3 * 8


def test_an_unknown_subject_is_refused() -> None:
    command = [sys.executable, "-m", "benchmarks", "--only", "speed"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert "no such subject: speed" in result.stderr


def test_a_backlog_is_of_real_rows() -> None:
    rows = list(backlog(2001))
    assert len({row.payload for row in rows}) == 2001
    assert rows[0].shard == rows[2000].shard
    assert all('"distinct_id":"customer-' in row.payload for row in rows)
