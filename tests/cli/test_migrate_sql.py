"""`hogbox migrate --sql`: prints what the command would run, and runs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from hogbox._store.schema.table import SCHEMA_VERSION
from tests.cli.conftest import Hogbox
from tests.fixtures.database import TestDatabase

RELEASED = Path(__file__).parents[1] / "store" / "version_1"


def run_script(database: TestDatabase, script: str) -> None:
    with database.engine.begin() as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement.strip().removesuffix(";"))


def tables(database: TestDatabase) -> set[str]:
    return {name for name in sa.inspect(database.engine).get_table_names() if name.startswith("posthog_")}


def test_it_makes_the_tables_and_the_command_itself_runs_nothing(hogbox: Hogbox, empty_database: TestDatabase) -> None:
    done = hogbox("migrate", "--sql", "-d", empty_database.url)
    assert (done.returncode, done.stderr, tables(empty_database)) == (0, "", set())
    run_script(empty_database, done.stdout)
    again = hogbox("migrate", "--sql", "-d", empty_database.url)
    assert (again.returncode, again.stdout, "nothing to run" in again.stderr) == (0, "", True)
    assert "up to date" in hogbox("migrate", "-d", empty_database.url).stdout
    assert empty_database.count("posthog_shards") == 64


def test_it_begins_at_the_version_that_is_there(hogbox: Hogbox, empty_database: TestDatabase) -> None:
    run_script(empty_database, (RELEASED / f"{empty_database.backend}.sql").read_text())
    done = hogbox("migrate", "--sql", "-d", empty_database.url)
    assert "posthog_outbox" not in done.stdout
    run_script(empty_database, done.stdout)
    assert f"up to date (version {SCHEMA_VERSION})" in hogbox("migrate", "-d", empty_database.url).stdout


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql", "mariadb", "mysql"])
def test_it_needs_no_database(hogbox: Hogbox, dialect: str) -> None:
    whole = hogbox("migrate", "--sql", "--dialect", dialect, "--table-prefix", "shop_")
    assert (whole.returncode, whole.stderr) == (0, "")
    assert "CREATE TABLE shop_outbox" in whole.stdout
    step = hogbox("migrate", "--sql", "--dialect", dialect, "--from-version", "2")
    assert "CREATE TABLE posthog_flag_history" in step.stdout
    assert "posthog_outbox" not in step.stdout
    done = hogbox("migrate", "--sql", "--dialect", dialect, "--from-version", str(SCHEMA_VERSION))
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--sql", "--dialect", "oracle"], 1, "'oracle' is not a database that hogbox knows"),
        (["--sql", "--dialect", "sqlite", "--from-version", "99"], 1, "created by a newer version"),
        (["--sql", "--from-version", "1"], 2, "--from-version requires --dialect"),
        (["--dialect", "sqlite"], 2, "--dialect requires --sql"),
        (["--sql"], 1, "no database"),
    ],
)
def test_mistakes_are_told(hogbox: Hogbox, arguments: list[str], code: int, message: str) -> None:
    done = hogbox("migrate", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in " ".join(done.stderr.replace("│", " ").split())
