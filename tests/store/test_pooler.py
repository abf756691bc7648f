"""Behind PgBouncer in transaction mode, where each transaction may meet another connection of the server."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from hogbox import PostHog
from hogbox.schema import create_tables
from tests.fixtures.database import make_database
from tests.fixtures.pgbouncer import Pooled

ROUNDS = 30


@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
def test_own_statements_are_not_prepared_and_leave_no_settings_behind(
    request: pytest.FixtureRequest, tmp_path: Path, pooled: Pooled, isolation: str
) -> None:
    with make_database(request, "postgresql", tmp_path) as database:
        create_tables(database.engine)
        database.engine.dispose()
        name = sa.make_url(database.url).database
        with sa.create_engine(database.url, isolation_level="AUTOCOMMIT").connect() as admin:
            admin.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_isolation = '{isolation}'")
            admin.exec_driver_sql(f"ALTER DATABASE {name} SET statement_timeout = '7s'")
            admin.connection.invalidate()
        url = pooled(database.url)
        clients = [PostHog(url, project_token="phc_pooled") for _ in range(4)]
        for _ in range(ROUNDS):
            for client in clients:
                client.capture(None, "own", distinct_id="ada")
        assert database.count("posthog_outbox") == ROUNDS * len(clients)
        other = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        for _ in range(6):
            with other.connect() as connection:
                assert connection.exec_driver_sql("SHOW default_transaction_isolation").scalar() == isolation
                assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "7s"
        for client in clients:
            client.shutdown()


def test_callers_psycopg_connections_are_written_in_without_prepared_statements(
    request: pytest.FixtureRequest, tmp_path: Path, pooled: Pooled
) -> None:
    psycopg = pytest.importorskip("psycopg")
    with make_database(request, "postgresql", tmp_path) as database:
        create_tables(database.engine)
        url = sa.make_url(pooled(database.url)).set(drivername="postgresql").render_as_string(False)
        posthog = PostHog(database.url, project_token="phc_pooled")
        callers = [psycopg.connect(url) for _ in range(4)]
        for _ in range(ROUNDS):
            for caller in callers:
                posthog.capture(caller, "theirs", distinct_id="ada")
                caller.commit()
        for caller in callers:
            caller.close()
        assert database.count("posthog_outbox") == ROUNDS * len(callers)
        posthog.shutdown()
