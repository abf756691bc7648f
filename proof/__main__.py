"""`python -m proof`: every fault on every database; prints a table, and exits with 1 where a promise broke."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hogbox.emulator import Emulator
from proof.breakage import BREAKS
from proof.ground import DATABASES
from proof.report import Row, head, line, total
from proof.scenario import SCENARIOS, Scenario
from proof.server import NotApplicable
from proof.stage import Size, Stage

_FULL = Size(600, 8.0)
_SHORT = Size(150, 2.0)
_SHORT_FAULTS = ("answer-lost", "server-down")
_SHORT_DATABASES = ("sqlite", "postgresql")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; the process's exit code."""
    asked = _parser().parse_args(arguments)
    size = _SHORT if asked.short else _FULL
    size = Size(asked.events or size.events, size.seconds)
    rows = []
    for text in head():
        print(text, flush=True)
    for scenario in SCENARIOS:
        if scenario.name in (asked.faults or (_SHORT_FAULTS if asked.short else _names())):
            for database in asked.databases or (_SHORT_DATABASES if asked.short else DATABASES):
                rows.append(show(scenario, database, size, asked.broken))
                print(line(rows[-1].cells()), flush=True)
    print(f"\n{total(rows)}")
    return 0 if all(row.good for row in rows) else 1


def show(scenario: Scenario, database: str, size: Size, broken: str = "") -> Row:
    """One fault on one database."""
    with tempfile.TemporaryDirectory(prefix="hogbox-proof-") as notes, tempfile.TemporaryDirectory() as folder:
        try:
            with scenario.lay(database, Path(folder)) as ground, Emulator() as emulator:
                with Stage(ground, emulator, Path(notes), size, broken) as stage:
                    faults = scenario.act(stage)
                    verdict, rolled_back = stage.settle()
        except NotApplicable as reason:
            return Row(scenario.words, database, why=str(reason))
    return Row(scenario.words, database, verdict, rolled_back, faults, patience=scenario.patience)


def _names() -> list[str]:
    return [scenario.name for scenario in SCENARIOS]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m proof", description=__doc__)
    parser.add_argument("--faults", nargs="+", choices=_names(), help="these only")
    parser.add_argument("--databases", nargs="+", choices=DATABASES, help="these only")
    parser.add_argument("--events", type=int, help="how many to commit in each scenario")
    parser.add_argument("--short", action="store_true", help="a few faults, a few events, half a minute")
    parser.add_argument("--break", dest="broken", default="", choices=BREAKS, help="run workers that are broken so")
    return parser


if __name__ == "__main__":
    sys.exit(main())
