"""The terminal: everything that commands print goes through here, without what a terminal would obey."""

from __future__ import annotations

from collections.abc import Iterable

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from hogbox._wire.printable import printable


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text to the standard output, or to the standard error."""
    typer.echo(printable(text), err=err, nl=nl)


class Terminal(Console):
    """Prints tables, trees and colours. The colours are rich's; texts are printed without control characters."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, highlight=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The parts of what is printed."""
        for part in super().render(renderable, options):
            yield part if part.control else Segment(printable(part.text), part.style)
