"""Surroundings: what a server does beside hogbox that its promises depend on. Each question may be refused."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from hogbox._store.schema.table import Tables

_OLD_SNAPSHOT: Final = text("""
    SELECT held.who, held.age FROM (
        SELECT 'process ' || pid || ' (' || coalesce(nullif(application_name, ''), 'no application name')
                || ', user ' || coalesce(usename, '?') || ')' AS who,
            extract(epoch FROM clock_timestamp() - xact_start) AS age
        FROM pg_stat_activity
        WHERE coalesce(backend_xmin, backend_xid) IS NOT NULL AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
            AND backend_type = 'client backend' AND (datname = current_database() OR backend_xid IS NOT NULL)
        UNION ALL
        SELECT 'prepared transaction ' || gid || ' (user ' || owner || ')',
            extract(epoch FROM clock_timestamp() - prepared)
        FROM pg_prepared_xacts
    ) AS held ORDER BY held.age DESC LIMIT 1
""")

_SEQUENCE: Final = text("""
    SELECT seqrelid::regclass::text, seqcache FROM pg_sequence
    WHERE seqrelid = pg_get_serial_sequence(:outbox, 'id')::regclass
""")

_ALL_STATEMENTS: Final = 7
"""1: reads, 2: UPDATE and DELETE, 4: INSERT."""

_CLUSTER: Final = text("""
    SHOW VARIABLES WHERE Variable_name IN ('wsrep_on', 'wsrep_sync_wait', 'wsrep_osu_method')
""")


class OldSnapshot(NamedTuple):
    """The oldest transaction of PostgreSQL that keeps deleted rows from being removed."""

    who: str
    age: float
    """Seconds."""


class Cluster(NamedTuple):
    """A node of a Galera cluster, with the defaults of its sessions."""

    sync_wait: int
    """For which statements a session waits until the node has applied what others committed: a sum of bits."""
    method: str
    """How it changes schemas: TOI or RSU."""

    @property
    def waits(self) -> bool:
        """Whether sessions wait before each statement that can take part in the order of events."""
        return self.sync_wait & _ALL_STATEMENTS == _ALL_STATEMENTS


class OutboxSequence(NamedTuple):
    """What gives the outbox its ids."""

    name: str
    cache: int
    """Ids that a session takes in advance."""


class Surroundings(NamedTuple):
    """What there is to know; None where there is nothing, or where this user may not know."""

    old_snapshot: OldSnapshot | None = None
    cluster: Cluster | None = None
    sequence: OutboxSequence | None = None


def read_surroundings(connection: Connection, tables: Tables) -> Surroundings:
    """Ask the server. Raises nothing for what it refuses: it counts as unknown."""
    name = connection.dialect.name
    if name == "postgresql":
        return Surroundings(_old_snapshot(connection), sequence=_sequence(connection, tables))
    if name in ("mysql", "mariadb"):
        return Surroundings(cluster=read_cluster(connection))
    return Surroundings()


def read_cluster(connection: Connection) -> Cluster | None:
    """What a node says of its cluster; None on MySQL, and where MariaDB is no node of one."""
    try:
        found = {str(name).lower(): str(value) for name, value in connection.execute(_CLUSTER)}
    except SQLAlchemyError:
        return None
    if found.get("wsrep_on") != "ON":
        return None
    return Cluster(int(found.get("wsrep_sync_wait", "0")), found.get("wsrep_osu_method", "TOI"))


def _old_snapshot(connection: Connection) -> OldSnapshot | None:
    try:
        row = connection.execute(_OLD_SNAPSHOT).first()
    except SQLAlchemyError:
        return None
    return None if row is None else OldSnapshot(str(row[0]), float(row[1]))


def _sequence(connection: Connection, tables: Tables) -> OutboxSequence | None:
    try:
        row = connection.execute(_SEQUENCE, {"outbox": tables.outbox.name}).first()
    except SQLAlchemyError:
        return None
    return None if row is None else OutboxSequence(str(row[0]), int(row[1]))
