"""A migration beside transactions that hold the tables: it gives way, says why, and is tried again."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from hogbox._store.schema import migration
from hogbox._store.schema.table import SCHEMA_VERSION, Tables
from hogbox.errors import TablesError
from hogbox.schema import create_tables
from tests.fixtures.database import TestDatabase, make_database

OLD = Path(__file__).parent / "version_1"


@pytest.fixture(params=["postgresql", "mariadb"])
def old(request: pytest.FixtureRequest, tmp_path: Path):  # type: ignore[no-untyped-def]
    """A database with the tables of version 1."""
    with make_database(request, request.param, tmp_path) as database:
        with database.engine.begin() as connection:
            for statement in (OLD / f"{request.param}.sql").read_text().split(";"):
                if statement.strip():
                    connection.exec_driver_sql(statement.replace("%", "%%"))
        yield database


def test_a_migration_waits_for_a_backup_and_lets_others_through(
    old: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    ended = threading.Event()

    def migrate() -> None:
        create_tables(old.url)
        ended.set()

    thread = threading.Thread(target=migrate)
    with old.engine.connect() as backup:
        for table in ("schema", "shards", "workers", "outbox", "dead_letters"):
            backup.exec_driver_sql(f"SELECT count(*) FROM posthog_{table}")
        with caplog.at_level(logging.WARNING, "hogbox"):
            thread.start()
            while not any("trying again" in record.getMessage() for record in caplog.records):
                assert thread.is_alive()
                thread.join(0.05)
        with old.engine.connect() as other:
            assert other.scalar(sa.text("SELECT max(version) FROM posthog_schema")) == 1
        assert not ended.is_set()
    thread.join(30)
    assert old.rows("posthog_schema", "version")[-1]["version"] == SCHEMA_VERSION


def test_a_migration_that_waits_in_vain_says_why(old: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "PATIENCE", 0.0)
    with old.engine.connect() as backup:
        for table in ("schema", "shards", "workers", "outbox", "dead_letters"):
            backup.exec_driver_sql(f"SELECT count(*) FROM posthog_{table}")
        with pytest.raises(TablesError, match="such as a backup"):
            migration.migrate(old.engine, Tables("posthog_"))
