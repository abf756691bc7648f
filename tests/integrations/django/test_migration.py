"""Django's migrations make what `hogbox migrate` makes, on every database, and get on with it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from django.apps import apps  # type: ignore[import-untyped]
from django.core.management import call_command  # type: ignore[import-untyped]
from django.db.migrations.loader import MigrationLoader  # type: ignore[import-untyped]
from django.test import override_settings  # type: ignore[import-untyped]

from hogbox._store.schema.table import SCHEMA_VERSION, Tables
from hogbox.errors import TablesNewer
from hogbox.integrations.django import posthog
from hogbox.integrations.django.operation import MigrateTables
from hogbox.schema import check_tables, create_tables
from tests.fixtures.database import TestDatabase, make_database
from tests.integrations.django.site import connected
from tests.store.test_upgrade import make_version_1


@pytest.fixture
def migrated(empty_database: TestDatabase) -> Iterator[TestDatabase]:
    """A database that Django's migrations have made hogbox's tables in."""
    with connected(empty_database):
        call_command("migrate", "hogbox", verbosity=0)
        yield empty_database


def described(database: TestDatabase) -> dict[str, Any]:
    """Every table of hogbox's: columns, types, nullability, keys, indexes, options, content."""
    inspector = sa.inspect(database.engine)
    return {name: described_table(database, inspector, name) for name in Tables("posthog_").metadata.tables}


def described_table(database: TestDatabase, inspector: sa.Inspector, name: str) -> dict[str, Any]:
    times = {"applied_at"}
    columns = [{**column, "type": repr(column["type"])} for column in inspector.get_columns(name)]
    ordered = sorted(inspector.get_indexes(name), key=lambda index: index["name"] or "")
    rows = database.rows(name, order="1") if name.endswith(("schema", "shards")) else []
    return {
        "columns": columns,
        "key": inspector.get_pk_constraint(name)["constrained_columns"],
        "indexes": ordered,
        "options": inspector.get_table_options(name),
        "rows": [{key: value for key, value in row.items() if key not in times} for row in rows],
    }


