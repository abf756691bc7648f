"""What holds for every file: modules say what they are for, and nothing names the machine that it was written on."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.page import ROOT

MODULES = sorted((ROOT / "src" / "hogbox").rglob("*.py"))
PUBLIC_REGISTRIES = {".".join(("pypi", "org")), ".".join(("files", "pythonhosted", "org"))}
"""Put together from parts, since the rule holds for this file too."""


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_a_module_opens_by_saying_what_it_is_for(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text()))


def test_no_file_names_a_registry() -> None:
    assert list(mentions(registry_names())) == []


def test_no_file_names_an_absolute_path_of_this_machine() -> None:
    assert list(mentions([str(ROOT), sys.prefix])) == []


def test_nothing_chooses_a_registry() -> None:
    files = [path for path in text_files() if path.suffix in (".toml", ".txt", ".cfg") or path.name == "Makefile"]
    found = [path for path in files if re.search(r"index-url|find-links|trusted-host", path.read_text())]
    assert found == []


def mentions(names: list[str]) -> Iterator[str]:
    """Where one of the names stands by itself."""
    patterns = [re.compile(rf"(?<![\w/.:-]){re.escape(name)}(?![\w-])") for name in names]
    for path in text_files():
        text = path.read_text()
        for name, pattern in zip(names, patterns, strict=True):
            if name in text and pattern.search(text):
                yield f"{path.relative_to(ROOT)}: {name}"


def text_files() -> list[Path]:
    """The files under version control, and those that could be, but for what is no text."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in files if path.is_file() and b"\0" not in path.read_bytes()]


def registry_names() -> list[str]:
    """The public registries, and the hosts and folders that pip is told to install from."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    found = set(PUBLIC_REGISTRIES)
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        if re.search(r"index|links|host", name):
            found.update(filter(None, (_place(text) for text in re.findall(r"[^\s'\"]+", value))))
    return sorted(found)


def _place(text: str) -> str | None:
    """The host of an address, or the folder."""
    address = urlsplit(text)
    return address.hostname or (address.path if address.path.startswith("/") else None)
