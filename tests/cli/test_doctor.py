"""`hogbox doctor`: what it tries, what it finds, what it says to do."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hogbox.emulator import Emulator
from tests.cli.conftest import TOKEN, Hogbox
from tests.fixtures.database import TestDatabase, use_wal

KEY = "phs_doctor_of_the_tests"

Checks = dict[str, tuple[str, str, str]]


def examined(hogbox: Hogbox, *arguments: str, **settings: str) -> tuple[int, Checks]:
    """The exit code, and of each check how it came out, what was found and what to do."""
    ended = hogbox("doctor", "--json", *arguments, **settings)
    told: dict[str, Any] = json.loads(ended.stdout)
    assert ended.returncode == ["ok", "warning", "problem"].index(told["health"])
    assert KEY not in ended.stdout
    assert TOKEN not in ended.stdout
    assert all(one["todo"] for one in told["checks"] if one["health"] == "problem")
    return ended.returncode, {one["name"]: (one["health"], one["found"], one["todo"]) for one in told["checks"]}


def rows(database: TestDatabase) -> dict[str, int]:
    return {name: database.count(name) for name in sa.inspect(database.engine).get_table_names()}


def test_all_is_well(hogbox: Hogbox, database: TestDatabase, emulator: Emulator) -> None:
    use_wal(database)
    emulator.set_flags({"flags": [], "group_type_mapping": {}, "cohorts": {}})
    before = rows(database)
    code, checks = examined(
        hogbox,
        "--send-test-event",
        HOGBOX_DATABASE_URL=database.url,
        POSTHOG_HOST=emulator.url,
        POSTHOG_PROJECT_TOKEN=TOKEN,
        POSTHOG_PERSONAL_API_KEY=KEY,
    )
    assert code == 0, checks
    sqlite = {"journal mode", "busy timeout"} if database.backend == "sqlite" else set()
    assert checks.keys() - sqlite == {
        "delivery settings",
        "polling",
        "database",
        "tables",
        "privileges",
        "clock",
        "flag definitions",
        "host",
        "project token",
        "test event",
        "key for definitions",
    }
    assert sqlite <= checks.keys()
    assert rows(database) == before
    (event,) = emulator.events()
    assert (event.event, event.distinct_id) == ("hogbox doctor", "hogbox-doctor")
    assert event.uuid in checks["test event"][1]
    assert emulator.summary()["requests"] >= 3


def test_without_being_asked_no_event_is_sent(
    hogbox: Hogbox, sqlite_database: TestDatabase, emulator: Emulator
) -> None:
    code, checks = examined(hogbox, "-d", sqlite_database.url, POSTHOG_HOST=emulator.url, POSTHOG_PROJECT_TOKEN=TOKEN)
    assert code == 1
    assert checks["journal mode"][0] == "warning"
    assert "hogbox docs run-on-sqlite" in checks["journal mode"][2]
    assert emulator.events() == []
    assert "test event" not in checks


def test_a_file_that_is_not_there_is_not_made(hogbox: Hogbox, tmp_path: Path, emulator: Emulator) -> None:
    code, checks = examined(hogbox, "-d", f"sqlite:///{tmp_path}/absent.db", "--host", emulator.url)
    assert code == 2
    assert "there is no file" in checks["database"][1]
    assert not (tmp_path / "absent.db").exists()


def test_a_database_without_tables(hogbox: Hogbox, empty_database: TestDatabase, emulator: Emulator) -> None:
    empty_database.engine.connect().close()
    code, checks = examined(hogbox, "-d", empty_database.url, "--host", emulator.url)
    assert code == 2
    assert checks["tables"] == ("problem", "no tables", "run `hogbox migrate`, or correct HOGBOX_TABLE_PREFIX")


@pytest.mark.parametrize(("version", "todo"), [(2, "run `hogbox migrate`"), (99, "upgrade this installation")])
def test_tables_of_another_version(
    hogbox: Hogbox, sqlite_database: TestDatabase, emulator: Emulator, version: int, todo: str
) -> None:
    sqlite_database.execute("UPDATE posthog_schema SET version = :version", version=version)
    code, checks = examined(hogbox, "-d", sqlite_database.url, "--host", emulator.url)
    assert code == 2
    assert checks["tables"][0] == "problem"
    assert todo in checks["tables"][2]


def test_a_database_and_a_host_that_do_not_answer(hogbox: Hogbox) -> None:
    url = "postgresql://nobody:hidden@127.0.0.1:1/none"
    code, checks = examined(hogbox, "-d", url, "--host", "http://127.0.0.1:1", POSTHOG_PROJECT_TOKEN=TOKEN)
    assert code == 2
    assert checks["database"][0] == checks["host"][0] == "problem"
    assert "hidden" not in json.dumps(checks)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_user_who_may_only_read(hogbox: Hogbox, database: TestDatabase, emulator: Emulator) -> None:
    reader = f"hogbox_reader_{database.url.rsplit('_', 1)[-1][:12]}"
    database.execute(f"CREATE ROLE {reader} LOGIN")
    try:
        database.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader}")
        url = sa.make_url(database.url).set(username=reader).render_as_string(False)
        code, checks = examined(hogbox, "-d", url, "--host", emulator.url)
    finally:
        database.execute(f"DROP OWNED BY {reader}")
        database.execute(f"DROP ROLE {reader}")
    assert code == 2
    health, found, todo = checks["privileges"]
    assert health == "problem"
    assert "permission denied" in found
    assert todo.startswith("grant SELECT, INSERT, UPDATE and DELETE")


@pytest.mark.parametrize(
    ("status", "health", "said"),
    [(403, "problem", "HTTP 403"), (402, "problem", "quota"), (429, "warning", "HTTP 429"), (503, "problem", "503")],
)
def test_a_key_that_gets_no_definitions(
    hogbox: Hogbox, sqlite_database: TestDatabase, emulator: Emulator, status: int, health: str, said: str
) -> None:
    emulator.fault(status=status, path="/flags/definitions", method="GET", body=f"no {KEY} {TOKEN}")
    settings = {"POSTHOG_PROJECT_TOKEN": TOKEN, "POSTHOG_PERSONAL_API_KEY": KEY, "POSTHOG_HOST": emulator.url}
    _, checks = examined(hogbox, "-d", sqlite_database.url, **settings)
    found = checks["key for definitions"]
    assert found[0] == health
    assert said in found[1]
    assert found[2] == "see: hogbox docs fix-stale-flag-definitions"


def test_a_token_that_is_refused(hogbox: Hogbox, sqlite_database: TestDatabase, emulator: Emulator) -> None:
    emulator.fault(status=401, token=TOKEN, body=f"no {TOKEN}")
    settings = {"POSTHOG_PROJECT_TOKEN": TOKEN, "POSTHOG_HOST": emulator.url}
    code, checks = examined(hogbox, "-d", sqlite_database.url, "--send-test-event", **settings)
    assert code == 2
    assert checks["test event"] == ("problem", "HTTP 401: no phc_a_to…", "see: hogbox docs fix-a-wrong-token")


def test_settings_that_cannot_be_read(hogbox: Hogbox, sqlite_database: TestDatabase, emulator: Emulator) -> None:
    settings = {"HOGBOX_SENDERS": "many", "POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS": "soon"}
    code, checks = examined(hogbox, "-d", sqlite_database.url, "--host", emulator.url, **settings)
    assert code == 2
    assert checks["delivery settings"][:2] == ("problem", "HOGBOX_SENDERS='many' is not a number")
    assert checks["polling"][0] == "warning"
    assert examined(hogbox, "--host", "nowhere")[1].keys() == {"settings"}
    assert examined(hogbox)[0] == 2


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_locked_sqlite_file_is_said_soon(
    hogbox: Hogbox, sqlite_database: TestDatabase, emulator: Emulator, journal: str
) -> None:
    with closing(sqlite3.connect(str(sqlite_database.engine.url.database), isolation_level=None)) as other:
        other.execute(f"PRAGMA journal_mode = {journal}")
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        code, checks = examined(hogbox, "-d", sqlite_database.url, "--host", emulator.url)
        took = time.monotonic() - began
    assert code == 2
    health, found, todo = checks["privileges"]
    assert health == "problem"
    assert "database is locked" in found
    assert todo.startswith("end the transaction that holds the lock")
    assert checks["tables"][0] == checks["clock"][0] == checks["flag definitions"][0] == "ok"
    assert checks["busy timeout"][1].startswith("30 s in hogbox's own connections"), "not those of the doctor"
    assert took < 15, "one wait of two seconds, not one of 30 for each table"


def test_a_sqlite_file_that_cannot_be_read_is_said_soon(
    hogbox: Hogbox, sqlite_database: TestDatabase, emulator: Emulator
) -> None:
    with closing(sqlite3.connect(str(sqlite_database.engine.url.database), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        code, checks = examined(hogbox, "-d", sqlite_database.url, "--host", emulator.url)
        took = time.monotonic() - began
    assert code == 2
    assert checks["database"][0] == "problem"
    assert "database is locked" in checks["database"][1]
    assert took < 15


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_locked_table_is_said_soon(hogbox: Hogbox, database: TestDatabase, emulator: Emulator) -> None:
    with database.engine.begin() as other:
        other.execute(sa.text("LOCK TABLE posthog_outbox IN EXCLUSIVE MODE"))
        code, checks = examined(hogbox, "-d", database.url, "--host", emulator.url)
    assert code == 2
    assert checks["privileges"][0] == "problem"
    assert checks["privileges"][2].startswith("end the transaction that holds the lock")
    assert checks["clock"][0] == "ok"


def test_people_are_told_what_to_do(hogbox: Hogbox, sqlite_database: TestDatabase, emulator: Emulator) -> None:
    shown = hogbox("doctor", "-d", sqlite_database.url, "--host", emulator.url)
    assert shown.returncode == 1
    assert "ok      tables: version 4\n" in shown.stdout
    assert "warning project token: not set here\n        set POSTHOG_PROJECT_TOKEN" in shown.stdout


def test_a_step_that_fails_unforeseen_is_a_failed_check(
    hogbox: Hogbox, sqlite_database: TestDatabase, emulator: Emulator, tmp_path: Path
) -> None:
    spoiled = "CREATE VIEW posthog_flag_definitions AS SELECT CAST(X'ff' AS TEXT) AS project"
    sqlite_database.execute("DROP TABLE posthog_flag_definitions")
    sqlite_database.execute(spoiled)
    code, checks = examined(hogbox, "-d", sqlite_database.url, POSTHOG_HOST=emulator.url, POSTHOG_PROJECT_TOKEN=TOKEN)
    assert code == 2
    assert checks["flag definitions"][0] == "problem"
    assert "decode" in checks["flag definitions"][1]
    assert checks["clock"][0] == "ok", "what follows is examined all the same"
    assert checks["host"][0] == "ok"
