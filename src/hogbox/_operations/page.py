"""Page: the documentation as the package includes it, and the pages that findings and messages name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

from hogbox.errors import UsageError

_INSTALLED: Final = "_docs"
"""Where a wheel has the repository's `docs` (pyproject.toml)."""

_SECTIONS: Final = ("", "how-to", "explanation", "reference", "specification", "decisions")
_LINK: Final = re.compile(r"\[([^\]]+)\]\((?!\w+:)(?:[^()\s]*?([\w-]+)/)?([\w-]+)\.md(?:#[^()\s]*)?\)")


class Page(StrEnum):
    """The pages that findings and messages name, by their slugs."""

    CLUSTERS = "clusters"
    DEAD_LETTERS = "dead-letters"
    DEFINITIONS = "fix-stale-flag-definitions"
    DJANGO = "django"
    ORDER = "order"
    OUTAGES = "handle-outages"
    POSTGRESQL = "run-on-postgresql"
    SETTINGS = "settings"
    SQLITE = "run-on-sqlite"
    WORKER = "run-a-worker"
    WRONG_TOKEN = "fix-a-wrong-token"  # noqa: S105 - a page


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A page that is installed. `section` is the name of its folder, empty at the top."""

    slug: str
    section: str
    title: str
    text: str


def how_to_open(page: str) -> str:
    """The command that shows a page to a user who installed hogbox from a package index."""
    return f"hogbox docs {page}"


def read_pages() -> Mapping[str, StoredPage]:
    """Every page by its slug, those of the same section together. Raises UsageError where none are installed."""
    pages = sorted(_read(docs_folder(), ""), key=lambda page: (_rank(page.section), page.slug))
    return {page.slug: page for page in pages}


def find_page(pages: Mapping[str, StoredPage], slug: str) -> StoredPage:
    """The page with this slug. Raises UsageError, which names similar ones, where there is none."""
    if slug in pages:
        return pages[slug]
    similar = [*difflib.get_close_matches(slug.lower(), pages, cutoff=0.5), *(one for one in pages if slug in one)]
    meant = f"similar: {', '.join(dict.fromkeys(similar[:5]))}" if slug and similar else "`hogbox docs` lists all pages"
    raise UsageError(f"there is no page {slug!r}; {meant}")


def with_commands(text: str) -> str:
    """The text of a page with the commands that open other pages in place of links to their files."""
    return _LINK.sub(lambda found: f"{found[1]} (`{how_to_open(_slug(found[3], found[2] or ''))}`)", text)


def docs_folder() -> Traversable:
    """The folder of the documentation: the package's, or the repository's in an editable installation."""
    installed = files("hogbox") / _INSTALLED
    folder = installed if installed.is_dir() else Path(__file__).parents[3] / "docs"
    if not (folder / "index.md").is_file():
        raise UsageError("the documentation is not installed: install hogbox from a wheel, or from its repository")
    return folder


def _read(folder: Traversable, section: str) -> Iterator[StoredPage]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _read(entry, entry.name)
        elif entry.name.endswith(".md"):
            text = entry.read_text("utf-8")
            title = text.partition("\n")[0].lstrip("# ")
            yield StoredPage(_slug(entry.name.removesuffix(".md"), section), section, title, text)


def _slug(name: str, section: str) -> str:
    """The name of a page's file; an index has the name of its section."""
    return section if name == "index" and section else name


def _rank(section: str) -> int:
    return _SECTIONS.index(section) if section in _SECTIONS else len(_SECTIONS)
