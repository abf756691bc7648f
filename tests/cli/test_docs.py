"""`hogbox docs`: the pages that findings name can be opened from an installed package."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hogbox._operations.page import Page, find_page, how_to_open, read_pages, with_commands
from hogbox.errors import UsageError
from tests.cli.conftest import Hogbox
from tests.docs.page import DOCS, ROOT


def test_every_page_has_a_slug_of_its_own() -> None:
    pages = read_pages()
    assert len(pages) == len(list(DOCS.rglob("*.md")))
    assert pages["decisions"].text == (DOCS / "decisions" / "index.md").read_text()
    assert pages["index"].text == (DOCS / "index.md").read_text()


@pytest.mark.parametrize("page", Page)
def test_the_pages_that_findings_name_exist(page: Page) -> None:
    assert page in read_pages()
    assert how_to_open(page) == f"hogbox docs {page}"


def test_the_list_names_every_page_and_its_title(hogbox: Hogbox) -> None:
    listed = hogbox("docs")
    assert listed.returncode == 0
    names = [line.split()[0] for line in listed.stdout.splitlines() if line.startswith("  ")]
    assert names == list(read_pages())
    assert "  run-a-worker                 Deliver events with a worker\n" in listed.stdout


def test_a_page_is_printed_as_it_is_where_nobody_looks(hogbox: Hogbox) -> None:
    printed = hogbox("docs", "run-a-worker")
    assert (printed.returncode, printed.stdout) == (0, (DOCS / "how-to" / "run-a-worker.md").read_text())


def test_on_a_terminal_links_are_commands(environment: dict[str, str]) -> None:
    shown = " ".join(on_terminal(["docs", "tutorial"], environment).split())
    assert "(hogbox docs run-a-worker)" in re.sub(r"\x1b\[[\d;]*m", "", shown)
    assert "\x1b[" in shown
    assert ".md" not in shown
    assert "<!--" not in shown


def on_terminal(arguments: list[str], environment: dict[str, str]) -> str:
    """What the command prints on a terminal."""
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "hogbox", *arguments]
    with subprocess.Popen(command, stdout=its, env={**environment, "COLUMNS": "100", "TERM": "xterm-256color"}):
        os.close(its)
        shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    return shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux: the other side was closed
        return b""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see [a page](../how-to/django.md#urls).", "see a page (`hogbox docs django`)."),
        ("[all](decisions/index.md), [here](index.md)", "all (`hogbox docs decisions`), here (`hogbox docs index`)"),
        (
            "[web](https://example.com/a.md) [file](../../src/x.py)",
            "[web](https://example.com/a.md) [file](../../src/x.py)",
        ),
    ],
)
def test_links_to_pages_become_commands(text: str, expected: str) -> None:
    assert with_commands(text) == expected


def test_an_unknown_page_is_an_error_with_similar_ones(hogbox: Hogbox) -> None:
    wrong = hogbox("docs", "run-a-workr")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == "hogbox: there is no page 'run-a-workr'; similar: run-a-worker\n"
    assert "similar: handle-outages" in hogbox("docs", "outage").stderr
    assert "`hogbox docs` lists all pages" in hogbox("docs", "xyzzy").stderr
    with pytest.raises(UsageError):
        find_page(read_pages(), "")


def test_the_wheel_includes_the_pages(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    opened = subprocess.run(
        # -P: neither the repository nor its editable installation comes before the wheel.
        [
            sys.executable,
            "-P",
            "-c",
            "import hogbox, sys; sys.argv[1:] = ['docs']; from hogbox.cli import main; main()",
        ],
        env={"PYTHONPATH": str(tmp_path / "installed")},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert opened.stdout.endswith(f"The files are in {tmp_path / 'installed' / 'hogbox' / '_docs'}.\n")
    assert "  run-a-worker " in opened.stdout
