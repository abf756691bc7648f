"""Where a page's blocks run: an empty folder, an emulator in place of `127.0.0.1:8010`, nothing else prepared."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import Engine

from hogbox import PostHog
from hogbox.emulator import Emulator
from tests.docs.page import ROOT, Block, Page
from tests.fixtures.forked import run_hogbox
from tests.fixtures.port import free_port

PORT = "8010"
"""The port of the emulator in the pages; here it becomes a free one."""

METRICS_PORT = "9464"
"""The port of a worker's metrics; the same."""

PATIENCE = 120.0

_ASSIGNMENT = re.compile(r"export ([A-Z_]+)=([\w:/.@-]+)")
_COMMAND = re.compile(r"hogbox( [\w:/.@=-]+)+")


class Sandbox:
    """Runs the blocks of one page, in order, in one namespace and one folder."""

    def __init__(self, page: Page, folder: Path, monkeypatch: pytest.MonkeyPatch, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch
        self._stack = stack
        self._port = _port(page, stack)
        self._metrics_port = free_port()
        self._module = ModuleType("page")
        self._printed = ""
        monkeypatch.setitem(sys.modules, "page", self._module)
        monkeypatch.chdir(folder)
        for name in [name for name in os.environ if name.startswith(("HOGBOX_", "POSTHOG_"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    def run(self, block: Block) -> None:
        """Run the block, or do what its comment says in place of that."""
        text = block.text.replace(PORT, str(self._port)).replace(METRICS_PORT, str(self._metrics_port))
        match block.directive, block.language:
            case "not run" | "signature", _:
                return
            case "file", _:
                (self._folder / block.detail).write_text(text)
            case "output", _:
                assert _fits(block.text, self._printed), f"{block.where}: this was printed:\n{self._printed}"
            case "background until", "sh":
                self._start(block, text)
            case "", "python":
                self._python(block, text)
            case "", "sh":
                self._shell(block, text)
            case "", "sql":
                self._sql(text)

    def close(self) -> None:
        """Close what the page's blocks left open."""
        for value in vars(self._module).values():
            if isinstance(value, PostHog):
                value.shutdown()
            elif isinstance(value, Engine):
                value.dispose()
            elif isinstance(value, sqlite3.Connection):
                value.close()

    def _python(self, block: Block, text: str) -> None:
        code = compile("\n" * block.line + text, str(block.page), "exec")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, vars(self._module))
        self._printed = printed.getvalue()

    def _shell(self, block: Block, text: str) -> None:
        """Run it with bash; what it exports is there for the blocks that follow."""
        lines = text.splitlines()
        if all(_ASSIGNMENT.fullmatch(line) or _COMMAND.fullmatch(line) for line in lines):
            self._printed = "".join(self._line(block, line) for line in lines)
            return
        variables = self._folder / ".environment"
        script = f"trap 'env -0 >{variables}' EXIT\n{text}"
        done = subprocess.run(
            ["bash", "-euc", script], capture_output=True, text=True, timeout=PATIENCE, check=False, env=os.environ
        )
        assert done.returncode == 0, f"{block.where} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        self._printed = done.stdout
        for entry in variables.read_text().split("\0"):
            name, _, value = entry.partition("=")
            if name.startswith(("HOGBOX_", "POSTHOG_")):
                self._monkeypatch.setenv(name, value)
        variables.unlink()

    def _line(self, block: Block, line: str) -> str:
        """Run a line that means the same without a shell: bash and Python take a second to start it."""
        if found := _ASSIGNMENT.fullmatch(line):
            self._monkeypatch.setenv(found[1], found[2])
            return ""
        done = run_hogbox(line.split()[1:], os.environ, PATIENCE)
        assert done.returncode == 0, f"{block.where} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def _sql(self, text: str) -> None:
        with contextlib.closing(sqlite3.connect("app.db")) as connection:
            connection.executescript(text)

    def _start(self, block: Block, text: str) -> None:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {text}"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ
        )
        said, heard = threading.Event(), list[str]()
        reader = threading.Thread(target=_listen, args=(process, block.detail, said, heard))
        reader.start()
        self._stack.callback(_end, process, reader)
        assert said.wait(PATIENCE), f"{block.where}: waited in vain for {block.detail!r}:\n{''.join(heard)}"
        assert any(block.detail in line for line in heard), f"{block.where} ended:\n{''.join(heard)}"


@contextlib.contextmanager
def sandbox(page: Page, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A sandbox for this page; everything that it started has ended afterwards."""
    with contextlib.ExitStack() as stack:
        opened = Sandbox(page, folder, monkeypatch, stack)
        stack.callback(opened.close)
        yield opened


def _port(page: Page, stack: contextlib.ExitStack) -> int:
    """The port of an emulator that runs, or a free one where the page starts an emulator of its own."""
    if any(block.directive == "background until" and "hogbox emulator" in block.text for block in page.blocks):
        return free_port()
    return stack.enter_context(Emulator()).port


def _listen(process: subprocess.Popen[str], text: str, said: threading.Event, heard: list[str]) -> None:
    for line in process.stdout or ():
        heard.append(line)
        if text in line:
            said.set()
    said.set()


def _end(process: subprocess.Popen[str], reader: threading.Thread) -> None:
    process.terminate()
    process.wait()
    reader.join()
    if process.stdout:
        process.stdout.close()


def _fits(expected: str, printed: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in expected.rstrip().split("..."))
    return re.fullmatch(pattern, printed.rstrip(), re.DOTALL) is not None
