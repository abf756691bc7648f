"""`hogbox`: help, version, mistakes, `migrate`."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

import hogbox as package
from hogbox import PostHog
from hogbox._operations.console import describe
from hogbox._store.schema.table import SCHEMA_VERSION
from hogbox.cli import main
from hogbox.errors import InvalidEvent, TablesNewer
from tests.cli.conftest import Ended, Hogbox
from tests.fixtures.database import TestDatabase


def test_help_lists_every_command(hogbox: Hogbox) -> None:
    done = hogbox("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("migrate", "worker", "deliver", "emulator"):
        assert f"\n  {command}  " in done.stdout


def test_no_command_shows_the_help(hogbox: Hogbox) -> None:
    done = hogbox()
    assert done.returncode == 2
    assert "Usage: " in done.stdout + done.stderr


def test_the_version(hogbox: Hogbox) -> None:
    done = hogbox("--version")
    assert (done.returncode, done.stdout) == (0, f"hogbox {package.__version__}\n")


@pytest.mark.parametrize("command", ["migrate", "worker", "deliver"])
def test_each_command_says_what_it_does_with_an_example(hogbox: Hogbox, command: str) -> None:
    done = hogbox(command, "--help")
    assert done.returncode == 0
    assert f"Example: hogbox {command} --database-url " in done.stdout
    assert "[env: HOGBOX_DATABASE_URL]" in done.stdout


def test_an_unknown_option_is_a_mistake_of_usage(hogbox: Hogbox) -> None:
    done = hogbox("migrate", "--colour")
    assert done.returncode == 2
    assert "No such option" in done.stderr


@pytest.mark.parametrize("command", ["migrate", "worker", "deliver"])
def test_no_database_is_a_sentence(hogbox: Hogbox, command: str) -> None:
    done = hogbox(command)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "hogbox: no database: pass --database-url sqlite:///app.db, or set HOGBOX_DATABASE_URL\n"


@pytest.mark.parametrize("command", ["worker", "deliver"])
def test_missing_tables_are_a_sentence(hogbox: Hogbox, command: str) -> None:
    done = hogbox(command, "-d", "sqlite:///app.db")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "hogbox: hogbox's tables do not exist in this database: run `hogbox migrate`, or call PostHog.create_tables() "
        "once.\n"
    )


@pytest.mark.parametrize("command", ["migrate", "worker", "deliver"])
def test_a_database_that_does_not_answer_is_a_sentence(hogbox: Hogbox, command: str) -> None:
    done = hogbox(command, "-d", "sqlite:////nowhere/at/all/app.db")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "hogbox: the database fails: unable to open database file\n"


def test_p9_a_database_that_refuses_does_not_make_it_tell_the_password(hogbox: Hogbox) -> None:
    done = hogbox("migrate", "-d", "postgresql://me:hunter2@127.0.0.1:9/app")
    assert done.returncode == 1
    assert done.stderr.startswith("hogbox: the database fails: ")
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        (
            "HOGBOX_DATABASE_URL",
            "oracle://db/app",
            "'oracle' is not a database that hogbox knows: use SQLite, PostgreSQL",
        ),
        ("HOGBOX_BATCH_EVENTS", "many", "HOGBOX_BATCH_EVENTS='many' is not a number"),
        ("HOGBOX_BATCH_EVENTS", "0", "batch_events"),
        ("HOGBOX_TABLE_PREFIX", "No-Prefix", "table_prefix 'No-Prefix' is invalid"),
        ("POSTHOG_HOST", "example.com", "host 'example.com' is not an address such as https://us.i.posthog.com"),
    ],
)
def test_a_bad_setting_is_a_sentence(hogbox: Hogbox, setting: str, value: str, message: str) -> None:
    done = hogbox("deliver", **{"HOGBOX_DATABASE_URL": "sqlite:///app.db", setting: value})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"hogbox: {message}")
    assert done.stderr.count("\n") == 1


def test_migrate_creates_the_tables_and_says_so(hogbox: Hogbox, empty_database: TestDatabase) -> None:
    first = hogbox("migrate", "--database-url", empty_database.url)
    again = hogbox("migrate", HOGBOX_DATABASE_URL=empty_database.url)
    made = f"hogbox's tables were created (version {SCHEMA_VERSION})\n"
    assert (first.returncode, first.stdout, first.stderr) == (0, made, "")
    assert (again.returncode, again.stdout) == (0, made.replace("were created", "are up to date"))
    assert empty_database.count("posthog_shards") == 64


def test_migrate_takes_a_prefix(hogbox: Hogbox, sqlite_database: TestDatabase) -> None:
    assert hogbox("migrate", "-d", sqlite_database.url, "--table-prefix", "shop_").returncode == 0
    assert sqlite_database.count("shop_shards") == 64


def test_migrate_refuses_newer_tables(hogbox: Hogbox, sqlite_database: TestDatabase) -> None:
    sqlite_database.execute("UPDATE posthog_schema SET version = 99, oldest_compatible = 99")
    done = hogbox("migrate", "-d", sqlite_database.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "hogbox: hogbox's tables were created by a newer version: upgrade hogbox.\n"


BLOCK = """
import importlib.abc, os, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in os.environ["BLOCKED"].split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
"""


@pytest.fixture
def without(hogbox_process: Hogbox, tmp_path: Path) -> Hogbox:
    """Runs the command where some modules are not installed: `without("starlette", "emulator")`."""
    (tmp_path / "sitecustomize.py").write_text(BLOCK)

    def run(modules: str, *arguments: str) -> Ended:
        paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
        return hogbox_process(*arguments, BLOCKED=modules, PYTHONPATH=paths)

    return run


@pytest.mark.parametrize("arguments", [["emulator"], ["emulator", "--port", "8010"]], ids=["plain", "with options"])
def test_a_missing_extra_of_a_command_is_a_sentence(without: Hogbox, arguments: list[str]) -> None:
    done = without("starlette", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "hogbox: No module named 'starlette': pip install 'hogbox[emulator]'\n"


def test_other_commands_work_without_that_extra(without: Hogbox) -> None:
    done = without("starlette", "--help")
    assert done.returncode == 0
    assert "Not installed: pip install 'hogbox[emulator]'." in done.stdout
    assert without("starlette", "migrate", "-d", "sqlite:///app.db").returncode == 0


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_without_the_command_lines_extra_it_is_named(without: Hogbox, module: str) -> None:
    done = without(module, "--help")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"hogbox: No module named '{module}': install the command line with pip install 'hogbox[cli]'\n"
    )


def test_the_module_and_the_installed_script_are_the_same_command(
    hogbox_process: Hogbox, environment: dict[str, str]
) -> None:
    module = hogbox_process("--version")
    assert (module.returncode, module.stdout, module.stderr) == (0, f"hogbox {package.__version__}\n", "")
    script = Path(sys.executable).with_name("hogbox")
    if not script.exists():
        pytest.skip("hogbox is not installed as a script here")
    done = subprocess.run([script, "--version"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == module.stdout


def test_a_mistake_shows_no_traceback(hogbox_process: Hogbox) -> None:
    done = hogbox_process("worker", "-d", "sqlite:////nowhere/at/all/app.db")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "hogbox: the database fails: unable to open database file\n"


class TestAnErrorThatIsNotForeseen:
    """Here: a count that is a text, as SQLite lets a hand write it."""

    @pytest.fixture
    def spoiled(self, sqlite_database: TestDatabase) -> TestDatabase:
        with PostHog(sqlite_database.url, project_token="phc_t") as posthog:
            posthog.capture(None, "waits", distinct_id="u1")
        sqlite_database.execute("UPDATE posthog_shards SET attempt = 'many'")
        return sqlite_database

    def test_status_says_it_in_a_sentence(self, hogbox: Hogbox, spoiled: TestDatabase) -> None:
        done = hogbox("status", "-d", spoiled.url)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith("hogbox: TypeError: ")
        assert "diagnosis.py, line" in done.stderr
        assert "Traceback" not in done.stderr

    def test_so_does_every_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def command() -> None:
            raise ZeroDivisionError("division by zero")

        monkeypatch.setattr("hogbox.cli.app.build_app", lambda: command)
        with pytest.raises(
            SystemExit, match=r"^hogbox: ZeroDivisionError: division by zero \(.*line \d+\): hogbox did not"
        ):
            main()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (sqlite3.OperationalError("disk I/O error"), "the database fails: disk I/O error"),
        (OperationalError("SELECT 1", None, sqlite3.OperationalError("gone")), "the database fails: gone"),
        (FileNotFoundError(2, "No such file or directory", "a.pem"), "[Errno 2] No such file or directory: 'a.pem'"),
        (
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
            "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ),
        (TablesNewer(), str(TablesNewer())),
    ],
    ids=["driver", "SQLAlchemy", "file", "text", "hogbox"],
)
def test_every_error_is_a_sentence(error: Exception, said: str) -> None:
    assert describe(error) == said


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        ("it is not JSON", "line 1: it is not JSON"),
        ("the disk is full", "line 1: it is not JSON\n  because: ValueError: the disk is full"),
    ],
)
def test_a_cause_is_told_where_the_error_does_not_say_it_already(cause: str, told: str) -> None:
    error = InvalidEvent("line 1: it is not JSON")
    error.__cause__ = ValueError(cause)
    assert describe(error) == told
