"""The terminal: all output of commands goes through here, without control characters."""

from __future__ import annotations

from collections.abc import Iterable

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from hogbox._wire.printable import printable


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print text to standard output or standard error."""
    typer.echo(printable(text), err=err, nl=nl)


class Terminal(Console):
    """Prints tables, trees and colours. Only rich writes control characters; those in text are replaced."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, highlight=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments to print."""
        for part in super().render(renderable, options):
            yield part if part.control else Segment(printable(part.text), part.style)
