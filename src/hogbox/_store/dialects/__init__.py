"""What differs by database: SQLite, PostgreSQL, MariaDB and MySQL. This is where the right one is picked."""

from __future__ import annotations

from typing import Final

from hogbox._store.dialects.backend import Backend
from hogbox._store.dialects.mysql import MysqlBackend
from hogbox._store.dialects.postgresql import PostgresqlBackend
from hogbox._store.dialects.sqlite import SqliteBackend
from hogbox.errors import UnsupportedDatabase

SUPPORTED: Final = "SQLite, PostgreSQL, MariaDB and MySQL"

_MYSQL: Final = MysqlBackend()

BACKENDS: Final = {
    "sqlite": SqliteBackend(),
    "postgresql": PostgresqlBackend(),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
}
"""By the name of SQLAlchemy's dialect. Their modules register how each spells the elements."""


def backend_of(dialect: str) -> Backend:
    """The backend for a dialect of this name. Raises UnsupportedDatabase for others."""
    if dialect not in BACKENDS:
        raise UnsupportedDatabase(f"{dialect!r} is not a database that hogbox knows: use {SUPPORTED}")
    return BACKENDS[dialect]
