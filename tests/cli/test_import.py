"""`hogbox import`: what it writes, what it refuses, and how it goes on."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

import hogbox._operations.importer
from hogbox._encryption import VARIABLE, is_sealed, new_key, open_payload
from hogbox._operations.importer import read_lines
from hogbox._store.importing import ImportStore
from hogbox.emulator import Emulator
from hogbox.errors import InvalidEvent
from tests.cli.conftest import TOKEN, Ended, Hogbox
from tests.fixtures.database import TestDatabase

OWN_UUID = "0190a3c1-0000-7000-8000-000000000001"


def event(number: int, **more: Any) -> dict[str, Any]:
    return {
        "event": "paid",
        "distinct_id": f"u{number % 7}",
        "timestamp": f"2024-05-17T09:30:{number % 60:02d}Z",
        "properties": {"number": number},
        **more,
    }


def write(path: Path, *events: object) -> Path:
    path.write_text("".join(f"{json.dumps(one)}\n" for one in events))
    return path


@pytest.fixture
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hogbox._operations.importer, "PORTION_EVENTS", 10)


def run(hogbox: Hogbox, database: TestDatabase, file: Path | str, *more: str) -> Ended:
    return hogbox("import", str(file), "-d", database.url, "--project-token", TOKEN, *more)


def uuids(database: TestDatabase) -> list[str]:
    return [one["uuid"] for one in database.events()]


def test_events_are_written_and_a_second_run_says_that_it_is_done(
    hogbox: Hogbox, database: TestDatabase, tmp_path: Path, small_portions: None
) -> None:
    file = write(tmp_path / "events.jsonl", *(event(number) for number in range(24)), event(24, uuid=OWN_UUID))
    ended = run(hogbox, database, file)
    assert (ended.returncode, ended.stdout) == (0, "25 events written to the outbox\n")
    assert [one["properties"]["number"] for one in database.events()] == [*range(25)]
    assert {row["lane"] for row in database.rows("posthog_outbox")} == {"historical"}
    assert len(set(uuids(database))) == 25
    assert uuids(database)[-1] == OWN_UUID
    (kept,) = database.rows("posthog_imports")
    assert (kept["name"], kept["events"], kept["position"]) == ("events.jsonl", 25, file.stat().st_size)
    again = run(hogbox, database, file)
    assert (again.returncode, again.stdout) == (0, "already imported: 25 events written by an earlier run\n")
    assert database.count("posthog_outbox") == 25


def test_an_import_that_was_cut_off_goes_on(
    hogbox: Hogbox,
    database: TestDatabase,
    tmp_path: Path,
    small_portions: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = write(tmp_path / "events.jsonl", *(event(number) for number in range(25)))
    whole, writes = ImportStore.write, []

    def write_twice(*arguments: Any) -> None:
        writes.append(arguments)
        if len(writes) == 3:
            raise KeyboardInterrupt
        whole(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(ImportStore, "write", write_twice)
        run_interrupted(hogbox, database, file)
    assert database.count("posthog_outbox") == 20
    ended = run(hogbox, database, file)
    assert ended.stdout == "5 events written to the outbox, 20 by an earlier run\n"
    assert [one["properties"]["number"] for one in database.events()] == [*range(25)]


def run_interrupted(hogbox: Hogbox, database: TestDatabase, file: Path) -> None:
    """Typer ends with 130 where the user interrupts."""
    assert run(hogbox, database, file).returncode == 130


def test_imported_events_are_encrypted_like_all_others(
    hogbox: Hogbox, sqlite_database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {VARIABLE: new_key()}
    file = write(tmp_path / "events.jsonl", event(1))
    ended = hogbox("import", str(file), "-d", sqlite_database.url, "--project-token", TOKEN, **keys)
    assert ended.returncode == 0
    (row,) = sqlite_database.rows("posthog_outbox")
    assert is_sealed(row["payload"])
    monkeypatch.setenv(VARIABLE, keys[VARIABLE])
    assert json.loads(open_payload(row["payload"]))["properties"]["number"] == 1


def test_p3_a_repeat_gives_the_same_uuids(hogbox: Hogbox, sqlite_database: TestDatabase, tmp_path: Path) -> None:
    file = write(tmp_path / "events.jsonl", event(1), event(1), event(2))
    run(hogbox, sqlite_database, file)
    first = uuids(sqlite_database)
    for table in ("outbox", "imports"):
        sqlite_database.execute(f"DELETE FROM posthog_{table}")
    run(hogbox, sqlite_database, file)
    assert uuids(sqlite_database) == first
    assert len(set(first)) == 3


def test_nothing_is_written_where_a_line_is_wrong(
    hogbox: Hogbox, sqlite_database: TestDatabase, tmp_path: Path
) -> None:
    file = write(tmp_path / "events.jsonl", event(1), event(2, timestamp="soon"))
    ended = run(hogbox, sqlite_database, file)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "line 2: timestamp 'soon' is not ISO 8601" in ended.stderr
    assert sqlite_database.count("posthog_outbox") == sqlite_database.count("posthog_imports") == 0


def test_a_dry_run_checks_and_needs_no_database(hogbox: Hogbox, tmp_path: Path) -> None:
    good = write(tmp_path / "good.jsonl", event(1), event(2))
    with good.open("a") as file:
        file.write("\n  \n")
    ended = hogbox("import", str(good), "--dry-run")
    assert (ended.returncode, ended.stdout) == (0, "2 events, no errors\n")
    bad = hogbox("import", str(write(tmp_path / "bad.jsonl", event(1), 7)), "--dry-run")
    assert (bad.returncode, "line 2: it is not a JSON object" in bad.stderr) == (1, True)


def test_two_at_once_do_not_write_twice(
    hogbox: Hogbox,
    sqlite_database: TestDatabase,
    tmp_path: Path,
    small_portions: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = write(tmp_path / "events.jsonl", *(event(number) for number in range(25)))
    whole = ImportStore.write

    def write_after_another(self: ImportStore, rows: Any, identifier: str, seen: int, reached: int) -> None:
        if seen == 0:
            whole(self, rows, identifier, seen, reached)
        whole(self, rows, identifier, seen, reached)

    monkeypatch.setattr(ImportStore, "write", write_after_another)
    ended = run(hogbox, sqlite_database, file)
    assert (ended.returncode, "Another process is importing the same file" in ended.stderr) == (1, True)
    assert sqlite_database.count("posthog_outbox") == 10


def test_standard_input_is_written_and_says_that_it_cannot_be_resumed(
    hogbox: Hogbox, sqlite_database: TestDatabase, monkeypatch: pytest.MonkeyPatch, small_portions: None
) -> None:
    def feed(*events: object) -> None:
        text = "".join(f"{json.dumps(one)}\n" for one in events).encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))

    for _ in range(2):
        feed(*(event(number) for number in range(12)))
        ended = run(hogbox, sqlite_database, "-")
        assert (ended.returncode, ended.stdout) == (0, "12 events written to the outbox\n")
        assert "can't be resumed" in ended.stderr
    assert (len(uuids(sqlite_database)), len(set(uuids(sqlite_database)))) == (24, 12)
    feed(*(event(number) for number in range(12)), 7)
    bad = run(hogbox, sqlite_database, "-")
    assert "line 13: it is not a JSON object (10 events before it are written already)" in bad.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.jsonl", "-d", "sqlite:///app.db"], "file not found: 'nowhere.jsonl'"),
        (["-", "--dry-run"], "--dry-run needs a file"),
        (["-", "-d", "sqlite:///app.db"], "no project token"),
        (["-"], "no database"),
    ],
)
def test_mistakes_are_sentences(hogbox: Hogbox, arguments: list[str], message: str) -> None:
    ended = hogbox("import", *arguments)
    assert (ended.returncode, message in ended.stderr) == (1, True)


def test_a_disabled_hogbox_imports_nothing(hogbox: Hogbox, sqlite_database: TestDatabase, tmp_path: Path) -> None:
    file = write(tmp_path / "events.jsonl", event(1))
    arguments = ("-d", sqlite_database.url, "--project-token", TOKEN)
    ended = hogbox("import", str(file), *arguments, HOGBOX_DISABLED="1")
    assert (ended.returncode, "is disabled" in ended.stderr) == (1, True)


def test_imported_events_travel_as_a_historical_migration_and_others_do_not(
    hogbox: Hogbox, database: TestDatabase, tmp_path: Path, emulator: Emulator, capture: Any
) -> None:
    run(hogbox, database, write(tmp_path / "events.jsonl", *(event(number) for number in range(5))))
    capture(database, 3)
    assert hogbox("deliver", "-d", database.url, "--host", emulator.url).returncode == 0
    received = emulator.events()
    assert sorted(one.historical_migration for one in received) == [False] * 3 + [True] * 5
    assert {one.event for one in received if one.historical_migration} == {"paid"}
    assert {one.timestamp for one in received if one.historical_migration} >= {"2024-05-17T09:30:04.000000+00:00"}


def test_the_memory_is_bounded_by_the_longest_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hogbox._operations.importer, "_LONGEST_LINE", 5)
    lines = read_lines(io.BytesIO(b"abc\n\nabcdef\n"))
    assert (next(lines).text, next(lines).text) == (b"abc", b"")
    with pytest.raises(InvalidEvent, match="line 3 is longer than 5 bytes"):
        next(lines)


def test_a_byte_order_mark_is_read_over_and_another_encoding_is_named(
    hogbox: Hogbox, sqlite_database: TestDatabase, tmp_path: Path
) -> None:
    file = write(tmp_path / "events.jsonl", event(1), event(2))
    text = file.read_text()
    file.write_text(text, encoding="utf-8-sig")
    assert run(hogbox, sqlite_database, file).returncode == 0
    assert len(sqlite_database.events()) == 2
    file.write_text(text, encoding="utf-16")
    ended = run(hogbox, sqlite_database, file)
    assert ended.returncode != 0
    assert "the file is in UTF-16: convert it to UTF-8" in " ".join(ended.stderr.split())