def test_the_tables_are_those_of_hogbox_migrate(
    migrated: TestDatabase, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    with make_database(request, migrated.backend, tmp_path / "other") as other:
        create_tables(other.engine)
        assert described(migrated) == described(other)
    assert migrated.count("posthog_shards") == 64
    check_tables(migrated.engine)


def test_ids_are_never_used_again(migrated: TestDatabase) -> None:
    posthog.capture("first", distinct_id="u1")
    (first,) = migrated.rows("posthog_outbox")
    migrated.execute("DELETE FROM posthog_outbox")
    posthog.capture("second", distinct_id="u1")
    (second,) = migrated.rows("posthog_outbox")
    assert second["id"] > first["id"]


def test_tables_that_hogbox_migrate_made_are_taken_as_they_are(database: TestDatabase) -> None:
    before = described(database)
    with connected(database):
        posthog.capture("waiting", distinct_id="u1")
        call_command("migrate", "hogbox", verbosity=0)
    assert described(database) == before
    assert [event["event"] for event in database.events()] == ["waiting"]


def test_older_tables_are_brought_up_to_date(empty_database: TestDatabase) -> None:
    make_version_1(empty_database)
    with connected(empty_database):
        call_command("migrate", "hogbox", verbosity=0)
    check_tables(empty_database.engine)
    assert [row["version"] for row in empty_database.rows("posthog_schema", order="version")] == [1, SCHEMA_VERSION]
    assert empty_database.rows("posthog_outbox")[0]["project"] == "phc_old"


def test_hogbox_migrate_has_nothing_to_do_afterwards(migrated: TestDatabase) -> None:
    assert create_tables(migrated.engine) == (SCHEMA_VERSION, SCHEMA_VERSION)


def test_undone_it_removes_the_tables_and_nothing_else(migrated: TestDatabase) -> None:
    migrated.execute("CREATE TABLE posthog_of_the_application (id INTEGER)")
    call_command("migrate", "hogbox", "zero", verbosity=0)
    left = [name for name in sa.inspect(migrated.engine).get_table_names() if name.startswith("posthog_")]
    assert left == ["posthog_of_the_application"]
    call_command("migrate", "hogbox", verbosity=0)
    check_tables(migrated.engine)


def test_it_prints_its_sql(empty_database: TestDatabase) -> None:
    out = io.StringIO()
    with connected(empty_database):
        call_command("sqlmigrate", "hogbox", "0001", stdout=out)
        call_command("sqlmigrate", "hogbox", "0001", "--backwards", stdout=out)
    for name in Tables("posthog_").metadata.tables:
        assert f"CREATE TABLE {name}" in out.getvalue()
        assert f"DROP TABLE IF EXISTS {name}" in out.getvalue()
    assert "INSERT INTO posthog_schema" in out.getvalue()
    assert "%%" not in out.getvalue()
    assert sa.inspect(empty_database.engine).get_table_names() == []


def test_the_printed_sql_makes_the_tables(empty_database: TestDatabase) -> None:
    out = io.StringIO()
    with connected(empty_database) as connection:
        call_command("sqlmigrate", "hogbox", "0001", stdout=out, no_color=True)
        with connection.cursor() as cursor:
            for statement in out.getvalue().split(";"):
                lines = [line for line in statement.splitlines() if line and not line.startswith("--")]
                if lines and lines not in (["BEGIN"], ["COMMIT"]):
                    cursor.execute("\n".join(lines))
    check_tables(empty_database.engine)


def test_where_the_schema_is_not_rolled_back_it_goes_on_where_it_was_cut_off(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with make_database(request, "mariadb", tmp_path) as database:
        create_tables(database.engine)
        database.execute("DROP TABLE posthog_exposures")
        database.execute("DELETE FROM posthog_shards")
        database.execute("DELETE FROM posthog_schema")
        with connected(database):
            call_command("migrate", "hogbox", verbosity=0)
        check_tables(database.engine)
        assert database.count("posthog_shards") == 64


def test_newer_tables_are_left_alone(database: TestDatabase) -> None:
    database.execute("INSERT INTO posthog_schema (version, applied_at) VALUES (999, 0)")
    with connected(database), pytest.raises(TablesNewer):
        call_command("migrate", "hogbox", verbosity=0)


def test_a_router_keeps_the_tables_off_a_database(empty_database: TestDatabase) -> None:
    with connected(empty_database), override_settings(DATABASE_ROUTERS=[Elsewhere()]):
        call_command("migrate", "hogbox", verbosity=0)
        assert "posthog_outbox" not in sa.inspect(empty_database.engine).get_table_names()


class Elsewhere:
    """Wants hogbox's tables nowhere."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if app_label == "hogbox" else None


def test_a_flush_as_after_a_transaction_test_case_empties_the_outbox(migrated: TestDatabase) -> None:
    posthog.capture("paid", distinct_id="u1")
    posthog.capture("paid", distinct_id="undefined")
    call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=True)
    kept = {"posthog_schema", "posthog_shards", "posthog_workers"}
    for table in Tables("posthog_").metadata.tables.keys() - kept:
        assert migrated.count(table) == 0, table
    assert migrated.count("posthog_shards") == 64
    check_tables(migrated.engine)


def test_makemigrations_finds_nothing_to_do(site: TestDatabase) -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_every_table_has_a_model_but_those_of_the_workers() -> None:
    models = {model._meta.db_table for model in apps.get_app_config("hogbox").get_models()}
    without = {"posthog_schema", "posthog_shards", "posthog_workers"}
    assert models == Tables("posthog_").metadata.tables.keys() - without


def test_the_models_have_the_columns_of_the_tables(site: TestDatabase) -> None:
    tables = Tables("posthog_").metadata.tables
    models = apps.get_app_config("hogbox").get_models()
    for model in models:
        fields = {field.column: field for field in model._meta.get_fields() if field.column}
        columns = tables[model._meta.db_table].columns
        assert [column.name for column in columns if column.name not in fields and not column.nullable] == []
        for name, field in fields.items():
            assert field.null == bool(columns[name].nullable), name
            assert field.max_length == getattr(columns[name].type, "length", None), name


def test_the_newest_migration_is_for_the_newest_tables() -> None:
    migrations = MigrationLoader(None).disk_migrations
    steps = [
        operation
        for key in sorted(key for key in migrations if key[0] == "hogbox")
        for separate in migrations[key].operations
        for operation in separate.database_operations
        if isinstance(operation, MigrateTables)
    ]
    assert steps[-1].version == SCHEMA_VERSION
    assert [step.before for step in steps] == [0, *(step.version for step in steps[:-1])]
