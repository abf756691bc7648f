"""`python -m benchmarks`: measures, and prints ratios with what is behind them. Needs minutes and a quiet machine."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Iterable
from importlib.metadata import version

import psutil
from rich.console import Console

from benchmarks import (
    backlog,
    capture,
    compression,
    end_to_end,
    exception,
    flags_client,
    idle,
    imports,
    insert,
    latency,
    privacy,
    workers,
)
from benchmarks.counting import counting_server
from benchmarks.place import Setup, available_backends
from benchmarks.result import Result, show

SUBJECTS: dict[str, Callable[[Setup], Iterable[Result]]] = {
    "capture": capture.run,
    "compression": compression.run,
    "end_to_end": end_to_end.run,
    "exception": exception.run,
    "insert": insert.run,
    "backlog": backlog.run,
    "workers": workers.run,
    "latency": latency.run,
    "idle": idle.run,
    "flags_client": flags_client.run,
    "privacy": privacy.run,
    "imports": imports.run,
}


def main() -> None:
    """Run the subjects that were asked for."""
    arguments = _parse()
    console = Console(width=None if Console().is_terminal else 160)
    for name in [name for name in os.environ if name.startswith(("HOGBOX_", "POSTHOG_")) and "TEST" not in name]:
        del os.environ[name]
    rows = arguments.rows or (100_000 if arguments.quick else 1_000_000)
    console.print(_machine(), highlight=False)
    with counting_server() as server:
        setup = Setup(server, rows, arguments.quick, available_backends())
        for name in arguments.only:
            show(console, name, SUBJECTS[name](setup))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=_names, default=list(SUBJECTS), help=f"of {','.join(SUBJECTS)}")
    parser.add_argument("--rows", type=int, help="the large backlog; 1,000,000 unless said otherwise")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, 100,000 rows: rougher figures")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(SUBJECTS):
        raise argparse.ArgumentTypeError(f"no such subject: {', '.join(sorted(unknown))}")
    return names


def _machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("hogbox", "posthog", "SQLAlchemy"))
    memory = psutil.virtual_memory().total / 2**30
    busy = psutil.cpu_percent(1.0)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{os.cpu_count()} cores, {memory:.0f} GB, {busy:.0f} % busy before; {python}; {versions}"


if __name__ == "__main__":
    main()
