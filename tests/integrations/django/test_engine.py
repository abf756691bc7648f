"""hogbox's own connections are made as Django's are, wherever the test databases of the moment are."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest
from django.db import connection, transaction  # type: ignore[import-untyped]

from hogbox._store.connections.engine import require_shared
from hogbox.errors import ConfigurationError, UnsupportedDatabase
from hogbox.integrations.django import posthog
from hogbox.integrations.django.engine import open_engine
from tests.fixtures.database import SharedDatabases, TestDatabase
from tests.fixtures.waiting import wait_until
from tests.integrations.django.site import connected


def ask(alias: str, sql: str, *, pooled: bool = False) -> Any:
    engine = open_engine(alias, pooled=pooled)
    with engine.connect() as own:
        answer = own.exec_driver_sql(sql).scalar()
    engine.dispose()
    return answer


def test_p1_an_event_of_its_own_transaction_is_kept_when_djangos_is_rolled_back(django_database: TestDatabase) -> None:
    with transaction.atomic():
        posthog.client.capture(None, "kept", distinct_id="u1")
        if django_database.backend != "sqlite":
            posthog.capture("rolled back", distinct_id="u1")
        transaction.set_rollback(True)
    assert [event["event"] for event in django_database.events()] == ["kept"]


def test_the_options_of_sqlite_are_honoured(emptied: SharedDatabases) -> None:
    options = {"init_command": "PRAGMA cache_size = -777; PRAGMA synchronous = OFF;", "transaction_mode": "IMMEDIATE"}
    with connected(emptied("sqlite"), OPTIONS={**options, "timeout": 3}):
        assert ask("default", "PRAGMA cache_size") == -777
        assert ask("default", "PRAGMA synchronous") == 0
        assert ask("default", "PRAGMA busy_timeout") == 3000


def test_on_sqlite_it_waits_for_half_a_minute_where_nothing_else_is_said(emptied: SharedDatabases) -> None:
    with connected(emptied("sqlite")):
        assert ask("default", "PRAGMA busy_timeout") == 30_000


def test_the_options_of_postgresql_are_honoured(emptied: SharedDatabases) -> None:
    database = emptied("postgresql")
    role = f"{database.engine.url.database}_role"
    database.execute(f"CREATE ROLE {role}")
    try:
        with connected(database, OPTIONS={"application_name": "the shop", "assume_role": role, "sslmode": "prefer"}):
            assert ask("default", "SELECT current_setting('application_name')") == "the shop"
            assert ask("default", "SELECT current_user") == role
    finally:
        database.execute(f"DROP ROLE {role}")


def test_the_options_of_mariadb_are_honoured(emptied: SharedDatabases) -> None:
    options = {"init_command": "SET @shop = 19", "isolation_level": "repeatable read"}
    with connected(emptied("mariadb"), OPTIONS=options):
        assert ask("default", "SELECT @shop") == 19
        posthog.client.capture(None, "päid 🦔", distinct_id="u1")
        with connection.cursor() as cursor:
            cursor.execute("SELECT payload FROM posthog_outbox")
            assert json.loads(cursor.fetchone()[0])["event"] == "päid 🦔"


def test_it_connects_to_where_django_connects_now(emptied: SharedDatabases) -> None:
    first, second = emptied("postgresql"), emptied("mariadb")
    with connected(first):
        engine = open_engine("default", pooled=False)
        connection.settings_dict["NAME"] = "postgres"
        with engine.connect() as own:
            assert own.exec_driver_sql("SELECT current_database()").scalar() == "postgres"
    with connected(second):
        assert ask("default", "SELECT DATABASE()") == second.engine.url.database


def test_no_connection_stays_open_but_a_workers(emptied: SharedDatabases) -> None:
    database = emptied("postgresql")

    def opened() -> int:
        with database.engine.connect() as other:
            sql = (
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE application_name = 'the shop' AND datname = current_database()"
            )
            return other.exec_driver_sql(sql).scalar() or 0

    with connected(database, CONN_MAX_AGE=None, OPTIONS={"application_name": "the shop"}):
        posthog.client.capture(None, "paid", distinct_id="u1")
        wait_until(lambda: opened() == 0, "the connection to be closed")
        worker = open_engine("default", pooled=True)
        with worker.connect():
            pass
        assert opened() == 1
        worker.dispose()


def test_the_shared_memory_of_a_test_database_serves_captures_but_no_worker(emptied: SharedDatabases) -> None:
    name = "file:memorydb_hogbox?mode=memory&cache=shared"
    with connected(emptied("sqlite")) as wrapper:
        wrapper.settings_dict["NAME"] = name
        wrapper.close()
        keeper = sqlite3.connect(name, uri=True)
        posthog.client.create_tables()
        posthog.client.capture(None, "paid", distinct_id="u1")
        posthog.capture("paid", distinct_id="u1")
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM posthog_outbox")
            assert cursor.fetchone() == (2,)
        engine = open_engine("default", pooled=True)
        with pytest.raises(ConfigurationError, match="a database in memory"):
            require_shared(engine)
        keeper.close()


def test_other_databases_are_refused(emptied: SharedDatabases) -> None:
    with connected(emptied("sqlite")) as wrapper:
        wrapper.vendor = "oracle"
        with pytest.raises(UnsupportedDatabase, match=r"sqlite3, which hogbox does not support: .* to its alias"):
            open_engine("default", pooled=False)
