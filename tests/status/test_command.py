"""`hogbox status`: what it prints, and how it exits where it can't be asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa

from hogbox import PostHog
from hogbox._store.connections.database import Database
from hogbox._store.definition import DefinitionStore
from hogbox._store.delivery import DeliveryStore
from hogbox._store.inspection.measure import MeasureStore
from hogbox._store.shards.lease import Done
from tests.fixtures.database import TestDatabase
from tests.status.conftest import Run


def test_without_tables_or_a_database_it_exits_with_3(run: Run, tmp_path: Path) -> None:
    absent = run("status", "-d", f"sqlite:///{tmp_path}/empty.db")
    assert absent.exit_code == 3
    assert "there is no file" in absent.stderr
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty.db").touch()
    empty = run("status", "-d", f"sqlite:///{tmp_path}/empty.db")
    assert (empty.exit_code, empty.stdout) == (3, "")
    assert "run `hogbox migrate`" in empty.stderr
    unreachable = run("status", "-d", "postgresql://nobody:hidden@127.0.0.1:1/none")
    assert unreachable.exit_code == 3
    assert "the database fails" in unreachable.stderr
    assert "hidden" not in unreachable.output
    assert run("status").exit_code == 3


def test_people_are_told_what_is_wrong_first(run: Run, sqlite_database: TestDatabase) -> None:
    PostHog(sqlite_database.engine, project_token="phc_command_of_the_tests").capture(None, "paid", distinct_id="u1")
    shown = run("status", "-d", sqlite_database.url, COLUMNS="100")
    assert shown.exit_code == 1
    lines = shown.stdout.splitlines()
    assert lines[0] == "degraded"
    assert lines[1] == "  degraded: events wait, and no worker is alive to deliver them"
    assert lines[2] == "    see: hogbox docs run-a-worker"
    assert "  1 events wait, the oldest for 0 s; 0 a minute are settled: nothing is delivered" in shown.stdout
    assert "phc_command_of_the_tests" not in shown.stdout


def test_settings_are_shown_with_their_source_and_no_secret(run: Run, sqlite_database: TestDatabase) -> None:
    shown = run(
        "status",
        "--json",
        "-d",
        sqlite_database.url,
        POSTHOG_PERSONAL_API_KEY="phs_never_shown",
        POSTHOG_HOST="http://user:hidden@127.0.0.1:8010",
        HOGBOX_LEASE_SECONDS="40",
    )
    settings = json.loads(shown.stdout)["settings"]
    assert settings["HOGBOX_DATABASE_URL"]["source"] == "argument"
    assert settings["POSTHOG_PERSONAL_API_KEY"] == {"value": "set", "source": "environment"}
    assert settings["HOGBOX_LEASE_SECONDS"] == {"value": "40", "source": "environment"}
    assert settings["HOGBOX_SENDERS"] == {"value": "4", "source": "default"}
    assert "never_shown" not in shown.stdout
    assert "hidden" not in shown.stdout


def test_watching_goes_on_until_it_is_interrupted(sqlite_database: TestDatabase) -> None:
    command = [sys.executable, "-m", "hogbox", "status", "--watch", "--json", "-d", sqlite_database.url]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert watching.stdout
    with watching.stdout as lines:
        levels = [json.loads(lines.readline())["level"] for _ in range(2)]
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=30) == 0
    assert levels == ["healthy", "healthy"]


def test_people_are_shown_everything_that_programs_are(run: Run, sqlite_database: TestDatabase) -> None:
    own = Database(sqlite_database.url, "posthog_")
    worker, definitions = DeliveryStore(own, "w1"), DefinitionStore(own, "phc_shown_to_people")
    posthog = PostHog(sqlite_database.engine, project_token="phc_shown_to_people")
    for _ in range(3):
        posthog.capture(None, "paid", distinct_id="u1")
    worker.announce("shop-1", 42, "0.1.0")
    worker.claim(range(64), lease=60)
    (ready,) = worker.read_ready()
    (first, *_) = worker.read_events([ready.shard], (), 10, 10_000).rows
    worker.heartbeat(60, 120, Done(7, 1, 540))
    worker.bury(first, {ready.shard: ready.fence}, "HTTP 400: poison", 400)
    worker.postpone([ready.shard], {ready.shard: ready.fence}, 50, "HTTP 503: down")
    worker.hold("phc_shown_to_people", 55, 2, 403, "HTTP 403: no [phc_shown_to_people]")
    definitions.enter()
    definitions.claim("w1", 60)
    definitions.note("error", "auth", unchanged="unchanged")
    own.close()
    shown = run("status", "-d", sqlite_database.url, COLUMNS="160").stdout
    assert shown.startswith("broken\n")
    for line in (
        "2 events wait, the oldest for ",
        "540 a minute are settled: empty in 0 s at this rate",
        "phc_show…  2",
        "shop-1  42   0.1.0",
        "phc_show…  2       0 s    in 55 s      HTTP 403: no [phc_show…]",
        "HTTP 503: down",
        "HTTP 400: poison",
        "phc_show…: nothing stored",
        "last refresh error/auth 0 s ago by w1",
        "1 polls made, 1 if each worker polled alone",
    ):
        assert line in shown, shown
    assert "phc_shown" not in shown


def test_what_is_no_text_in_sqlite_is_shown_in_hexadecimal(run: Run, sqlite_database: TestDatabase) -> None:
    PostHog(sqlite_database.engine, project_token="phc_command_of_the_tests").capture(None, "paid", distinct_id="u1")
    for table in ("outbox", "holds", "dead_letters", "refreshes", "flag_definitions"):
        copy_as_bytes(sqlite_database, f"posthog_{table}")
    shown = run("status", "-d", sqlite_database.url, "--json")
    told = json.loads(shown.stdout)
    assert {"project": "FF006162", "events": 1} in told["backlog"]["by_project"]
    assert {one["project"] for one in (*told["held"], *told["definitions"])} == {"FF006162"}
    assert "FF006162" in run("status", "-d", sqlite_database.url, COLUMNS="160").stdout
    own = Database(sqlite_database.url, "posthog_")
    assert {one.project for one in MeasureStore(own).read().backlog} == {"FF006162", "phc_command_of_the_tests"}
    own.close()


def copy_as_bytes(database: TestDatabase, table: str) -> None:
    """Add a row whose columns of text are bytes."""
    columns = [one for one in sa.inspect(database.engine).get_columns(table) if one["name"] != "id"]
    values = ["X'FF006162'" if isinstance(one["type"], sa.String) else "1" for one in columns]
    names = [one["name"] for one in columns]
    database.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(values)})")
