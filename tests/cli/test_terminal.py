"""What stands in the tables, in answers and in definitions does nothing to the terminal that shows it."""

from __future__ import annotations

import json
import time

import pytest

from hogbox import PostHog
from tests.cli.conftest import TOKEN, Hogbox
from tests.fixtures.database import TestDatabase
from tests.fixtures.stored import store

ESC = "\x1b]0;title\x07\x1b[31m\x9b2J\x7f\u202e"


@pytest.fixture
def hostile(sqlite_database: TestDatabase) -> TestDatabase:
    """Holds control characters wherever there is text."""
    posthog = PostHog(project_token=TOKEN)
    with sqlite_database.engine.begin() as connection:
        for distinct_id in (f"d{ESC}", "undefined"):
            posthog.capture(connection, f"e{ESC}", distinct_id=distinct_id, properties={f"p{ESC}": ESC})
    now = int(time.time() * 1000)
    sqlite_database.execute(
        "INSERT INTO posthog_workers (id, host, pid, version, started_at, seen_at) VALUES (:w, :w, 1, :w, 0, :now)",
        w=f"w{ESC}",
        now=now,
    )
    sqlite_database.execute(
        "INSERT INTO posthog_holds VALUES (:token, 0, 99999999999999, 1, 401, :why)", token=TOKEN, why=f"r{ESC}"
    )
    sqlite_database.execute(
        "UPDATE posthog_shards SET last_error = :why, last_error_at = :now, attempt = 1, not_before = :later",
        why=f"r{ESC}\nforged line",
        now=now,
        later=now + 60_000,
    )
    sqlite_database.execute("UPDATE posthog_dead_letters SET reason = :why", why=f"r{ESC}\nforged: line")
    flag = {"id": 1, "key": f"k{ESC}", "name": f"n{ESC}", "active": True, "filters": {"groups": [{"properties": []}]}}
    store(sqlite_database, TOKEN, {"flags": [flag], "group_type_mapping": {}, "cohorts": {}})
    return sqlite_database


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["status", "--json"],
        ["doctor"],
        ["dead", "list"],
        ["dead", "list", "--json"],
        ["dead", "show", "1"],
        ["dead", "export"],
        ["dead", "retry", "1"],
        ["flags", "list"],
        ["flags", "list", "--json"],
        ["flags", "show", f"k{ESC}"],
        ["flags", "show", f"unknown{ESC}"],
        ["refresh"],
    ],
    ids=" ".join,
)
def test_commands_print_no_control_characters(hogbox: Hogbox, hostile: TestDatabase, arguments: list[str]) -> None:
    done = hogbox(
        *arguments, HOGBOX_DATABASE_URL=hostile.url, POSTHOG_HOST="http://127.0.0.1:1", POSTHOG_PROJECT_TOKEN=TOKEN
    )
    assert done.stdout + done.stderr
    for character in "\x1b\x07\x9b\x7f\u202e":
        assert character not in done.stdout + done.stderr
    if arguments != ["status"]:  # rich folds long lines there
        assert "\nforged" not in done.stdout
    if "--json" in arguments:
        json.loads(done.stdout)


def test_an_event_is_found_and_shown_without_control_characters(hogbox: Hogbox, hostile: TestDatabase) -> None:
    (first, *_) = hostile.events()
    done = hogbox("event", first["uuid"], HOGBOX_DATABASE_URL=hostile.url)
    assert "waiting in the outbox" in done.stdout
    assert "r\ufffd]0;title" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\nforged" not in done.stdout
