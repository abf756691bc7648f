"""hogbox's own connections are the same whatever a role, a database, a server or the application's engine sets."""

from __future__ import annotations

import gc
import os
import socket
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from hogbox._store.capture import CaptureStatements
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import ChangeSignal, autocommit, transactional
from hogbox._store.definition import DefinitionStore
from hogbox._store.delivery import DeliveryStore
from hogbox._store.dialects.backend import Backend
from hogbox._store.dialects.failure import is_elsewhere
from hogbox.errors import ConfigurationError, TablesMissing
from hogbox.schema import create_tables
from proof.proxy import Proxy
from tests.fixtures.database import TestDatabase, make_database

INSERT = {"shard": 1, "project": "p", "lane": "analytics", "payload": '{"event":"a"}'}
PORTS = {"postgresql": 5432, "mariadb": 3306}
HOSTILE: dict[str, list[str]] = {
    "postgresql": [
        "default_transaction_isolation = 'serializable'",
        "default_transaction_read_only = 'on'",
        "statement_timeout = 5000",
        "lock_timeout = 20",
    ],
    "mariadb": [
        "tx_isolation = 'READ-UNCOMMITTED'",
        "tx_isolation = 'SERIALIZABLE'",
        "autocommit = 0",
        "sql_safe_updates = 1",
        "tx_read_only = 1",
        "sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
        "sql_select_limit = 1",
    ],
}
CASES = [(backend, setting) for backend, settings in HOSTILE.items() for setting in settings]


def hostile(database: TestDatabase, setting: str) -> sa.Engine:
    """The application's engine, each of whose connections begins with this setting."""
    if database.backend == "mariadb":
        return sa.create_engine(database.url, connect_args={"init_command": f"SET SESSION {setting}"})
    name = sa.make_url(database.url).database
    with sa.create_engine(database.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool).connect() as admin:
        admin.exec_driver_sql(f"ALTER DATABASE {name} SET {setting}")
    return sa.create_engine(database.url)


@pytest.mark.parametrize(("backend", "setting"), CASES, ids=lambda one: str(one))
def test_p1_p8_settings_of_the_server_do_not_reach_hogboxs_own_statements(
    request: pytest.FixtureRequest, tmp_path: Path, backend: str, setting: str
) -> None:
    with make_database(request, backend, tmp_path) as database:
        create_tables(database.engine)
        engine = hostile(database, setting)
        own = Database(engine, "posthog_")
        store = DeliveryStore(own, "w1")
        store.announce("host", 1, "0.1.0")
        store.claim(range(64), lease=60)
        with own.begin() as connection:
            connection.execute(CaptureStatements(own.tables).insert_event, INSERT)
        with database.engine.connect() as open_elsewhere:
            open_elsewhere.execution_options(isolation_level="READ COMMITTED")
            if "read_only" not in setting:
                open_elsewhere.execute(CaptureStatements(own.tables).insert_event, INSERT)
            (row,) = store.read_events([1], (), 10, 10_000).rows
        store.bury(row, {1: 1}, "HTTP 400", 400)
        assert store.heartbeat(60, 120)
        assert (database.count("posthog_outbox"), database.count("posthog_dead_letters")) == (0, 1)
        for level in (isolation(own, autocommit), isolation(own, transactional)):
            assert level == "read committed"
        own.close()
        engine.dispose()


def isolation(own: Database, kind: Any) -> str:
    """The isolation in which a statement runs."""
    asked = "SHOW transaction_isolation" if own.engine.dialect.name == "postgresql" else "SELECT @@tx_isolation"
    with kind(own.engine).connect() as connection:
        return str(connection.exec_driver_sql(asked).scalar()).lower().replace("-", " ")


def test_the_applications_connections_keep_their_settings(database: TestDatabase) -> None:
    engine = sa.create_engine(database.url)
    own = Database(engine, "posthog_")
    own.check()
    assert own.engine.pool is not engine.pool
    own.close()
    engine.dispose()


