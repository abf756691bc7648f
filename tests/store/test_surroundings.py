"""What a server does beside hogbox is seen, said in `status` and `doctor`, and respected by migrations."""

from __future__ import annotations

import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import pq

from hogbox._operations.diagnosis import cluster_order, judge, surroundings
from hogbox._operations.doctor import examine
from hogbox._operations.finding import Severity
from hogbox._settings.client import ClientSettings
from hogbox._store.connections.database import Database
from hogbox._store.connections.surroundings import (
    Cluster,
    Horizon,
    OldSnapshot,
    Surroundings,
    read_cluster,
    read_surroundings,
)
from hogbox._store.inspection.status import StatusStore
from hogbox.errors import TablesError
from hogbox.schema import create_tables
from proof.server import NotApplicable, own_server
from tests.fixtures.database import SharedDatabases, TestDatabase
from tests.fixtures.galera import PROVIDER
from tests.fixtures.port import free_port
from tests.fixtures.requirement import unavailable
from tests.fixtures.waiting import wait_until


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a cluster of one node."""
    if not PROVIDER.exists() or shutil.which("mariadbd") is None:
        unavailable("galera", "MariaDB's programs or libgalera_smm.so are not installed")
    group, transfer = free_port(), free_port()
    options = (
        "--wsrep-on=ON",
        f"--wsrep-provider={PROVIDER}",
        "--wsrep-cluster-address=gcomm://",
        "--wsrep-new-cluster",
        "--wsrep-node-address=127.0.0.1",
        f"--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{group};ist.recv_addr=127.0.0.1:{transfer}",
        "--binlog-format=ROW",
    )
    try:
        with own_server("mariadb", tmp_path_factory.mktemp("galera"), *options) as server:
            engine = sa.create_engine(server.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
            with engine.connect() as connection:
                connection.exec_driver_sql("CREATE DATABASE app")
            yield sa.make_url(server.url).set(database="app").render_as_string(hide_password=False)
    except NotApplicable as reason:
        unavailable("galera", str(reason))


@pytest.fixture
def postgresql(emptied: SharedDatabases) -> TestDatabase:
    return emptied("postgresql")


@pytest.fixture
def mariadb(emptied: SharedDatabases) -> TestDatabase:
    return emptied("mariadb")


def checks(url: str) -> dict[str, str]:
    settings = ClientSettings.load({}, database_url=url, host="http://127.0.0.1:1", token_needed=False)
    return {check.name: check.text for check in examine(settings, {})}


def findings(database: Database) -> dict[str, Severity]:
    found = judge(StatusStore(database).read(), lease=30.0, key_given=False)
    return {finding.name: finding.severity for finding in found}


class TestANodeOfGalera:
    def test_it_is_said_what_order_needs(self, node: str) -> None:
        create_tables(node)
        with closing(Database(node, "posthog_")) as database:
            with database.engine.connect() as connection:
                assert read_cluster(connection) == Cluster(0, "TOI", id_step=1)
            assert findings(database)["cluster_order"] is Severity.HEALTHY
        assert "wsrep_sync_wait is 0" in checks(node)["cluster"]

    @pytest.mark.parametrize(("sync_wait", "waits"), [(0, False), (1, False), (3, False), (7, True), (15, True)])
    def test_sessions_wait_if_they_do_before_every_kind_of_statement(self, sync_wait: int, waits: bool) -> None:
        assert Cluster(sync_wait, "TOI").waits is waits

    def test_nothing_is_said_where_sessions_wait(self, node: str) -> None:
        create_tables(node)
        engine = sa.create_engine(node, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql("SET GLOBAL wsrep_sync_wait = 7")
            try:
                with closing(Database(node, "posthog_")) as database:
                    assert "cluster_order" not in findings(database)
                assert "cluster" not in checks(node)
            finally:
                connection.exec_driver_sql("SET GLOBAL wsrep_sync_wait = 0")

    def test_tables_are_not_made_on_one_node_alone(self, node: str) -> None:
        engine = sa.create_engine(node, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql("SET GLOBAL wsrep_OSU_method = 'RSU'")
            try:
                with pytest.raises(TablesError, match="RSU"):
                    create_tables(node, table_prefix="other_")
                assert not sa.inspect(connection).has_table("other_outbox")
            finally:
                connection.exec_driver_sql("SET GLOBAL wsrep_OSU_method = 'TOI'")


def test_the_steps_of_ids_are_named() -> None:
    assert "in steps of 3 (auto_increment_increment)" in cluster_order(Cluster(0, "TOI", id_step=3))


def test_several_writers_without_a_cluster_are_a_finding(mariadb: TestDatabase) -> None:
    url = sa.make_url(mariadb.url).update_query_dict({"init_command": "SET SESSION auto_increment_increment = 2"})
    with closing(Database(url.render_as_string(hide_password=False), "posthog_")) as database:
        with database.engine.connect() as connection:
            assert read_surroundings(connection, database.tables) == Surroundings(id_step=2)
        assert findings(database)["several_writers"] is Severity.HEALTHY


def test_a_server_without_a_cluster_has_none(mariadb: TestDatabase) -> None:
    with closing(Database(mariadb.url, "posthog_")) as database, database.engine.connect() as connection:
        assert read_surroundings(connection, database.tables) == Surroundings()


@pytest.mark.parametrize(
    ("isolation", "statement"),
    [("REPEATABLE READ", "SELECT 1"), ("READ COMMITTED", "SELECT pg_current_xact_id()")],
    ids=["that reads", "that has written"],
)
def test_the_oldest_transaction_is_named(postgresql: TestDatabase, isolation: str, statement: str) -> None:
    engine = sa.create_engine(postgresql.url, poolclass=sa.NullPool, connect_args={"application_name": "nightly dump"})
    with engine.connect().execution_options(isolation_level=isolation) as report:
        report.exec_driver_sql(statement)
        with closing(Database(postgresql.url, "posthog_")) as database, database.engine.connect() as connection:
            old = read_surroundings(connection, database.tables).old_snapshot
            assert old is not None
            # Other tests of this machine may have older ones.
            assert old.age >= 0
            assert old.who.startswith(("process ", "prepared transaction "))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server of its own: replication slots belong to a whole server."""
    options = ("-c wal_level=logical", "-c max_prepared_transactions=5", "-c fsync=off")
    try:
        # Not in pytest's folder, which the server's account may not enter.
        with (
            tempfile.TemporaryDirectory(prefix="hogbox-") as folder,
            own_server("postgresql", Path(folder), *options) as server,
        ):
            create_tables(server.url)
            yield server.url
    except NotApplicable as reason:
        unavailable("postgresql", str(reason))


