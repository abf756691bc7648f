"""Links lead somewhere, and paths in the prose exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.page import DOCS, PAGES, ROOT, Page, read_page, slug

PATH = re.compile(r"(?:src|tests|docs|examples|benchmarks)/[\w./-]+")


@pytest.fixture(params=PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Page:
    return read_page(request.param)


def test_relative_links_resolve(page: Page) -> None:
    for line, target in page.links():
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.path.parent / path).resolve() if path else page.path
        assert found.exists(), f"{page.path}:{line}: there is no {target}"
        if anchor:
            assert anchor in map(slug, read_page(found).headings), f"{page.path}:{line}: {target} has no such heading"


def test_paths_in_the_prose_exist(page: Page) -> None:
    for line, code in page.inline_code():
        if PATH.fullmatch(code):
            assert (ROOT / code).exists(), f"{page.path}:{line}: there is no {code}"


def test_a_page_begins_with_its_one_title(page: Page) -> None:
    assert page.prose[0][1].startswith("# ")
    assert [text for _, text in page.prose if re.match(r"# \w", text)] == [page.prose[0][1]]


def test_every_page_can_be_reached_from_the_index() -> None:
    seen, new = set(), {DOCS / "index.md"}
    while new:
        seen |= new
        targets = {(path.parent / target.partition("#")[0]).resolve() for path in new for target in local_links(path)}
        new = {path for path in targets if path.suffix == ".md"} - seen
    assert set(DOCS.rglob("*.md")) <= seen


def local_links(path: Path) -> list[str]:
    return [target for _, target in read_page(path).links() if not target.startswith(("http://", "https://", "#"))]
