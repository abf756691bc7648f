"""What people read is plain English: messages, log lines, help texts and pages hold none of these words."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.docs.page import DOCS, ROOT

AVOIDED: Final = (
    r"mend(s|ed|ing)?|rightly|of late|anew|nobody's|in earnest|but for|besides|so many|(?<!AND )(?<!OR )of none|bears?"
)
"""Words for which there is a usual one: fix, correctly, recently, again, unassigned, except, also, N, contains."""

NEGATED: Final = r"(?<![Tt]here )is no (?!longer)[a-z]+|(is|are) none(?! of)"
"""What something is not, as nobody says it: "is not a number"."""

CODE: Final = ROOT / "src" / "hogbox"
GENERATED: Final = CODE / "flags" / "_compiled"
"""Its texts are source code."""


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """The texts in a module that are no docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


@pytest.mark.parametrize("package", sorted({path.parent for path in CODE.rglob("*.py")} - {GENERATED}), ids=str)
def test_messages_use_usual_words(package: Path) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text!r}"
        for path in package.glob("*.py")
        for line, text in messages(path)
        if re.search(rf"\b({AVOIDED}|{NEGATED})\b", text)
    ]
    assert found == []


PAGES: Final = [ROOT / "README.md", *(page for page in DOCS.rglob("*.md") if page.parent.name != "decisions")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_use_usual_words(page: Path) -> None:
    prose = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.S)
    assert [match[0] for match in re.finditer(rf"\b({AVOIDED})\b", prose)] == []
