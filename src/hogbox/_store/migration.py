"""Numbered migrations. A new database gets today's tables at once; an older one the steps that it lacks, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Engine, insert
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.mock import MockConnection

from hogbox._events.identifier import SHARDS
from hogbox._store.database import read_version
from hogbox._store.dialect import epoch_ms, migrating, transactional
from hogbox._store.table import SCHEMA_VERSION, Tables
from hogbox.errors import TablesNewer


def _add_definitions(connection: Connection, tables: Tables) -> None:
    """Version 2: where the flag definitions, the refreshing of them and the exposures to flags are kept."""
    tables.metadata.create_all(connection, tables=[tables.flag_definitions, tables.refreshes, tables.exposures])


STEPS: Final[Mapping[int, Callable[[Connection, Tables], None]]] = {2: _add_definitions}
"""What turns the tables of version n - 1 into those of version n; each may have run in part already, where the database
can't roll its schema back. Version 1 is the first that was released."""


def migrate(engine: Engine, tables: Tables) -> tuple[int, int]:
    """Bring the tables to this version, whatever is there; returns the versions before and after.

    Several processes may call it at once: one works, the others wait and find nothing to do. Raises TablesNewer where
    the tables are ahead of this hogbox.
    """
    with transactional(engine).connect() as connection:
        before = read_version(connection, tables) or 0
        connection.rollback()
        if before == SCHEMA_VERSION:
            return before, before
        with migrating(connection):
            return before, _migrate(connection, tables)


def render(dialect: Dialect, tables: Tables, before: int) -> list[str]:
    """The SQL that brings tables of a version (0: none) to this one, a statement each; they begin with `tables.schema`.

    For tools that run SQL by themselves. Raises TablesNewer where the tables are ahead of this hogbox.
    """
    statements: list[str] = []

    def note(statement: Any, *_: Any, **__: Any) -> None:
        written = statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        statements.append(str(written).strip())

    # It has the methods of a connection that the steps use, and finds no table anywhere.
    recorder: Any = MockConnection(dialect, note)
    if before == 0:
        tables.schema.create(recorder)
    _upgrade(recorder, tables, before)
    return statements


def _migrate(connection: Connection, tables: Tables) -> int:
    tables.schema.create(connection, checkfirst=True)
    _upgrade(connection, tables, read_version(connection, tables) or 0)
    return SCHEMA_VERSION


def _upgrade(connection: Connection, tables: Tables, version: int) -> None:
    if version > SCHEMA_VERSION:
        raise TablesNewer()
    if version == 0:
        _create(connection, tables)
    else:
        for number in range(version + 1, SCHEMA_VERSION + 1):
            STEPS[number](connection, tables)
    if version < SCHEMA_VERSION:
        connection.execute(insert(tables.schema).values(version=SCHEMA_VERSION, applied_at=epoch_ms()))


def _create(connection: Connection, tables: Tables) -> None:
    others = [table for table in tables.metadata.sorted_tables if table is not tables.schema]
    tables.metadata.create_all(connection, tables=others)
    fresh = {"fence": 0, "lease_expires_at": 0, "not_before": 0, "attempt": 0}
    connection.execute(insert(tables.shards).values([{"shard": shard, **fresh} for shard in range(SHARDS)]))
