"""What was measured, beside its goal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Result:
    """One line: what, the figure, the goal if there is one and whether it was met, and what is behind it."""

    what: str
    figure: str
    behind: str
    goal: str = ""
    met: bool | None = None

    @classmethod
    def at_least(cls, what: str, value: float, goal: float, behind: str) -> Self:
        """A ratio that should be large."""
        return cls(what, f"{value:.2f}x", behind, f"at least {goal:g}x", value >= goal)

    @classmethod
    def at_most(cls, what: str, value: float, goal: float, behind: str) -> Self:
        """A ratio that should be small."""
        return cls(what, f"{value:.2f}x", behind, f"at most {goal:g}x", value <= goal)

    @classmethod
    def below(cls, what: str, seconds: float, goal: float, behind: str) -> Self:
        """A time that should be short."""
        return cls(what, f"{seconds * 1000:.0f} ms", behind, f"below {goal * 1000:.0f} ms", seconds < goal)


def show(console: Console, title: str, results: Iterable[Result]) -> None:
    """One subject's table."""
    table = Table(title=title, title_justify="left", show_lines=False)
    for name in ("measured", "result", "goal", "behind it"):
        table.add_column(name, justify="right" if name == "result" else "left")
    for result in results:
        style = {None: "", True: "green", False: "red"}[result.met]
        verdict = {None: "", True: ": met", False: ": MISSED"}[result.met]
        table.add_row(result.what, result.figure, result.goal + verdict, result.behind, style=style)
    console.print(table)
