"""A page quotes its example: what it shows is what runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.docs.page import DOCS, ROOT, Block, read_page


def blocks_of(page: str) -> tuple[Block, ...]:
    """The blocks of a how-to page."""
    return read_page(DOCS / "how-to" / f"{page}.md").blocks


def misquotations(page: str) -> Iterator[str]:
    """Where a block that says `part of FILE` is not in that file."""
    for block in blocks_of(page):
        if block.detail.startswith("part of "):
            path = ROOT / block.detail.removeprefix("part of ")
            if block.text not in path.read_text():
                yield f"{block.where}: not in {path.name}"


def shown_file(page: str, name: str) -> str:
    """The content of the file that the page has its reader write."""
    (block,) = [block for block in blocks_of(page) if (block.directive, block.detail) == ("file", name)]
    return block.text


def commands(page: str, test: Path) -> list[str]:
    """The blocks of commands that a page leaves to this test, in order."""
    named = f"{test.relative_to(ROOT)} runs it"
    return [block.text for block in blocks_of(page) if block.language == "sh" and block.detail.startswith(named)]
