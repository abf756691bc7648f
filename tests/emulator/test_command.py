"""`hogbox emulator` as a process: it says where it listens, and ends cleanly."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

import hogbox
from tests.emulator.conftest import Build
from tests.emulator.flag_case import definitions, flag

RUN = "import typer; from hogbox.emulator.command import emulator; typer.run(emulator)"
SOURCE = str(Path(hogbox.__file__).parents[1])


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and the first line that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-X", "dev", "-c", RUN, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SOURCE},
    )
    with process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_ends_cleanly(number: signal.Signals, batch: Build) -> None:
    with running("--port", "0", "--token", "phc_t") as (process, line):
        match = re.fullmatch(
            r"The emulator is listening on (\S+): run your application with POSTHOG_HOST=(\S+)\n", line
        )
        assert match is not None
        assert match[1] == match[2]
        assert match[1].startswith("http://127.0.0.1:")
        with httpx2.Client(base_url=match[1]) as client:
            assert client.post("/batch/", json=batch()).status_code == 200
            assert client.post("/batch/", json=batch(api_key="phc_other")).status_code == 401
            assert client.get("/_emulator/summary").json()["events"] == 1
            process.send_signal(number)
            rest, errors = process.communicate(timeout=10)
        assert (process.returncode, rest, errors) == (0, "", "")


def test_beyond_loopback_it_warns() -> None:
    with running("--port", "0", "--host", "0.0.0.0") as (process, line):
        assert "http://0.0.0.0:" in line
        process.terminate()
        _, errors = process.communicate(timeout=10)
    assert errors == "Warning: 0.0.0.0 is reachable from other machines, and there is no authentication.\n"


def test_a_taken_port_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with running("--port", port) as (process, line):
            _, errors = process.communicate(timeout=10)
    assert (line, process.returncode) == ("", 1)
    assert errors == f"hogbox emulator cannot listen on 127.0.0.1:{port}: Address already in use.\n"


def test_flags_come_from_a_file_that_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "flags.json"
    path.write_text(json.dumps(definitions(flag("a"))))
    asked = {"token": "phc_t", "distinct_id": "u1"}
    with running("--port", "0", "--flags", str(path)) as (process, line):
        url = line.split("=")[1].strip()
        assert list(httpx2.post(f"{url}/flags/?v=2", json=asked).json()["flags"]) == ["a"]
        path.write_text(json.dumps(definitions(flag("b"))))
        assert list(httpx2.post(f"{url}/flags/?v=2", json=asked).json()["flags"]) == ["b"]
        path.unlink()
        assert list(httpx2.post(f"{url}/flags/?v=2", json=asked).json()["flags"]) == ["b"]
        process.terminate()
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest) == (0, "")
    assert (
        errors
        == f"The flags file {path} cannot be read: No such file or directory. The previous flags stay in force.\n"
    )


def test_flags_that_cannot_be_read_are_a_sentence(tmp_path: Path) -> None:
    with running("--port", "0", "--flags", str(tmp_path / "none.json")) as (process, line):
        _, errors = process.communicate(timeout=10)
    assert (line, process.returncode) == ("", 1)
    assert errors == f"The flags file {tmp_path / 'none.json'} cannot be read: No such file or directory.\n"
