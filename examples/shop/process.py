"""The worker as an operator runs it: `hogbox worker`, a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_PATIENCE = 10.0


@contextmanager
def worker(database: Path, host: str, log: Path, settings: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that delivers from this database to this host; it has ended when the block is left, whatever happens."""
    command = [sys.executable, "-m", "hogbox", "worker", "--database-url", f"sqlite:///{database}", "--host", host]
    process = None
    with log.open("wb") as output:
        try:
            with _uninterrupted():
                process = subprocess.Popen(command, env={**os.environ, **settings}, stdout=output, stderr=output)
            yield process
        finally:
            if process is not None:
                stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the process: politely at first."""
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C has to wait: between a process's start and its being known, it would leave the process behind."""
    missed: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: missed.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in missed:
            signal.raise_signal(late)
