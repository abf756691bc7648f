"""`hogbox worker`, with its clock wrong by so many seconds or with a part of hogbox broken on purpose.

Usage: python -m proof.worker CLOCK BREAK. It reads the same environment as `hogbox worker`.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta

from hogbox.cli import main as hogbox
from proof.breakage import BREAKS


def main(clock: float, broken: str) -> None:
    """Break what is to be broken, shift the clock, and run the worker."""
    if broken:
        BREAKS[broken]()
    with _shifted(clock):
        sys.argv = ["hogbox", "worker"]
        hogbox()


def _shifted(seconds: float) -> AbstractContextManager[object]:
    if not seconds:
        return nullcontext()
    import time_machine

    return time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds), tick=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2])