@pytest.fixture
def administrator(server: str) -> Iterator[sa.Connection]:
    url = sa.make_url(server).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


class TestWhatKeepsDeletedRowsBesideTransactions:
    def test_a_replication_slot_and_a_standby_that_is_connected(
        self, server: str, administrator: sa.Connection
    ) -> None:
        administrator.exec_driver_sql("SELECT pg_create_physical_replication_slot('nightly', true)")
        administrator.exec_driver_sql("SELECT pg_create_logical_replication_slot('changes', 'pgoutput')")
        with standby(server, "nightly"):
            wait_until(
                lambda: administrator.scalar(sa.text("SELECT xmin FROM pg_replication_slots WHERE xmin IS NOT NULL")),
                "the slot to keep what the standby needs",
            )
        with closing(Database(server, "posthog_")) as database, database.engine.connect() as connection:
            rows, system = read_surroundings(connection, database.tables).horizons
            assert rows.who == "replication slot nightly (not in use)"
            assert (rows.system_only, system.system_only) == (False, True)
            assert system.who == "replication slot changes (not in use)"
            before = rows.transactions
            administrator.exec_driver_sql("SELECT pg_current_xact_id()")
            rows, _ = read_surroundings(connection, database.tables).horizons
            assert rows.transactions > before
        for slot in ("nightly", "changes"):
            administrator.exec_driver_sql(f"SELECT pg_drop_replication_slot('{slot}')")

    def test_a_standby_without_a_slot(self, server: str, administrator: sa.Connection) -> None:
        with standby(server, None):
            wait_until(
                lambda: administrator.scalar(sa.text("SELECT max(backend_xmin::text) FROM pg_stat_replication")),
                "the standby's feedback",
            )
            with closing(Database(server, "posthog_")) as database, database.engine.connect() as connection:
                (horizon,) = read_surroundings(connection, database.tables).horizons
        assert horizon.who == "standby reports"

    def test_a_prepared_transaction(self, server: str, administrator: sa.Connection) -> None:
        administrator.exec_driver_sql("BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION 'left over'")
        with closing(Database(server, "posthog_")) as database, database.engine.connect() as connection:
            old = read_surroundings(connection, database.tables).old_snapshot
        administrator.exec_driver_sql("ROLLBACK PREPARED 'left over'")
        assert old is not None
        assert old.who.startswith("prepared transaction left over")

    def test_sessions_that_can_not_be_examined_are_counted(self, server: str, administrator: sa.Connection) -> None:
        administrator.exec_driver_sql("CREATE ROLE plain LOGIN")
        administrator.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain")
        plain = sa.make_url(server).set(username="plain").render_as_string(hide_password=False)
        with closing(Database(plain, "posthog_")) as database:
            assert findings(database)["sessions_hidden"] is Severity.HEALTHY
            assert "GRANT pg_read_all_stats" in checks(plain)["sessions hidden"]
        administrator.exec_driver_sql("GRANT pg_read_all_stats TO plain")
        with closing(Database(plain, "posthog_")) as database:
            assert "sessions_hidden" not in findings(database)
            assert "sessions hidden" not in checks(plain)


