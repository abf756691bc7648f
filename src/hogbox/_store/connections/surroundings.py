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

_HORIZONS: Final = text("""
    SELECT who, transactions, system_only FROM (
        SELECT 'replication slot ' || slot_name || CASE WHEN active THEN '' ELSE ' (not in use)' END AS who,
            age(xmin)::bigint AS transactions, false AS system_only
        FROM pg_replication_slots WHERE xmin IS NOT NULL
        UNION ALL
        SELECT 'replication slot ' || slot_name || CASE WHEN active THEN '' ELSE ' (not in use)' END,
            age(catalog_xmin)::bigint, true
        FROM pg_replication_slots WHERE catalog_xmin IS NOT NULL
        UNION ALL
        SELECT 'standby ' || coalesce(nullif(application_name, ''), host(client_addr), 'of process ' || pid),
            age(backend_xmin)::bigint, false
        FROM pg_stat_replication WHERE backend_xmin IS NOT NULL
    ) AS held ORDER BY transactions DESC
""")
"""A slot's xmin keeps the rows of all tables, its catalog_xmin those of the system's tables."""

_HIDDEN: Final = text("""
    SELECT count(*) FROM pg_stat_activity
    WHERE query = '<insufficient privilege>' AND usesysid IS NOT NULL
        AND NOT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
""")
"""PostgreSQL shows other roles' sessions without what they hold to who may not read it."""

_SEQUENCE: Final = text("""
    SELECT seqrelid::regclass::text, seqcache FROM pg_sequence
    WHERE seqrelid = pg_get_serial_sequence(:outbox, 'id')::regclass
""")

_ALL_STATEMENTS: Final = 7
"""1: reads, 2: UPDATE and DELETE, 4: INSERT."""

_CLUSTER: Final = text("""
    SHOW VARIABLES WHERE Variable_name IN
        ('wsrep_on', 'wsrep_sync_wait', 'wsrep_osu_method', 'auto_increment_increment')
""")


class OldSnapshot(NamedTuple):
    """The oldest transaction of PostgreSQL that keeps deleted rows from being removed."""

    who: str
    age: float
    """Seconds."""


class Horizon(NamedTuple):
    """Something other than a transaction of PostgreSQL's own that keeps deleted rows from being removed."""

    who: str
    transactions: int
    """How many transactions began since those whose rows it keeps."""
    system_only: bool
    """Whether it keeps those of the system's tables only."""


class Cluster(NamedTuple):
    """A node of a Galera cluster, with the defaults of its sessions."""

    sync_wait: int
    """For which statements a session waits until the node has applied what others committed: a sum of bits."""
    method: str
    """How it changes schemas: TOI or RSU."""
    id_step: int = 1
    """From one id that a node gives out to the next one: as many nodes as give out ids."""

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
    horizons: tuple[Horizon, ...] = ()
    """The furthest back of each kind."""
    hidden: int = 0
    """Sessions of other roles on PostgreSQL whose transactions this user may not see."""
    id_step: int = 1
    """On MySQL and MariaDB without Galera; more than 1 where several servers are written to."""


def read_surroundings(connection: Connection, tables: Tables) -> Surroundings:
    """Ask the server. Raises nothing for what it refuses: it counts as unknown."""
    name = connection.dialect.name
    if name == "postgresql":
        return Surroundings(
            _old_snapshot(connection),
            sequence=_sequence(connection, tables),
            horizons=_horizons(connection),
            hidden=_hidden(connection),
        )
    if name in ("mysql", "mariadb"):
        cluster, step = _read_writers(connection)
        return Surroundings(cluster=cluster, id_step=1 if cluster else step)
    return Surroundings()


def read_cluster(connection: Connection) -> Cluster | None:
    """The cluster that this node belongs to; None on MySQL, and if MariaDB is not part of a cluster."""
    return _read_writers(connection)[0]


def _read_writers(connection: Connection) -> tuple[Cluster | None, int]:
    """The cluster, and from one id to the next one."""
    try:
        found = {str(name).lower(): str(value) for name, value in connection.execute(_CLUSTER)}
    except SQLAlchemyError:
        return None, 1
    step = int(found.get("auto_increment_increment", "1"))
    if found.get("wsrep_on") != "ON":
        return None, step
    return Cluster(int(found.get("wsrep_sync_wait", "0")), found.get("wsrep_osu_method", "TOI"), step), step


def _old_snapshot(connection: Connection) -> OldSnapshot | None:
    try:
        row = connection.execute(_OLD_SNAPSHOT).first()
    except SQLAlchemyError:
        return None
    return None if row is None else OldSnapshot(str(row[0]), float(row[1]))


def _horizons(connection: Connection) -> tuple[Horizon, ...]:
    try:
        found = [Horizon(str(who), int(age), bool(system)) for who, age, system in connection.execute(_HORIZONS)]
    except SQLAlchemyError:
        return ()
    furthest = (next((one for one in found if one.system_only is system), None) for system in (False, True))
    return tuple(one for one in furthest if one is not None)


def _hidden(connection: Connection) -> int:
    try:
        return connection.scalar(_HIDDEN) or 0
    except SQLAlchemyError:
        return 0


def _sequence(connection: Connection, tables: Tables) -> OutboxSequence | None:
    try:
        row = connection.execute(_SEQUENCE, {"outbox": tables.outbox.name}).first()
    except SQLAlchemyError:
        return None
    return None if row is None else OutboxSequence(str(row[0]), int(row[1]))
