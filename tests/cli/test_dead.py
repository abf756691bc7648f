"""`hogbox dead`: what an operator sees and does, on each database."""

from __future__ import annotations

import io
import json
import stat
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hogbox import PostHog
from hogbox._store.connections.database import Database
from hogbox._store.dead_letter import DeadLetterStore
from hogbox._store.person import sought
from hogbox._store.selection import Selection
from hogbox.cli.dead_letter import cells, facts, in_full
from hogbox.emulator import Emulator
from tests.cli.conftest import TOKEN, Hogbox
from tests.fixtures.database import TestDatabase


def bury(database: TestDatabase, *names: str, distinct_id: str = "guest") -> list[dict[str, Any]]:
    """Dead letters, as a capture makes them."""
    posthog = PostHog(project_token=TOKEN)
    with database.engine.begin() as connection:
        for name in names:
            posthog.capture(connection, name, distinct_id=distinct_id, properties={"note": "\x1b[31m"})
    return database.dead_letters()


def pardon(database: TestDatabase) -> None:
    """Make the letters such that nothing is wrong with them any more."""
    database.execute("""UPDATE posthog_dead_letters SET payload = replace(payload, '"guest"', '"c-19"')""")


@pytest.fixture
def editor(tmp_path: Path) -> dict[str, str]:
    """The variable of an editor that replaces `OLD` by `NEW` in the file, and keeps a copy of what it saw."""
    script = tmp_path / "editor.py"
    script.write_text(
        "import os, pathlib, sys\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "pathlib.Path('seen.txt').write_text(f'{path.stat().st_mode:o}' + path.read_text())\n"
        "path.write_text(path.read_text().replace(os.environ['OLD'], os.environ['NEW']))\n"
    )
    return {"VISUAL": f"'{sys.executable}' '{script}'"}


def test_letters_are_listed_newest_first(hogbox: Hogbox, database: TestDatabase) -> None:
    one, two = bury(database, "one", "two")
    done = hogbox("dead", "list", "-d", database.url)
    head, first, second = done.stdout.splitlines()
    assert head.split()[:4] == ["ID", "DIED", "STATUS", "PROJECT"]
    assert first.split()[0] == str(two["id"])
    assert second.split()[0] == str(one["id"])
    assert one["event_uuid"] in second
    assert "phc_a_to…" in second
    assert "PostHog creates no person" in second
    assert TOKEN not in done.stdout
    only = hogbox("dead", "list", "-d", database.url, "--event", "two", "--newer-than", "1h", "--json")
    assert [letter["uuid"] for letter in json.loads(only.stdout)] == [two["event_uuid"]]
    assert hogbox("dead", "list", "-d", database.url, "--older-than", "7d").stdout == "no dead letters\n"


def test_one_is_shown_with_its_event(hogbox: Hogbox, sqlite_database: TestDatabase) -> None:
    (letter,) = bury(sqlite_database, "one")
    done = hogbox("dead", "show", "-d", sqlite_database.url, letter["event_uuid"])
    assert done.returncode == 0
    assert '"distinct_id": "guest"' in done.stdout
    assert "reason:     distinct_id 'guest'" in done.stdout
    assert TOKEN not in done.stdout
    assert "\x1b" not in done.stdout
    whole = json.loads(hogbox("dead", "show", "-d", sqlite_database.url, str(letter["id"]), "--json").stdout)
    assert whole[0]["payload"] == letter["payload"]
    missing = hogbox("dead", "show", "-d", sqlite_database.url, "999")
    assert (missing.returncode, missing.stdout) == (1, "no such dead letter\n")


def test_p3_a_retry_delivers_them_in_order_with_uuid_and_timestamp(
    hogbox: Hogbox, database: TestDatabase, emulator: Emulator
) -> None:
    bury(database, "one", "two", "three")
    pardon(database)
    before = [row["payload"] for row in database.dead_letters()]
    done = hogbox("dead", "retry", "-d", database.url, "--reason", "CREATES NO PERSON")
    assert (done.returncode, done.stdout) == (0, "3 requeued\n")
    assert database.count("posthog_dead_letters") == 0
    hogbox("deliver", "-d", database.url, "--host", emulator.url)
    assert [(event.uuid, event.event) for event in emulator.events()] == [(one["uuid"], one["event"]) for one in before]


