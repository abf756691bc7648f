"""`hogbox docs`."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Annotated, Final

import typer
from rich.markdown import Markdown

from hogbox._operations.page import StoredPage, docs_folder, find_page, read_pages, with_commands
from hogbox.cli.terminal import Terminal, say

Slug = Annotated[str | None, typer.Argument(help="The page to print.  [default: a list of all pages]", metavar="PAGE")]

_WIDEST: Final = 100


def docs(slug: Slug = None) -> None:
    """Print a page of the documentation, or the list of its pages.

    A page is formatted on a terminal, and Markdown elsewhere.

    Example: hogbox docs run-a-worker
    """
    pages = read_pages()
    if slug is None:
        say(_list(pages))
        return
    page = find_page(pages, slug)
    terminal = Terminal()
    if terminal.is_terminal:
        # Links to files lead nowhere on a terminal.
        shown = Markdown(with_commands(page.text), hyperlinks=False)
        terminal.print(shown, width=min(terminal.width, _WIDEST))
    else:
        say(page.text, nl=False)


def _list(pages: Mapping[str, StoredPage]) -> str:
    """The pages of each section below its name."""
    lines: list[str] = []
    for section, group in groupby(pages.values(), key=lambda page: page.section):
        of_section = list(group)
        width = max(len(page.slug) for page in of_section)
        lines += [section or "docs", *(f"  {page.slug:{width}}  {page.title}" for page in of_section), ""]
    return "\n".join([*lines, f"The files are in {docs_folder()}."])
