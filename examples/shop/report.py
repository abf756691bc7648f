"""What the demo says: a few lines while it runs, and tables at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from examples.shop.verify import Fact, Verdict
from hogbox.emulator import ReceivedEvent

_SHOWN = 5
_LINES = 20


class Story:
    """Tells what happens, with the seconds since the beginning."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began = time.monotonic()

    def tell(self, what: str) -> None:
        """Print one line."""
        self.console.print(f"{time.monotonic() - self._began:5.1f} s  {what}", highlight=False, soft_wrap=True)


def show_verdict(console: Console, verdict: Verdict, rolled_back: int) -> None:
    """The table that matters: what was committed, against what arrived."""
    table = _table("The shop's database against what PostHog received", "events")
    table.add_row("committed", str(verdict.committed), "rows in the shop's tables")
    table.add_row("rolled back", str(rolled_back), "the card or the address was refused")
    table.add_row("delivered", str(verdict.delivered), "of the committed")
    table.add_row("repeated", str(verdict.repeated), "the same uuid again: PostHog drops it")
    _add_wrong(table, "lost", verdict.lost, "committed, never arrived")
    _add_wrong(table, "out of order", verdict.out_of_order, "after a later one of the same person")
    _add_wrong(table, "rolled back, yet delivered", verdict.undone, "arrived, not in the shop's tables")
    _add_wrong(table, "counted twice", verdict.doubled, "arrived under two uuids")
    console.print(table)
    for fact in (*verdict.lost, *verdict.out_of_order, *verdict.undone, *verdict.doubled)[:_SHOWN]:
        console.print(f"wrong: {fact}", style="red", markup=False)


def show_faults(console: Console, summary: Mapping[str, Any], fired: Mapping[str, int]) -> None:
    """What the server was made to do."""
    table = _table("What the server did", "requests")
    table.add_row("requests", str(summary["requests"]), "")
    answers = ", ".join(f"{number} x {status}" for status, number in summary["statuses"].items())
    table.add_row("faults", str(summary["faults_fired"]), f"answers: {answers}")
    for name, number in fired.items():
        table.add_row("", str(number), name)
    console.print(table)


def show_flags(console: Console, polls: int, told: Sequence[ReceivedEvent], delay: float) -> None:
    """What the flags did: how little was asked for them, and what the events tell of them."""
    table = _table("Flags, evaluated in the shop's own transactions", "number")
    evaluations = sum(name.startswith("$feature/") for event in told for name in event.properties)
    table.add_row("polls", str(polls), "requests for definitions, by the workers, 1 a second")
    table.add_row("evaluations", str(evaluations), "told by the orders that arrived; no request for any")
    for key, value in (("gift-wrap", True), ("thank-you", "hedgehog"), ("team-discount", True), ("summer-sale", True)):
        number = sum(event.properties.get(f"$feature/{key}") == value for event in told)
        table.add_row("", str(number), f"orders with {key}: {value}")
    table.add_row("seen after", f"{delay:.1f} s", "the file was changed while the shop was open")
    console.print(table)


def show_delivery(console: Console, committed: int, rolled_back: int, waiting: int, refused: int) -> None:
    """The table for a real project, which can't be asked what it received."""
    table = _table("The shop's database and its outbox", "events")
    table.add_row("committed", str(committed), "rows in the shop's tables")
    table.add_row("rolled back", str(rolled_back), "the card or the address was refused")
    table.add_row("taken by the host", str(committed - waiting - refused), "answered with 2xx, gone from the outbox")
    table.add_row("waiting", str(waiting), "in the outbox", style="red" if waiting else "green")
    table.add_row("dead letters", str(refused), "refused by the host", style="red" if refused else "green")
    console.print(table)


def show_logs(console: Console, folder: Path) -> None:
    """What the workers logged last: where something went wrong."""
    for log in sorted(folder.glob("*.log")):
        lines = log.read_text(errors="replace").splitlines()[-_LINES:]
        console.print("\n".join([f"--- {log.name}", *lines]), markup=False, highlight=False, soft_wrap=True)


def _table(title: str, unit: str) -> Table:
    table = Table(title=title, title_justify="left", min_width=76)
    table.add_column("")
    table.add_column(unit, justify="right")
    table.add_column("")
    return table


def _add_wrong(table: Table, name: str, facts: Sequence[Fact], meaning: str) -> None:
    table.add_row(name, str(len(facts)), meaning, style="red" if facts else "green")
