"""What a server does beside hogbox is seen, said in `status` and `doctor`, and respected by migrations."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from hogbox._operations.diagnosis import Level, judge
from hogbox._operations.doctor import examine
from hogbox._settings.client import ClientSettings
from hogbox._store.connections.database import Database
from hogbox._store.connections.surroundings import Cluster, OldSnapshot, Surroundings, read_cluster, read_surroundings
from hogbox._store.inspection.status import StatusStore
from hogbox.errors import TablesError
from hogbox.schema import create_tables
from proof.server import NotApplicable, own_server
from tests.fixtures.database import SharedDatabases, TestDatabase
from tests.fixtures.port import free_port
from tests.fixtures.requirement import unavailable

PROVIDER = Path("/usr/lib/galera/libgalera_smm.so")


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
    return {check.name: check.found for check in examine(settings, {})}


def findings(database: Database) -> dict[str, Level]:
    found = judge(StatusStore(database).read(), lease=30.0, key_given=False)
    return {finding.what: finding.level for finding in found}


class TestANodeOfGalera:
    def test_it_is_said_what_order_needs(self, node: str) -> None:
        create_tables(node)
        with closing(Database(node, "posthog_")) as database:
            with database.engine.connect() as connection:
                assert read_cluster(connection) == Cluster(0, "TOI")
            assert findings(database)["cluster_order"] is Level.HEALTHY
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


@pytest.mark.parametrize(("age", "level"), [(599.0, None), (601.0, Level.HEALTHY), (3601.0, Level.DEGRADED)])
def test_an_old_snapshot_is_a_finding_and_later_a_fault(
    postgresql: TestDatabase, age: float, level: Level | None
) -> None:
    with closing(Database(postgresql.url, "posthog_")) as database:
        standing = StatusStore(database).read()
    around = Surroundings(OldSnapshot("process 7 (pg_dump, user backup)", age))
    found = judge(standing._replace(surroundings=around), lease=30.0, key_given=False)
    assert {one.what: one.level for one in found}.get("old_snapshot") == level


def test_a_sequence_with_a_cache_is_a_warning(postgresql: TestDatabase) -> None:
    assert "sequence" not in checks(postgresql.url)
    postgresql.execute("ALTER SEQUENCE posthog_outbox_id_seq CACHE 50")
    try:
        assert "cache of 50" in checks(postgresql.url)["sequence"]
    finally:
        postgresql.execute("ALTER SEQUENCE posthog_outbox_id_seq CACHE 1")
