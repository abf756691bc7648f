"""What importing hogbox costs a process, beside the libraries that it stands on."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator

from benchmarks.measure import in_turns, milli
from benchmarks.place import Setup
from benchmarks.result import Result

GOAL = 0.030
"""Seconds that `import hogbox` may take beyond its libraries."""

_LIBRARIES = "import sqlalchemy, msgspec"
_IMPORTS = ("import hogbox", "from hogbox import PostHog", "from hogbox import AsyncPostHog")
_PURE = "from hogbox.flags import FlagSet"
_BARE = "pass"


def run(setup: Setup) -> Iterator[Result]:
    """Whole interpreters in turns, by the CPU time that they spend."""
    measured = {code: _interpreter(code) for code in (_BARE, _LIBRARIES, *_IMPORTS, _PURE)}
    figures = in_turns(measured, 5 if setup.quick else 15)
    libraries, bare = figures[_LIBRARIES], figures[_BARE]
    for code in _IMPORTS:
        beyond = figures[code] - libraries
        behind = f"{milli(figures[code] - bare)} against {milli(libraries - bare)}"
        yield Result.below(f"{code}: beyond {_LIBRARIES}", beyond, GOAL, behind)
    yield Result(_PURE, milli(figures[_PURE] - bare), "without SQLAlchemy and msgspec")


def _interpreter(code: str) -> Callable[[], float]:
    def measure() -> float:
        began = _children()
        subprocess.run([sys.executable, "-c", code], check=True)
        return _children() - began

    return measure


def _children() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime
