"""How the databases run the statements that workers repeat: by index, however full the outbox is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from hogbox._store.connections.database import Database
from hogbox._store.definition import DefinitionStatements, DefinitionStore
from hogbox._store.delivery import DeliveryStore
from hogbox._store.exposure import ExposureStatements
from hogbox._store.inspection.status import StatusStore
from hogbox._store.schema.table import Tables
from hogbox.schema import create_tables
from tests.fixtures.database import BACKENDS, TestDatabase, make_database

ROWS = 20_480
INDEX = "posthog_outbox_shard_id"
READS: dict[str, Callable[[DeliveryStore], object]] = {
    "read_shard_events": lambda store: store.read_events([7], (), 500, 5_000_000),
    "read_ready": lambda store: store.read_ready(),
    "read_oldest": lambda store: store.read_oldest(),
}


@pytest.fixture(scope="module", params=BACKENDS)
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestDatabase]:
    """A database whose outbox holds many events of every shard, with statistics as the databases keep them."""
    with make_database(request, request.param, tmp_path_factory.mktemp("full")) as database:
        create_tables(database.engine)
        tables = Tables("posthog_")
        row = {"project": "phc_plan", "lane": "analytics", "payload": '{"event":"paid"}', "created_at": 0}
        with database.engine.begin() as connection:
            for start in range(0, ROWS, 2048):
                rows = [{**row, "shard": number % 64} for number in range(start, start + 2048)]
                connection.execute(sa.insert(tables.outbox), rows)
            connection.execute(sa.update(tables.shards).values(owner="w1"))
        analyze = "ANALYZE TABLE posthog_outbox" if database.backend == "mariadb" else "ANALYZE"
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(analyze)
        yield database


def statements(database: TestDatabase, act: Callable[[Database], object]) -> list[tuple[str, Any]]:
    """The statements that a store runs, with their parameters; not those that open its connection."""
    own = Database(database.url, "posthog_")
    own.check()
    ran: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, sql: str, parameters: Any, *___: Any) -> None:
        ran.append((sql, parameters))

    sa.event.listen(own.engine, "before_cursor_execute", note)
    act(own)
    own.close()
    return ran


def worker_statements(database: TestDatabase, act: Callable[[DeliveryStore], object]) -> list[tuple[str, Any]]:
    """The statements of a worker's store."""
    return statements(database, lambda own: act(DeliveryStore(own, "w1")))


def plan(database: TestDatabase, act: Callable[[DeliveryStore], object]) -> list[str]:
    """The database's plan for the last statement that a store runs, a line for each step."""
    return explained(database, *worker_statements(database, act)[-1])


@pytest.mark.parametrize("shards", [[7], range(64)], ids=["one shard", "all shards"])
def test_p4_a_shards_events_are_read_in_one_statement_which_sees_one_state(
    full: TestDatabase, shards: Collection[int]
) -> None:
    """Between two statements an event could be committed that is older than those that the second one finds."""
    ran = worker_statements(full, lambda store: store.read_events(shards, (), 500, 5_000_000))
    assert len([sql for sql, _ in ran if "avg(" not in sql]) == 1


@pytest.mark.parametrize("name", READS)
def test_reading_finds_the_oldest_by_the_index_of_shard_and_id(full: TestDatabase, name: str) -> None:
    steps = plan(full, READS[name])
    assert any(INDEX in step for step in steps), steps
    whole_table = ("SCAN posthog_outbox", "Seq Scan on posthog_outbox", "posthog_outbox ALL")
    assert not [step for step in steps if any(words in step for words in whole_table)], steps


def test_events_are_read_along_the_primary_key(full: TestDatabase) -> None:
    steps = plan(full, lambda store: store.read_events(range(64), (), 500, 5_000_000))
    along = {
        "sqlite": "SEARCH posthog_outbox USING INTEGER PRIMARY KEY",
        "postgresql": "Index Scan using posthog_outbox_pkey",
        "mariadb": "posthog_outbox index PRIMARY",
    }[full.backend]
    assert any(along in step for step in steps), steps


def test_settling_looks_only_at_the_events_that_it_takes(full: TestDatabase) -> None:
    def settle(store: DeliveryStore) -> None:
        store.settle(store.read_events([9], (), 3, 5_000_000).rows, {9: 0})

    steps = plan(full, settle)
    by_id = {
        "sqlite": "SEARCH posthog_outbox USING INTEGER PRIMARY KEY",
        "postgresql": "Index Scan using posthog_outbox_",
        "mariadb": "posthog_outbox range PRIMARY",
    }[full.backend]
    assert any(by_id in step for step in steps), steps


def test_the_status_is_read_by_keys_and_indexes_however_many_events_wait(full: TestDatabase) -> None:
    """All of its statements that touch the outbox: the oldest events, the sample, the newest id, the shards."""
    looked = statements(full, lambda own: StatusStore(own).read())
    over_outbox = [(sql, parameters) for sql, parameters in looked if "posthog_outbox" in sql]
    assert len(over_outbox) == 4
    explain = "EXPLAIN QUERY PLAN" if full.backend == "sqlite" else "EXPLAIN"
    whole_table = ("Seq Scan on posthog_outbox", "posthog_outbox ALL", "USE TEMP B-TREE FOR ORDER BY")
    with full.engine.connect() as connection:
        for sql, parameters in over_outbox:
            rows = connection.exec_driver_sql(f"{explain} {sql}", parameters)
            steps = [" ".join(map(str, row)) for row in rows]
            assert not [step for step in steps if any(words in step for words in whole_table)], steps


REFRESHES: dict[str, Callable[[DefinitionStore], object]] = {
    "read_definitions": lambda store: store.read(),
    "read_revision": lambda store: store.read_revision(),
    "claim_refresh": lambda store: store.claim("w1", 60.0),
    "read_due": lambda store: store.read_wait(),
    "note_refresh": lambda store: store.note("fetched", None, unchanged="unchanged"),
}
FLAG_READS: dict[str, dict[str, object]] = {
    "read_stamp": {"wanted": "phc_7"},
    "read_text": {"wanted": "phc_7"},
    "read_exposure": {"first": "exposure 7", "last": "exposure 7"},
    "renew_claim": {"wanted": "exposure 7", "lifetime": 1000},
}
MANY = 3000


@pytest.fixture(scope="module")
def flags(request: pytest.FixtureRequest, full: TestDatabase) -> TestDatabase:
    """The same database, with the definitions of many projects and many exposures."""
    tables = Tables("posthog_")
    numbers = range(MANY)
    definitions = [{"project": f"phc_{n}", "data": "{}", "fetched_at": 0, "revision": 1} for n in numbers]
    with full.engine.begin() as connection:
        connection.execute(sa.insert(tables.flag_definitions), definitions)
        connection.execute(sa.insert(tables.refreshes), [{"project": f"phc_{n}", "due_at": 0} for n in numbers])
        exposures = [{"id": f"exposure {n}", "expires_at": 2_000_000_000_000 + n} for n in numbers]
        connection.execute(sa.insert(tables.exposures), exposures)
    named = "posthog_flag_definitions, posthog_refreshes, posthog_exposures"
    analyze = f"ANALYZE TABLE {named}" if full.backend == "mariadb" else "ANALYZE"
    with full.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(analyze)
    return full


def explained(database: TestDatabase, sql: str, parameters: Any) -> list[str]:
    """The database's plan for a statement, a line for each step."""
    explain = "EXPLAIN QUERY PLAN" if database.backend == "sqlite" else "EXPLAIN"
    with database.engine.connect() as connection:
        return [" ".join(map(str, row)) for row in connection.exec_driver_sql(f"{explain} {sql}", parameters)]


def whole_tables(steps: list[str]) -> list[str]:
    """The steps that read a table from one end to the other."""
    whole = [step for step in steps if "SCAN posthog" in step or "Seq Scan" in step or " ALL " in step]
    return [step for step in whole if "posthog_workers" not in step]  # there are few, and all are counted


