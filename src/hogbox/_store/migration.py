"""Numbered migrations. A new database gets today's tables at once; an older one the steps that it lacks, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Connection, Engine, insert

from hogbox._events.identifier import SHARDS
from hogbox._store.database import read_version
from hogbox._store.dialect import epoch_ms, migrating, transactional
from hogbox._store.table import SCHEMA_VERSION, Tables
from hogbox.errors import TablesNewer

STEPS: Final[Mapping[int, Callable[[Connection, Tables], None]]] = {}
"""What turns the tables of version n - 1 into those of version n. Version 1 is the first that was released."""


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


def _migrate(connection: Connection, tables: Tables) -> int:
    tables.schema.create(connection, checkfirst=True)
    version = read_version(connection, tables) or 0
    if version > SCHEMA_VERSION:
        raise TablesNewer()
    if version == 0:
        _create(connection, tables)
    for number in range(max(version, 1) + 1, SCHEMA_VERSION + 1):
        STEPS[number](connection, tables)
    if version < SCHEMA_VERSION:
        connection.execute(insert(tables.schema).values(version=SCHEMA_VERSION, applied_at=epoch_ms()))
    return SCHEMA_VERSION


def _create(connection: Connection, tables: Tables) -> None:
    tables.metadata.create_all(connection)
    fresh = {"fence": 0, "lease_expires_at": 0, "not_before": 0, "attempt": 0}
    connection.execute(insert(tables.shards), [{"shard": shard, **fresh} for shard in range(SHARDS)])
