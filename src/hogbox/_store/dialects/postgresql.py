"""PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import URL, Connection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from hogbox._store.dialects.backend import Backend
from hogbox._store.dialects.element import epoch_ms, hexadecimal, serializable, table_exists, with_marks, writable

_LOCK_NUMBER: Final = 0x686F67626F78
_LOCK_SECONDS: Final = 2


class PostgresqlBackend(Backend):
    """PostgreSQL."""

    package = "postgresql"
    driver = "psycopg"
    extra = "postgres"
    shows_writers = True

    def connect_arguments(self, url: URL) -> dict[str, Any]:
        if url.get_driver_name() not in ("psycopg", "psycopg2"):
            return {}
        # In a database without an encoding, SQL_ASCII, psycopg reads bytes in the place of text otherwise.
        chosen = {"connect_timeout": self.connect_seconds, "client_encoding": "utf8"}
        return {name: value for name, value in chosen.items() if name not in url.query}

    @contextmanager
    def migrating(self, connection: Connection) -> Iterator[None]:
        # Whoever waits for a lock on a table makes all others wait behind it: a short while, and then another try.
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_NUMBER})")
        yield
        connection.commit()


@compiles(epoch_ms, "postgresql")
def _epoch_ms(_: epoch_ms, _compiler: SQLCompiler, **_options: Any) -> str:
    # Not clock_timestamp(): it may change within a statement, so that no index can be searched with it. Not now():
    # it stands still for a whole transaction.
    return "CAST(extract(epoch from statement_timestamp()) * 1000 AS BIGINT)"


@compiles(hexadecimal, "postgresql")
def _hexadecimal(element: hexadecimal, compiler: SQLCompiler, **kw: Any) -> str:
    return f"encode(convert_to({compiler.process(element.clauses, **kw)}, 'SQL_ASCII'), 'hex')"


@compiles(with_marks, "postgresql")
def _with_marks(element: with_marks, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)


@compiles(table_exists, "postgresql")
def _table_exists(element: table_exists, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(to_regclass({compiler.process(element.clauses, **kw)}) IS NOT NULL)"


@compiles(serializable, "postgresql")
def _serializable(_: serializable, _compiler: SQLCompiler, **_options: Any) -> str:
    return "(current_setting('transaction_isolation') = 'serializable')"


@compiles(writable, "postgresql")
def _writable(_: writable, _compiler: SQLCompiler, **_options: Any) -> str:
    return "(current_setting('transaction_read_only') = 'off')"
