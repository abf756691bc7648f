"""What a run of the proof says: a row for each fault and database, as a table in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from proof.verify import Verdict

_HEAD = (
    "fault",
    "database",
    "committed",
    "rolled back",
    "delivered",
    "repeats",
    "dead",
    "waiting",
    "longest wait",
    "faults",
    "verdict",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario's outcome; `why` says why there is none."""

    fault: str
    database: str
    verdict: Verdict | None = None
    rolled_back: int = 0
    faults: int = 0
    why: str = ""
    patience: float | None = None
    """Seconds that people whom the fault does not concern may wait; None: an outage, which delays everybody."""

    @property
    def good(self) -> bool:
        """Whether every promise held under a fault that struck, or there was nothing to show."""
        return self.verdict is None or bool(self.faults and not (self.verdict.broken or self.overdue))

    @property
    def overdue(self) -> bool:
        """Whether people whom the fault does not concern waited for longer than they may."""
        return self.verdict is not None and self.patience is not None and self.verdict.longest_wait > self.patience

    def cells(self) -> list[str]:
        """The row of the table."""
        verdict = self.verdict
        if verdict is None:
            return [self.fault, self.database, *[""] * 8, f"not shown: {self.why}"]
        counts = [verdict.committed, self.rolled_back, verdict.delivered, verdict.repeats, verdict.dead]
        broken = [f"{count} {name}" for name, count in verdict.broken.items()]
        if self.overdue:
            broken.append(f"a wait of more than {self.patience:g} s")
        words = f"BROKEN: {', '.join(broken)}" if broken else "kept" if self.faults else "no fault struck: try again"
        waits = [str(verdict.waiting), f"{verdict.longest_wait:.1f} s", str(self.faults)]
        return [self.fault, self.database, *map(str, counts), *waits, words]


def head() -> Iterator[str]:
    """The first two lines of the table."""
    yield line(_HEAD)
    yield line(["---"] * len(_HEAD))


def line(cells: Iterable[str]) -> str:
    """One line of the table."""
    return f"| {' | '.join(cells)} |"


def total(rows: Sequence[Row]) -> str:
    """All of it in a sentence."""
    shown = [row for row in rows if row.verdict is not None]
    committed = sum(row.verdict.committed for row in shown if row.verdict)
    faults = sum(row.faults for row in shown)
    bad = sum(not row.good for row in shown)
    verdict = f"{bad} of them broke a promise, or met no fault" if bad else "nothing lost, out of order or restamped"
    return f"{len(shown)} scenarios, {committed:,} events committed, {faults:,} faults: {verdict}."