@pytest.mark.parametrize("name", REFRESHES)
def test_refreshes_find_their_project_by_its_key(flags: TestDatabase, name: str) -> None:
    ran = statements(flags, lambda own: REFRESHES[name](DefinitionStore(own, "phc_7")))
    steps = explained(flags, *ran[-1])
    assert not whole_tables(steps), steps


@pytest.mark.parametrize("name", FLAG_READS)
def test_reads_of_flags_and_exposures_find_their_row_by_its_key(flags: TestDatabase, name: str) -> None:
    tables = Tables("posthog_")
    statement = {**vars(DefinitionStatements(tables)), **vars(ExposureStatements(tables))}[name]
    compiled = statement.compile(flags.engine)
    parameters = compiled.construct_params(FLAG_READS[name])
    given = [parameters[key] for key in compiled.positiontup] if compiled.positional else parameters
    steps = explained(flags, str(compiled), tuple(given) if compiled.positional else given)
    assert not whole_tables(steps), steps


def test_expired_exposures_are_found_by_their_index(flags: TestDatabase) -> None:
    ran = worker_statements(flags, lambda store: store.heartbeat(60.0, 120.0))
    (statement,) = [one for one in ran if "posthog_exposures" in one[0]]
    steps = explained(flags, *statement)
    assert any("posthog_exposures_expires_at" in step for step in steps), steps


FENCES = {9: 0}

OPERATIONS: dict[str, Callable[[DeliveryStore], object]] = {
    "announce": lambda store: store.announce("host", 1, "1.0.0"),
    "heartbeat": lambda store: store.heartbeat(60.0, 120.0),
    "hold": lambda store: store.hold("phc_plan", 1.0, 1, 401, "refused"),
    "release": lambda store: store.release("phc_plan"),
    "read_leases": lambda store: store.read_leases(60.0),
    "claim": lambda store: store.claim([63], 60.0),
    "read_ready": lambda store: store.read_ready(),
    "read_oldest": lambda store: store.read_oldest(),
    "read_events, few shards": lambda store: store.read_events([9], ("phc_held",), 50, 5_000_000),
    "read_events, many shards": lambda store: store.read_events(range(64), ("phc_held",), 50, 5_000_000),
    "count_waiting": lambda store: store.count_waiting(50),
    "settle": lambda store: store.settle(store.read_events([9], (), 2, 5_000_000).rows, FENCES),
    "bury": lambda store: store.bury(store.read_events([9], (), 1, 5_000_000).rows[0], FENCES, "refused", 400),
    "clear_retry": lambda store: store.clear_retry([9], FENCES),
    "postpone": lambda store: store.postpone([9], FENCES, 0.0, "failed"),
    "note_error": lambda store: store.note_error([9], FENCES, "failed"),
}
"""Everything that a worker does with the database while it works. Shard 9 keeps its fence: others settle it too."""

LARGE = ("posthog_outbox", "posthog_dead_letters", "posthog_exposures", "posthog_flag_history")
"""The tables that grow; the others have a row for each shard, worker, project."""


@pytest.mark.parametrize("name", OPERATIONS)
def test_no_operation_of_a_worker_reads_a_large_table_from_end_to_end(flags: TestDatabase, name: str) -> None:
    for sql, parameters in worker_statements(flags, OPERATIONS[name]):
        steps = explained(flags, sql, parameters) if any(table in sql for table in LARGE) else []
        whole = [step for step in steps for table in LARGE if reads_all_of(table, step)]
        assert not whole, (sql, steps)


def reads_all_of(table: str, step: str) -> bool:
    """Whether a step of a plan reads this table without an index."""
    by_sqlite = step.endswith(f"SCAN {table}")
    return by_sqlite or f"Seq Scan on {table}" in step or f"{table} ALL" in step


def test_a_plan_that_reads_all_of_a_table_would_be_noticed(full: TestDatabase) -> None:
    steps = explained(full, "SELECT payload FROM posthog_outbox", ())
    assert any(reads_all_of("posthog_outbox", step) for step in steps), steps