def test_on_sqlite_own_transactions_begin_as_writers(sqlite_database: TestDatabase) -> None:
    own = Database(sa.create_engine(sqlite_database.url, connect_args={"timeout": 0}), "posthog_")
    with own.begin() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
        rival = sa.create_engine(sqlite_database.url, connect_args={"timeout": 0}, poolclass=sa.NullPool)
        with rival.connect() as other, pytest.raises(sa.exc.OperationalError, match="locked"):
            other.exec_driver_sql("UPDATE posthog_shards SET attempt = 0")
    own.close()


def test_a_sqlite_file_that_is_replaced_is_noticed(sqlite_database: TestDatabase) -> None:
    own = Database(sqlite_database.url, "posthog_")
    store = DeliveryStore(own, "w1")
    changes = ChangeSignal(own.engine)
    assert changes.changed()
    assert not changes.changed()
    path = sa.make_url(sqlite_database.url).database or ""
    os.unlink(path)
    sqlite_database.engine.dispose()
    create_tables(sqlite_database.url)
    assert changes.changed()
    store.announce("host", 1, "0.1.0")
    assert sqlite_database.count("posthog_workers") == 1
    changes.close()
    own.close()


def test_a_lock_makes_the_change_signal_raise_an_error_of_sqlalchemy(sqlite_database: TestDatabase) -> None:
    own = Database(sa.create_engine(sqlite_database.url, connect_args={"timeout": 0}), "posthog_")
    changes = ChangeSignal(own.engine)
    changes.changed()
    with sqlite_database.engine.connect() as other:
        other.exec_driver_sql("BEGIN EXCLUSIVE")
        with pytest.raises(sa.exc.OperationalError, match="locked"):
            changes.changed()
    assert changes.changed() in (True, False)
    changes.close()
    own.close()


@pytest.mark.parametrize("backend", ["postgresql", "mariadb"])
def test_a_server_that_takes_no_writes_empties_the_pool(
    request: pytest.FixtureRequest, tmp_path: Path, backend: str
) -> None:
    with make_database(request, backend, tmp_path) as database:
        create_tables(database.engine)
        own = Database(database.url, "posthog_")
        refuse = {"postgresql": "SET TRANSACTION READ ONLY", "mariadb": "SET SESSION TRANSACTION READ ONLY"}[backend]
        with transactional(own.engine).connect() as connection:
            before = connection.connection.driver_connection
            connection.exec_driver_sql(refuse)
            if backend == "mariadb":
                connection.commit()
            with pytest.raises(sa.exc.DBAPIError) as raised:
                connection.execute(CaptureStatements(own.tables).insert_event, INSERT)
        assert is_elsewhere(raised.value)
        assert raised.value.connection_invalidated
        with own.begin() as connection:
            assert connection.connection.driver_connection is not before
            connection.execute(CaptureStatements(own.tables).insert_event, INSERT)
        own.close()


@pytest.mark.parametrize("how", ["async_creator", "do_connect", "ssl"])
def test_an_asynchronous_engine_whose_url_does_not_tell_is_refused(how: str) -> None:
    url = "postgresql+asyncpg://nobody@127.0.0.1/none"
    arguments: dict[str, Any] = {"async_creator": {"async_creator": print}, "ssl": {"connect_args": {"ssl": "require"}}}
    engine = create_async_engine(url, **arguments.get(how, {}))
    if how == "do_connect":
        sa.event.listen(engine.sync_engine, "do_connect", lambda *_: None)
    with pytest.raises(ConfigurationError, match="the URL of the same database"):
        Database(engine, "posthog_")