def test_what_would_be_refused_again_stays(hogbox: Hogbox, sqlite_database: TestDatabase) -> None:
    (letter,) = bury(sqlite_database, "one")
    done = hogbox("dead", "retry", "-d", sqlite_database.url, "--all")
    assert (done.returncode, done.stdout) == (1, "0 requeued, 1 skipped: edit them with hogbox dead edit\n")
    assert f"{letter['id']} skipped: distinct_id 'guest'" in done.stderr
    forced = hogbox("dead", "retry", "-d", sqlite_database.url, str(letter["id"]), "--force")
    assert (forced.returncode, forced.stdout) == (0, "1 requeued\n")


@pytest.mark.parametrize("command", ["retry", "purge"])
def test_nothing_is_done_to_all_unless_that_is_said(
    hogbox: Hogbox, sqlite_database: TestDatabase, command: str
) -> None:
    bury(sqlite_database, "one")
    done = hogbox("dead", command, "-d", sqlite_database.url)
    assert done.returncode == 1
    assert "select dead letters by ids" in done.stderr
    assert sqlite_database.count("posthog_dead_letters") == 1


def test_an_edited_event_is_mended_and_put_back(
    hogbox: Hogbox, database: TestDatabase, editor: dict[str, str], emulator: Emulator, tmp_path: Path
) -> None:
    (letter,) = bury(database, "one")
    done = hogbox("dead", "edit", "-d", database.url, str(letter["id"]), "--retry", OLD="guest", NEW="c-19", **editor)
    assert (done.returncode, done.stdout) == (0, f"dead letter {letter['id']} requeued\n")
    assert (tmp_path / "seen.txt").read_text().startswith(f"{stat.S_IFREG | 0o600:o}{{\n")
    assert database.count("posthog_dead_letters") == 0
    hogbox("deliver", "-d", database.url, "--host", emulator.url)
    (event,) = emulator.events()
    assert (event.uuid, event.distinct_id, event.properties["note"]) == (letter["event_uuid"], "c-19", "\x1b[31m")


def test_an_edited_event_stays_a_dead_letter_until_it_is_retried(
    hogbox: Hogbox, sqlite_database: TestDatabase, editor: dict[str, str]
) -> None:
    (letter,) = bury(sqlite_database, "one")
    done = hogbox("dead", "edit", "-d", sqlite_database.url, str(letter["id"]), OLD="guest", NEW="c-19", **editor)
    assert "requeue it with hogbox dead retry" in done.stdout
    (kept,) = sqlite_database.dead_letters()
    assert kept["payload"] == {**letter["payload"], "distinct_id": "c-19"}


def test_an_unchanged_file_changes_nothing(
    hogbox: Hogbox, sqlite_database: TestDatabase, editor: dict[str, str]
) -> None:
    (letter,) = bury(sqlite_database, "one")
    done = hogbox("dead", "edit", "-d", sqlite_database.url, str(letter["id"]), OLD="x", NEW="x", **editor)
    assert (done.returncode, done.stdout) == (0, "nothing changed\n")
    assert sqlite_database.dead_letters() == [letter]


@pytest.mark.parametrize("field", ["uuid", "timestamp"])
def test_another_uuid_or_timestamp_needs_an_option(
    hogbox: Hogbox, sqlite_database: TestDatabase, editor: dict[str, str], field: str
) -> None:
    (letter,) = bury(sqlite_database, "one")
    before = str(letter["payload"][field])
    after = before.replace(before[:4], "1999", 1)
    arguments = ("dead", "edit", "--force", "-d", sqlite_database.url, str(letter["id"]))
    done = hogbox(*arguments, OLD=before, NEW=after, **editor)
    assert done.returncode == 1
    assert f"another {field} makes it another event; --allow-{field} accepts it" in done.stderr
    Path(done.stderr.split("kept in ")[1].split()[0]).unlink()
    assert hogbox(*arguments, f"--allow-{field}", OLD=before, NEW=after, **editor).returncode == 0
    (kept,) = sqlite_database.dead_letters()
    assert kept["payload"][field] == after


def test_a_bad_text_is_kept_and_said_to_be(
    hogbox: Hogbox, sqlite_database: TestDatabase, editor: dict[str, str]
) -> None:
    (letter,) = bury(sqlite_database, "one")
    done = hogbox("dead", "edit", "-d", sqlite_database.url, str(letter["id"]), OLD='"guest"', NEW="guest", **editor)
    assert done.returncode == 1
    assert "invalid event: it is not valid JSON" in done.stderr
    kept = Path(done.stderr.split("kept in ")[1].split()[0])
    assert '"distinct_id": guest' in kept.read_text()
    kept.unlink()
    assert sqlite_database.dead_letters() == [letter]


