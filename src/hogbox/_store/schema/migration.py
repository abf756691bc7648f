"""Numbered migrations. A new database gets today's tables at once; an older one the steps that it lacks, in order."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, Insert, Inspector, Table, insert, inspect, text
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.mock import MockConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

from hogbox._events.identifier import SHARDS
from hogbox._store.connections.database import can_use, read_version
from hogbox._store.connections.engine import autocommit, migrating, transactional
from hogbox._store.connections.surroundings import read_cluster
from hogbox._store.dialects.element import epoch_ms
from hogbox._store.dialects.failure import hindrance
from hogbox._store.schema.table import OLDEST_COMPATIBLE, SCHEMA_VERSION, Tables
from hogbox.errors import TablesError, TablesNewer

log = logging.getLogger("hogbox")

PATIENCE: Final = 60.0
"""Seconds for which a migration waits for other transactions."""

_PAUSE: Final = 1.0
"""Seconds between two tries, in which those who waited behind the last one get their turn."""


def _add_definitions(connection: Connection, tables: Tables) -> None:
    """Version 2: where the flag definitions, the refreshing of them and the exposures to flags are kept."""
    tables.metadata.create_all(connection, tables=[tables.flag_definitions, tables.refreshes, tables.exposures])


def _add_operations(connection: Connection, tables: Tables) -> None:
    """Version 3: what operators look at (rates, holds, polls, history), and how far imports have come."""
    tables.metadata.create_all(connection, tables=[tables.holds, tables.flag_history, tables.imports])
    for table, names in (
        (tables.schema, ["oldest_compatible"]),
        (tables.shards, ["last_error_at"]),
        (tables.workers, ["delivered", "dead", "per_minute"]),
        (tables.refreshes, ["polls", "polls_alone"]),
    ):
        _add_columns(connection, table, names)
    _add_index(connection, tables.dead_letters, "dead_letters_died_at")


def _add_marks(connection: Connection, tables: Tables) -> None:
    """Version 4: from which event on each shard is read."""
    _add_columns(connection, tables.shards, ["read_from"])


STEPS: Final[Mapping[int, Callable[[Connection, Tables], None]]] = {
    2: _add_definitions,
    3: _add_operations,
    4: _add_marks,
}
"""What turns the tables of version n - 1 into those of version n; each may have run in part already, where the database
can't roll its schema back. Version 1 is the first that was released."""


def migrate(engine: Engine, tables: Tables) -> tuple[int, int]:
    """Bring the tables to this version, whatever is there; returns the versions before and after.

    Several processes may call it at once: one works, the others wait and find nothing to do. While a backup or another
    transaction holds the tables it is tried again and again, for `PATIENCE` seconds; then TablesError is raised. Newer
    tables that this hogbox can use stay as they are; raises TablesNewer where it can't.
    """
    ends = time.monotonic() + PATIENCE
    told = False
    while True:
        try:
            return _migrate_once(engine, tables)
        except DBAPIError as error:
            if (why := hindrance(error)) is None:
                raise
            if time.monotonic() >= ends:
                raise TablesError(
                    f"hogbox's tables could not be migrated within {PATIENCE:.0f} s, because {why}: nothing was "
                    "changed that another run does not complete; end what holds them, or try again later"
                ) from error
            if not told:
                log.warning("hogbox's tables can't be migrated yet, because %s; trying again", why)
            told = True
        time.sleep(_PAUSE)


def _migrate_once(engine: Engine, tables: Tables) -> tuple[int, int]:
    with autocommit(engine).connect() as connection:
        before = read_version(connection, tables) or 0
        usable = can_use(connection, tables, before)
        cluster = read_cluster(connection) if engine.dialect.name in ("mysql", "mariadb") else None
    if usable:
        return before, before
    if cluster is not None and cluster.method == "RSU":
        raise TablesError(
            "wsrep_OSU_method is RSU on this node, which would make the tables here and on no other node: migrate with "
            "SET GLOBAL wsrep_OSU_method = 'TOI'"
        )
    with transactional(engine).connect() as connection, migrating(connection):
        return before, _migrate(connection, tables)


def render(dialect: Dialect, tables: Tables, before: int) -> list[str]:
    """The SQL that brings tables of a version (0: none) to this one, a statement each; they begin with `tables.schema`.

    For tools that run SQL by themselves. Raises TablesNewer where the tables are ahead of this hogbox.
    """
    script = _Script(dialect)
    recorder: Any = script  # it has the methods of a connection that the steps use
    if before == 0:
        tables.schema.create(recorder)
    _upgrade(recorder, tables, before)
    return script.statements


class _Script(MockConnection):
    """Takes statements as a connection does, and only writes them down."""

    def __init__(self, dialect: Dialect) -> None:
        self.statements: list[str] = []
        self.created: set[str] = set()
        super().__init__(dialect, self._note)

    def _note(self, statement: Any, *_: Any, **__: Any) -> None:
        if isinstance(statement, CreateTable):
            self.created.add(statement.element.name)
        written = statement.compile(dialect=self.dialect, compile_kwargs={"literal_binds": True})
        self.statements.append(str(written).strip())


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
        connection.execute(_note_version(tables))


def _note_version(tables: Tables) -> Insert:
    return insert(tables.schema).values(
        version=SCHEMA_VERSION, applied_at=epoch_ms(), oldest_compatible=OLDEST_COMPATIBLE
    )


def _add_columns(connection: Connection | _Script, table: Table, names: Sequence[str]) -> None:
    """Add columns that may be null, which older processes need not know; not those that are there."""
    there = _names_there(connection, table, lambda look: look.get_columns(table.name), names)
    quoted = connection.dialect.identifier_preparer.format_table(table)
    for name in names:
        if name not in there:
            written = str(CreateColumn(table.c[name]).compile(dialect=connection.dialect))
            connection.execute(text(f"ALTER TABLE {quoted} ADD COLUMN {written}"))


def _add_index(connection: Connection | _Script, table: Table, name: str) -> None:
    index = next(index for index in table.indexes if str(index.name).endswith(name))
    wanted = [str(index.name)]
    if not _names_there(connection, table, lambda look: look.get_indexes(table.name), wanted):
        connection.execute(CreateIndex(index))


def _names_there(
    connection: Connection | _Script, table: Table, look: Callable[[Inspector], Iterable[Any]], wanted: Sequence[str]
) -> set[str]:
    """Those of the names that the table has already: a migration may have been cut off, or have just made it."""
    if isinstance(connection, _Script):
        return set(wanted) if table.name in connection.created else set()
    return {str(one["name"]) for one in look(inspect(connection))} & set(wanted)


def _create(connection: Connection, tables: Tables) -> None:
    others = [table for table in tables.metadata.sorted_tables if table is not tables.schema]
    tables.metadata.create_all(connection, tables=others)
    fresh = {"fence": 0, "lease_expires_at": 0, "not_before": 0, "attempt": 0}
    connection.execute(insert(tables.shards).values([{"shard": shard, **fresh} for shard in range(SHARDS)]))
