"""Tables of the first release, brought up to date: the same as fresh ones, and nothing of theirs is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from hogbox._store.schema.migration import render
from hogbox._store.schema.table import SCHEMA_VERSION, Tables
from hogbox.errors import TablesNewer
from hogbox.schema import create_tables
from tests.fixtures.database import TestDatabase

RELEASED = Path(__file__).with_name("version_1")
"""The tables as version 1 made them, for each database."""


def make_version_1(database: TestDatabase) -> None:
    with database.engine.begin() as connection:
        for statement in (RELEASED / f"{database.backend}.sql").read_text().split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        connection.exec_driver_sql("INSERT INTO posthog_shards VALUES (0, 'w1', 7, 0, 0, 0, NULL)")
        connection.exec_driver_sql("INSERT INTO posthog_outbox VALUES (1, 0, 'phc_old', 'analytics', '{}', 0)")


def shape(database: TestDatabase, prefix: str) -> dict[str, Any]:
    """Everything that the database says of its tables under a prefix, without the prefix."""
    inspector = sa.inspect(database.engine)
    names = [name for name in inspector.get_table_names() if name.startswith(prefix)]
    parts: dict[str, Any] = {}
    for name in names:
        parts[name.removeprefix(prefix)] = {
            "columns": [
                {**column, "type": repr(column["type"]), "default": bool(column["default"])}
                for column in inspector.get_columns(name)
            ],
            "key": inspector.get_pk_constraint(name)["constrained_columns"],
            "indexes": sorted(
                (str(index["name"]).removeprefix(prefix), index["column_names"], index["unique"])
                for index in inspector.get_indexes(name)
            ),
            "options": inspector.get_table_options(name),
        }
    return parts


def test_upgraded_tables_equal_fresh_ones(empty_database: TestDatabase) -> None:
    make_version_1(empty_database)
    assert create_tables(empty_database.engine) == (1, SCHEMA_VERSION)
    assert create_tables(empty_database.engine, table_prefix="fresh_") == (0, SCHEMA_VERSION)
    upgraded, fresh = shape(empty_database, "posthog_"), shape(empty_database, "fresh_")
    assert {"flag_definitions", "refreshes", "exposures"} <= set(fresh)
    assert upgraded == fresh


def test_an_upgrade_keeps_what_the_tables_hold(empty_database: TestDatabase) -> None:
    make_version_1(empty_database)
    create_tables(empty_database.engine)
    assert [row["project"] for row in empty_database.rows("posthog_outbox")] == ["phc_old"]
    assert [row["fence"] for row in empty_database.rows("posthog_shards", "shard")] == [7]
    versions = [row["version"] for row in empty_database.rows("posthog_schema", "version")]
    assert versions == [1, SCHEMA_VERSION]


def test_an_upgrade_that_was_cut_off_is_finished_by_the_next(empty_database: TestDatabase) -> None:
    make_version_1(empty_database)
    create_tables(empty_database.engine)
    empty_database.execute("DROP TABLE posthog_refreshes")
    empty_database.execute("DELETE FROM posthog_schema WHERE version = :version", version=SCHEMA_VERSION)
    assert create_tables(empty_database.engine) == (1, SCHEMA_VERSION)
    assert empty_database.count("posthog_refreshes") == 0


@pytest.mark.parametrize("before", [0, 1, SCHEMA_VERSION])
def test_the_sql_that_is_rendered_makes_the_same_tables(empty_database: TestDatabase, before: int) -> None:
    """For tools that run SQL by themselves, such as Django's migrations."""
    engine = empty_database.engine
    if before == 1:
        make_version_1(empty_database)
    elif before == SCHEMA_VERSION:
        create_tables(engine)
    with engine.begin() as connection:
        for statement in render(engine.dialect, Tables("posthog_"), before):
            connection.exec_driver_sql(statement)
    assert create_tables(engine) == (SCHEMA_VERSION, SCHEMA_VERSION)
    create_tables(engine, table_prefix="fresh_")
    assert shape(empty_database, "posthog_") == shape(empty_database, "fresh_")
    if before != 1:
        shards = [empty_database.rows(f"{prefix}shards", "shard") for prefix in ("posthog_", "fresh_")]
        assert shards[0] == shards[1]


def test_newer_tables_are_not_rendered() -> None:
    with pytest.raises(TablesNewer):
        render(sqlite.dialect(), Tables("posthog_"), SCHEMA_VERSION + 1)
