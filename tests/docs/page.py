"""A page of the documentation: its blocks of code, what its comments say of them, its headings and its links.

A block runs as its language says (`python`, `sh`, `sql`), in the order of the page, unless the HTML comment on the line
above it says otherwise:

    not run: REASON            why nobody runs it
    file: NAME                 it is the content of that file
    background until: TEXT     a command that stays; the page goes on when it has printed the text
    output                     what the block before it prints; `...` stands for anything
    signature                  a method of PostHog, compared with the code
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])

RUNNABLE = ("python", "sh", "sql")
DIRECTIVES = ("not run", "file", "background until", "output", "signature")

_FENCE = re.compile(r"(`{3,})(\w*)$")
_COMMENT = re.compile(r"<!-- (.+) -->$")
_INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block. `directive` and `detail` are those of the comment above it, empty where there is none."""

    page: Path
    line: int
    language: str
    text: str
    directive: str
    detail: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Page:
    """A page, taken apart."""

    path: Path
    blocks: tuple[Block, ...]
    prose: tuple[tuple[int, str], ...]
    """The lines outside of blocks, with their numbers."""

    @property
    def headings(self) -> list[str]:
        return [text.lstrip("#").strip() for _, text in self.prose if text.startswith("#")]

    def section(self, heading: str) -> list[str]:
        """The prose below a heading, up to the next one of any level."""
        lines: list[str] = []
        inside = False
        for _, text in self.prose:
            if text.startswith("#"):
                inside = text.lstrip("#").strip() == heading
            elif inside:
                lines.append(text)
        return lines

    def links(self) -> Iterator[tuple[int, str]]:
        """Every link with its line."""
        for line, text in self.prose:
            for target in _LINK.findall(text):
                yield line, target

    def inline_code(self) -> Iterator[tuple[int, str]]:
        """Every piece of code in the prose with its line."""
        for line, text in self.prose:
            for code in _INLINE.findall(text):
                yield line, code


def read_page(path: Path) -> Page:
    """The page at this path."""
    blocks: list[Block] = []
    prose: list[tuple[int, str]] = []
    fence, start, lines = None, 0, list[str]()
    for number, text in enumerate(path.read_text().splitlines(), 1):
        if fence is None:
            fence = _FENCE.match(text)
            start, lines = number, []
            if fence is None:
                prose.append((number, text))
        elif text == fence[1]:
            directive, detail = _directive(prose)
            blocks.append(Block(path, start, fence[2], "\n".join(lines) + "\n", directive, detail))
            fence = None
        else:
            lines.append(text)
    assert fence is None, f"{path}:{start}: a block without an end"
    return Page(path, tuple(blocks), tuple(prose))


def rows(lines: list[str]) -> list[list[str]]:
    """The cells of the tables in these lines, without heads and rules."""
    found: list[list[str]] = []
    for index, line in enumerate(lines):
        following = lines[index + 1] if index + 1 < len(lines) else ""
        if line.startswith("|") and not line.startswith("| ---") and not following.startswith("| ---"):
            found.append([cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and most site builders make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _directive(prose: list[tuple[int, str]]) -> tuple[str, str]:
    comment = _COMMENT.match(prose[-1][1]) if prose else None
    if comment is None:
        return "", ""
    directive, _, detail = comment[1].partition(": ")
    return directive, detail
