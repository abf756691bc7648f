"""A class name means one thing in the whole package, so that a reader who searches for it finds it."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path
from typing import Final

import hogbox

SOURCE: Final = Path(hogbox.__file__).parent

REPEATED: Final = {
    "Command": "Django finds a management command by this name",
    "Meta": "Django and msgspec read a class's options from this name",
    "DeadLetter": "a Django model is named after the row that it shows; the other is the same row in a test",
    "Exposure": "a Django model is named after the row that it shows",
    "Refresh": "a Django model is named after the row that it shows",
}
"""Names that several classes have, each with its reason."""


def class_names() -> dict[str, list[str]]:
    """The modules in which a class of each name is defined."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(str(path.relative_to(SOURCE)))
    return found


def test_class_names_are_unique() -> None:
    repeated = {name: modules for name, modules in class_names().items() if len(modules) > 1}
    assert set(repeated) - set(REPEATED) == set(), repeated


def test_every_exception_is_needed() -> None:
    assert {name for name in REPEATED if len(class_names()[name]) < 2} == set()