def test_without_an_editor_it_says_so(hogbox: Hogbox, sqlite_database: TestDatabase) -> None:
    (letter,) = bury(sqlite_database, "one")
    done = hogbox("dead", "edit", "-d", sqlite_database.url, str(letter["id"]), VISUAL="no-such-editor")
    assert done.returncode == 1
    assert "set VISUAL or EDITOR" in done.stderr
    assert "there is no dead letter 999" in hogbox("dead", "edit", "-d", sqlite_database.url, "999").stderr


@pytest.mark.parametrize("command", ["vi 'odd", 'vi "odd', "hogbox-no-such-editor"])
def test_an_editor_that_cant_be_started_leaves_no_file_behind(
    hogbox_process: Hogbox, sqlite_database: TestDatabase, tmp_path: Path, command: str
) -> None:
    (letter,) = bury(sqlite_database, "one")
    (folder := tmp_path / "temporary").mkdir()
    arguments = ("dead", "edit", str(letter["id"]), "-d", sqlite_database.url)
    done = hogbox_process(*arguments, VISUAL=command, TMPDIR=str(folder))
    assert "set VISUAL or EDITOR" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(folder.iterdir())


def test_an_export_is_readable_by_its_owner_only_and_follows_no_link(
    hogbox: Hogbox, sqlite_database: TestDatabase, tmp_path: Path
) -> None:
    bury(sqlite_database, "one")
    hogbox("dead", "export", "-d", sqlite_database.url, "-o", str(written := tmp_path / "letters.jsonl"))
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    (link := tmp_path / "link.jsonl").symlink_to(target := tmp_path / "target.jsonl")
    assert hogbox("dead", "export", "-d", sqlite_database.url, "-o", str(link)).returncode == 2
    assert not target.exists()


def test_letters_are_exported_as_lines(hogbox: Hogbox, database: TestDatabase, tmp_path: Path) -> None:
    letters = bury(database, "one", "two")
    done = hogbox("dead", "export", "-d", database.url)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["payload"] for line in lines] == [letter["payload"] for letter in letters]
    assert TOKEN not in done.stdout
    into = hogbox("dead", "export", "-d", database.url, "-o", "letters.jsonl", "--event", "two")
    assert into.stderr == "1 exported\n"
    assert json.loads((tmp_path / "letters.jsonl").read_text())["event"] == "two"
    assert hogbox("dead", "export", "-d", database.url, "-o", "letters.jsonl").returncode == 2
    assert database.count("posthog_dead_letters") == 2


def test_letters_are_purged_after_a_question(
    hogbox: Hogbox, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(database, "one", "two", "three")
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    refused = hogbox("dead", "purge", "-d", database.url, "--event", "one")
    assert refused.returncode == 1
    assert "Permanently remove 1 dead letter?" in refused.stdout
    assert database.count("posthog_dead_letters") == 3
    done = hogbox("dead", "purge", "-d", database.url, "--event", "one", "--yes")
    assert (done.returncode, done.stdout) == (0, "1 removed\n")
    assert [letter["payload"]["event"] for letter in database.dead_letters()] == ["two", "three"]
    assert hogbox("dead", "purge", "-d", database.url, "--all", "--yes").stdout == "2 removed\n"


def test_what_is_no_id_or_age_is_a_wrong_option(hogbox: Hogbox, sqlite_database: TestDatabase) -> None:
    for arguments in (["dead", "show", "nothing"], ["dead", "list", "--older-than", "soon"]):
        done = hogbox(*arguments, "-d", sqlite_database.url)
        assert done.returncode == 2
        assert "soon" in done.stderr or "nothing" in done.stderr


@pytest.mark.parametrize(
    "spoiled",
    [
        "payload = x'7bff7d'",
        "project = x'ff'",
        "died_at = 9223372036854775807, created_at = 'long ago'",
        f"""payload = '{{"event":"paid","properties":{"[" * 50_000}'""",
    ],
)
def test_letters_that_another_program_spoiled_are_shown_and_searched(
    sqlite_database: TestDatabase, spoiled: str
) -> None:
    bury(sqlite_database, "one")
    sqlite_database.execute(f"UPDATE posthog_dead_letters SET {spoiled.replace(':', chr(92) + ':')}")
    with closing(Database(sqlite_database.url, "posthog_")) as database:
        (letter,) = DeadLetterStore(database).find(Selection())
        assert json.dumps(facts(letter))
        assert cells(letter)
        assert in_full(letter)
        assert sought(letter.id, letter.payload, "nobody") is None
