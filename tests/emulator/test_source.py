"""Where the flags come from: documents, and a file that is looked at again before every answer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hogbox.emulator import Emulator
from hogbox.emulator.source import WatchedFile
from hogbox.errors import UsageError
from tests.emulator.flag_case import definitions, flag

Write = Callable[..., None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flags.json"


@pytest.fixture
def write(path: Path) -> Write:
    """Writes the file anew, with flags of these keys."""

    def write(*keys: str) -> None:
        path.write_text(json.dumps(definitions(*map(flag, keys))))

    return write


def keys(emulator: Emulator) -> list[str]:
    """The flags that an application is given."""
    headers = {"Authorization": "Bearer phs_secret"}
    polled = httpx2.get(f"{emulator.url}/flags/definitions?token=phc_t", headers=headers).json()
    asked = httpx2.post(f"{emulator.url}/flags/?v=2", json={"token": "phc_t", "distinct_id": "u1"}).json()
    assert list(asked["flags"]) == [flag["key"] for flag in polled["flags"]]
    return list(asked["flags"])


GIVEN: dict[str, Any] = {
    "decoded": definitions(flag("a")),
    "text": json.dumps(definitions(flag("a"))),
    "bytes": json.dumps(definitions(flag("a"))).encode(),
    "with a byte order mark": b"\xef\xbb\xbf" + json.dumps(definitions(flag("a"))).encode(),
}


@pytest.mark.parametrize("name", GIVEN)
def test_an_emulator_starts_with_flags_and_returns_to_them(name: str) -> None:
    with Emulator(flags=GIVEN[name]) as emulator:
        assert keys(emulator) == ["a"]
        emulator.set_flags(definitions(flag("b"), flag("c")))
        assert keys(emulator) == ["b", "c"]
        emulator.reset()
        assert keys(emulator) == ["a"]
        assert emulator.flags() == definitions(flag("a"))


def test_what_was_given_is_not_what_is_served(emulator: Emulator) -> None:
    mine = definitions(flag("a"))
    emulator.set_flags(mine)
    mine["flags"].append(5)
    told = emulator.flags()
    assert told == definitions(flag("a"))
    told["flags"].clear()
    assert keys(emulator) == ["a"]


@pytest.mark.parametrize(
    ("flags", "advice"),
    [
        ("flags.json", "not JSON.*a file is given as a pathlib.Path"),
        ("{", "not JSON"),
        (b"\xff\xff", "not JSON"),
        ([], "an object with a list of flags"),
        ({}, "`flags` in the flag definitions is a list, not null or absent"),
        ({"flags": [flag("a"), flag("a")]}, "repeats the key 'a'"),
        ({"flags": [{"key": "a", "x": float("nan")}]}, "cannot be sent as JSON"),
        ({"flags": [{"key": "a", "x": object()}]}, "cannot be sent as JSON"),
        ({"flags": [{"key": "\ud800"}]}, "cannot be sent as JSON"),
        ('{"flags": [{"key": "a", "x": 1e999}]}', "cannot be sent as JSON"),
    ],
)
def test_what_posthog_would_never_serve_is_refused(emulator: Emulator, flags: Any, advice: str) -> None:
    with pytest.raises(UsageError, match=f"^These flags cannot be served: .*{advice}"):
        emulator.set_flags(flags)
    with pytest.raises(UsageError, match=advice):
        Emulator(flags=flags)
    assert emulator.flags() is None


def test_a_file_is_followed(path: Path, write: Write) -> None:
    write("a")
    with Emulator(flags=path) as emulator:
        assert keys(emulator) == ["a"]
        for key in "bcdefgh":  # as long as before, within a tick of the file system's clock
            write(key)
            assert keys(emulator) == [key]
        write("a", "b")
        assert keys(emulator) == ["a", "b"]
        write("c")
        other = path.with_suffix(".new")
        path.rename(other)
        write("d")
        other.replace(path)
        assert keys(emulator) == ["c"]


def test_a_file_that_cannot_be_used_leaves_the_flags_as_they_were(path: Path, write: Write) -> None:
    write("a")
    with Emulator(flags=path) as emulator:

        def problem() -> str | None:
            told = httpx2.get(f"{emulator.url}/_emulator/flags").json()
            assert told["file"] == str(path)
            return told["problem"]  # type: ignore[no-any-return]

        assert problem() is None
        content = path.read_text()
        path.write_text(content[:-5])
        assert keys(emulator) == ["a"]
        assert (problem() or "").startswith(f"The flags file {path} cannot be used: the flag definitions are not JSON")
        path.write_text(content)
        assert (keys(emulator), problem()) == (["a"], None)
        path.unlink()
        assert keys(emulator) == ["a"]
        assert problem() == f"The flags file {path} cannot be read: No such file or directory."
        path.write_text(content)
        assert (keys(emulator), problem()) == (["a"], None)


def test_flags_that_are_set_take_over_from_the_file_until_a_reset(path: Path, write: Write) -> None:
    write("a")
    with Emulator(flags=path) as emulator:
        emulator.set_flags(definitions(flag("mine")))
        write("b")
        assert keys(emulator) == ["mine"]
        assert httpx2.get(f"{emulator.url}/_emulator/flags").json()["file"] is None
        emulator.reset()
        assert keys(emulator) == ["b"]


def test_a_file_can_be_set(emulator: Emulator, path: Path, write: Write) -> None:
    write("a")
    emulator.set_flags(path)
    write("b")
    assert keys(emulator) == ["b"]


def test_a_file_that_cannot_be_used_at_the_start_is_refused(path: Path) -> None:
    with pytest.raises(UsageError, match=r"flags\.json cannot be read: No such file or directory\.$"):
        Emulator(flags=path)
    path.write_text("[]")
    with pytest.raises(UsageError, match=r"flags\.json cannot be used: flag definitions are an object"):
        Emulator(flags=path)


def test_an_old_file_is_read_once(path: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("a")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    watched = WatchedFile(path)
    first = watched.read()
    monkeypatch.setattr(Path, "read_bytes", None)
    assert watched.read() is first
    monkeypatch.undo()
    write("b")
    os.utime(path, (1_000_000_000, 1_000_000_001))
    assert watched.read() is not first


def test_a_young_file_is_read_again_and_parsed_once(path: Path, write: Write) -> None:
    write("a")
    watched = WatchedFile(path)
    assert watched.read() is watched.read()


def test_a_problem_is_told_once(path: Path, write: Write) -> None:
    write("a")
    told: list[str] = []
    watched = WatchedFile(path, on_problem=told.append)
    path.write_text("{")
    watched.read()
    watched.read()
    path.unlink()
    watched.read()
    watched.read()
    assert len(told) == 2
    assert told[1] == (
        f"The flags file {path} cannot be read: No such file or directory. The previous flags stay in force."
    )


def test_a_pipe_is_read_once() -> None:
    read, write = os.pipe()
    os.write(write, json.dumps(definitions(flag("a"))).encode())
    os.close(write)
    watched = WatchedFile(f"/dev/fd/{read}")
    try:
        assert watched.read() is watched.read() is not None
        assert watched.problem is None
    finally:
        os.close(read)