def test_connect_args_of_an_asynchronous_engine_say_where_the_tables_are(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with make_database(request, "postgresql", tmp_path) as database:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("CREATE SCHEMA app")
        url = sa.make_url(database.url).set(drivername="postgresql+asyncpg")
        arguments = {"database": url.database, "server_settings": {"search_path": "app"}, "statement_cache_size": 0}
        engine = create_async_engine(url.set(database="postgres"), connect_args=arguments)
        own = Database(engine, "posthog_")
        with pytest.raises(TablesMissing):
            own.check()
        with own.engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT current_schema()").scalar() == "app"
            assert connection.exec_driver_sql("SELECT current_database()").scalar() == url.database
        own.close()


@pytest.mark.parametrize(
    "url", ["mysql://root@127.0.0.1/none?colour=blue", "mysql://root@127.0.0.1/x?connect_timeout=a"]
)
def test_an_option_that_the_driver_refuses_is_a_sentence(url: str) -> None:
    with pytest.raises(ConfigurationError, match="option of the database URL"):
        Database(url, "posthog_").check()


MODULES = {"mysqldb": "MySQLdb"}
"""Of drivers with another name."""


@pytest.mark.timeout(40)
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize(
    "driver", ["mysql+pymysql", "mysql+mysqldb", "postgresql+psycopg", "postgresql+psycopg2", "postgresql+pg8000"]
)
@pytest.mark.parametrize("source", [str, sa.create_engine], ids=["URL", "Engine"])
def test_connecting_to_a_server_that_is_frozen_ends(driver: str, source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = driver.partition("+")[2]
    pytest.importorskip(MODULES.get(module, module))
    monkeypatch.setattr(Backend, "connect_seconds", 2)
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        own = Database(source(f"{driver}://root@127.0.0.1:{frozen.getsockname()[1]}/x"), "posthog_")
        with pytest.raises(sa.exc.OperationalError):
            own.check()
    gc.collect()  # pg8000 leaves its socket open


@pytest.mark.timeout(40)
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize("driver", ["mysql+pymysql", "postgresql+psycopg"])
def test_connecting_takes_no_longer_than_the_guard_is_patient(driver: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        own = Database(f"{driver}://root@127.0.0.1:{frozen.getsockname()[1]}/x", "posthog_")
        own.guard.ask(own, 60.0)
        own.guard.hurry(own, 2.0)
        began = time.monotonic()
        with pytest.raises(sa.exc.OperationalError):
            own.check()
        assert time.monotonic() - began < 6
    own.guard.release(own)
    assert own.guard.patience is None


def test_the_applications_connections_are_not_bounded(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with make_database(request, "mariadb", tmp_path) as database:
        create_tables(database.engine)
        seen: list[dict[str, Any]] = []
        engine = sa.create_engine(database.url)
        sa.event.listen(engine, "do_connect", lambda _, __, ___, parameters: seen.append(dict(parameters)))
        for _ in range(2):
            own = Database(engine, "posthog_")
            own.check()
            own.close()
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            assert driver.connect_timeout == 10
        engine.dispose()
        assert not [parameters for parameters in seen if "read_timeout" in parameters]


@pytest.mark.parametrize(("backend", "driver"), [("mariadb", "pymysql"), ("postgresql", "pg8000")])
@pytest.mark.parametrize("source", [str, sa.create_engine], ids=["URL", "Engine"])
def test_the_time_to_connect_is_no_limit_of_statements(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    backend: str,
    driver: str,
    source: Any,
) -> None:
    pytest.importorskip(driver)
    monkeypatch.setattr(Backend, "connect_seconds", 1)
    asleep = {"postgresql": "SELECT pg_sleep(1.5)", "mariadb": "SELECT SLEEP(1.5)"}[backend]
    with make_database(request, backend, tmp_path) as database:
        url = sa.make_url(database.url)
        through = url.set(drivername=f"{url.get_backend_name()}+{driver}").render_as_string(False)
        own = Database(source(through), "posthog_")
        with own.engine.connect() as connection:
            connection.exec_driver_sql(asleep)
        own.close()


@pytest.mark.parametrize("backend", ["postgresql", "mariadb"])
def test_a_connection_that_is_not_answered_is_cut(request: pytest.FixtureRequest, tmp_path: Path, backend: str) -> None:
    asleep = {"postgresql": "SELECT pg_sleep(60)", "mariadb": "SELECT SLEEP(60)"}[backend]
    with make_database(request, backend, tmp_path) as database:
        create_tables(database.engine)
        own = Database(database.url, "posthog_")
        own.guard.patience = 0.2
        with own.engine.connect() as connection, pytest.raises(sa.exc.DBAPIError) as raised:
            connection.exec_driver_sql(asleep)
        assert raised.value.connection_invalidated
        own.guard.patience = 60.0
        assert DefinitionStore(own, "p").read_revision() == 0
        own.close()


@pytest.mark.parametrize("ping", [True, False], ids=["ping", "no ping"])
@pytest.mark.parametrize("backend", ["postgresql", "mariadb"])
def test_one_connection_that_is_not_answered_condemns_the_idle_ones(
    request: pytest.FixtureRequest, tmp_path: Path, backend: str, ping: bool
) -> None:
    """Packets of all of them vanish: only the first one is waited for."""
    with make_database(request, backend, tmp_path) as database:
        url = sa.make_url(database.url)
        with Proxy(url.host or "127.0.0.1", url.port or PORTS[backend]) as proxy:
            through = url.set(host="127.0.0.1", port=proxy.port)
            own = Database(sa.create_engine(through, pool_pre_ping=ping), "posthog_")
            own.guard.patience = 2.0
            with ExitStack() as stack:
                idle = [stack.enter_context(own.engine.connect()) for _ in range(5)]
            assert proxy.lose() == len(idle)
            with nullcontext() if ping else pytest.raises(sa.exc.DBAPIError):
                select_one(own)
            began = time.monotonic()
            for _ in idle:
                select_one(own)
            assert time.monotonic() - began < len(idle) * own.guard.patience / 2
            own.close()


@pytest.mark.parametrize("backend", ["postgresql", "mariadb"])
def test_a_transaction_whose_end_is_lost_gives_its_locks_up(
    request: pytest.FixtureRequest, tmp_path: Path, backend: str
) -> None:
    """The server never learns that the connection was cut."""
    hurry = {"postgresql": "SET lock_timeout = '15s'", "mariadb": "SET innodb_lock_wait_timeout = 15"}[backend]
    update = "UPDATE posthog_shards SET attempt = 1 WHERE shard = 1"
    with make_database(request, backend, tmp_path) as database:
        create_tables(database.engine)
        url = sa.make_url(database.url)
        with Proxy(url.host or "127.0.0.1", url.port or PORTS[backend]) as proxy:
            own = Database(sa.create_engine(url.set(host="127.0.0.1", port=proxy.port)), "posthog_")
            own.guard.patience = 2.0
            with pytest.raises(sa.exc.DBAPIError):
                begin_and_lose(own, proxy, update)
            with database.engine.begin() as rival:
                rival.exec_driver_sql(hurry)
                assert rival.exec_driver_sql(update).rowcount == 1
            own.close()


def begin_and_lose(own: Database, proxy: Proxy, statement: str) -> None:
    with own.begin() as connection:
        connection.exec_driver_sql(statement)
        proxy.lose()


def test_a_wait_for_a_lock_ends_on_the_server_before_the_connection_is_cut(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """MariaDB would go on waiting for a connection that was cut, with all rows that it has locked."""
    with make_database(request, "mariadb", tmp_path) as database:
        create_tables(database.engine)
        own = Database(database.url, "posthog_")
        own.check()
        own.guard.patience = 5.0
        update = "UPDATE posthog_shards SET attempt = 1 WHERE shard = 1"
        with database.engine.begin() as rival:
            rival.exec_driver_sql(update)
            own.guard.patience = 2.0
            with own.engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match="1205") as raised:
                connection.exec_driver_sql(update)
        assert not raised.value.connection_invalidated
        own.close()


def test_a_handshake_that_is_not_answered_ends_and_the_time_out_with_it(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        own = Database(f"mysql+pymysql://root@127.0.0.1:{port}/none?connect_timeout=1", "posthog_")
        with pytest.raises(sa.exc.OperationalError, match="timed out"):
            own.check()
    with make_database(request, "mariadb", tmp_path) as database:
        own = Database(f"{database.url}?connect_timeout=1", "posthog_")
        with own.engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT SLEEP(1.5)").scalar() == 0
        own.close()


def select_one(own: Database) -> None:
    with own.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
