"""Every example in the documentation runs, or says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.page import DIRECTIVES, PAGES, ROOT, RUNNABLE, Page, read_page
from tests.docs.sandbox import sandbox

WITH_CODE = [page for page in map(read_page, PAGES) if any(block.language in RUNNABLE for block in page.blocks)]


def name_of(page: Page) -> str:
    return str(page.path.relative_to(ROOT))


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_the_examples_of_a_page_run_in_order(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sandbox(page, tmp_path, monkeypatch) as opened:
        for block in page.blocks:
            opened.run(block)


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_a_block_that_does_not_run_says_why(page: Page) -> None:
    for block in page.blocks:
        assert block.directive in ("", *DIRECTIVES), f"{block.where}: what is {block.directive!r}?"
        if block.directive == "not run":
            assert block.detail, f"{block.where}: no reason is given"


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_python_that_does_not_run_is_python_all_the_same(page: Page) -> None:
    for block in page.blocks:
        if block.language == "python" and block.directive == "not run":
            compile(block.text, block.where, "exec")