@contextmanager
def standby(server: str, slot: str | None) -> Iterator[None]:
    """Says what a standby with hot_standby_feedback says: that its queries need what there is now."""
    url = sa.make_url(server)
    wanted = f"host={url.host} port={url.port} user={url.username} application_name=reports"
    with psycopg.connect(f"{wanted} dbname=postgres", autocommit=True) as asking:
        oldest = int(asking.execute("SELECT pg_current_xact_id()::text").fetchone()[0])  # type: ignore[index]
        begin = asking.execute("SELECT pg_current_wal_lsn()::text").fetchone()[0]  # type: ignore[index]
    line = pq.PGconn.connect(f"{wanted} replication=true".encode())
    named = f"SLOT {slot} " if slot else ""
    line.send_query(f"START_REPLICATION {named}PHYSICAL {begin}".encode())
    result = line.get_result()
    assert result is not None
    assert result.status == pq.ExecStatus.COPY_BOTH, line.error_message
    line.put_copy_data(b"h" + struct.pack("!qIIII", 0, oldest, 0, 0, 0))
    line.flush()
    try:
        yield
    finally:
        line.finish()


@pytest.mark.parametrize(
    ("horizon", "expected"),
    [
        (Horizon("standby reports", 100_000, False), {}),
        (Horizon("standby reports", 100_001, False), {"old_horizon": Severity.HEALTHY}),
        (Horizon("standby reports", 1_000_001, False), {"old_horizon": Severity.DEGRADED}),
        (Horizon("replication slot changes", 1_000_001, True), {"old_catalog_horizon": Severity.HEALTHY}),
    ],
)
def test_a_horizon_far_back_is_a_finding_and_later_a_fault(horizon: Horizon, expected: dict[str, Severity]) -> None:
    found = surroundings(Surroundings(horizons=(horizon,)))
    assert {one.name: one.severity for one in found} == expected


@pytest.mark.parametrize(("age", "level"), [(599.0, None), (601.0, Severity.HEALTHY), (3601.0, Severity.DEGRADED)])
def test_an_old_snapshot_is_a_finding_and_later_a_fault(
    postgresql: TestDatabase, age: float, level: Severity | None
) -> None:
    with closing(Database(postgresql.url, "posthog_")) as database:
        standing = StatusStore(database).read()
    around = Surroundings(OldSnapshot("process 7 (pg_dump, user backup)", age))
    found = judge(standing._replace(surroundings=around), lease=30.0, key_given=False)
    assert {one.name: one.severity for one in found}.get("old_snapshot") == level


def test_a_sequence_with_a_cache_is_a_warning(postgresql: TestDatabase) -> None:
    assert "sequence" not in checks(postgresql.url)
    postgresql.execute("ALTER SEQUENCE posthog_outbox_id_seq CACHE 50")
    try:
        assert "cache of 50" in checks(postgresql.url)["sequence"]
    finally:
        postgresql.execute("ALTER SEQUENCE posthog_outbox_id_seq CACHE 1")
