"""SQLite: one writer at a time, a file, and no server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from hogbox._store.dialects.backend import Backend, SqliteModes
from hogbox._store.dialects.element import epoch_ms, octets, table_exists, used_bytes
from hogbox._store.dialects.sqlite_lock import begin_patiently

_BUSY_SECONDS: Final = 30
_SYNCHRONOUS_NORMAL: Final = 1
_LONGEST_LOCK: Final = 1_000_000.0


class SqliteBackend(Backend):
    """SQLite."""

    package = "sqlite"
    driver = "pysqlite"
    # Transactions begin as writers: one that reads first could not become a writer after another has written.
    isolation = "SERIALIZABLE"
    pings = False
    counts_commits = True
    most_writers = 2  # one writes while another is on the network

    def connect_arguments(self, _: URL) -> dict[str, Any]:
        return {"timeout": _BUSY_SECONDS}

    def in_memory(self, url: URL) -> bool:
        return url.database in (None, "", ":memory:") or "mode=memory" in str(url)

    def missing_file(self, url: URL) -> str | None:
        name = url.database or ""
        return None if self.in_memory(url) or name.startswith("file:") or Path(name).exists() else name

    @contextmanager
    def migrating(self, connection: Connection) -> Iterator[None]:
        begin_patiently(connection)
        driver: Any = connection.connection.driver_connection
        if driver.in_transaction:
            # The application's engine begins by itself, without the lock on writing.
            connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield
        connection.commit()

    def writers_turn(self) -> AbstractContextManager[object]:
        return threading.Lock()

    def can_write_within(self, engine: Engine, seconds: float) -> bool:
        pooled = engine.raw_connection()
        try:
            driver: Any = pooled.driver_connection
            return bool(driver.in_transaction) or _lock_within(driver, seconds)
        finally:
            pooled.close()

    @contextmanager
    def forgettable(self, connection: Connection) -> Iterator[None]:
        driver: Any = connection.connection.driver_connection
        if driver.in_transaction:
            yield
            return
        cursor = driver.cursor()
        with wrapped(connection.dialect):
            before = cursor.execute("PRAGMA synchronous").fetchone()[0]
            wal = cursor.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
            # Only in WAL mode there is no risk for the file.
            if wal and before > _SYNCHRONOUS_NORMAL:
                cursor.execute(f"PRAGMA synchronous = {_SYNCHRONOUS_NORMAL}")
        try:
            yield
        finally:
            with wrapped(connection.dialect):
                cursor.execute(f"PRAGMA synchronous = {before}")
                cursor.close()

    def sqlite_modes(self, connection: Connection) -> SqliteModes | None:
        journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        timeout = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
        return SqliteModes(str(journal), int(timeout or 0) / 1000)


@contextmanager
def wrapped(dialect: Dialect) -> Iterator[None]:
    """Raise SQLAlchemy's DBAPIError in place of the driver's own error, for what does not go through SQLAlchemy."""
    driver: Any = dialect.loaded_dbapi
    try:
        yield
    except driver.Error as error:
        raise DBAPIError.instance(None, None, error, driver.Error, dialect=dialect) from error


def _lock_within(driver: Any, seconds: float) -> bool:
    (before,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute(f"PRAGMA busy_timeout = {max(int(min(seconds, _LONGEST_LOCK) * 1000), 0)}").close()
    try:
        driver.execute("BEGIN IMMEDIATE").close()
        driver.execute("ROLLBACK").close()
    except driver.OperationalError as error:
        if "locked" not in str(error):
            raise
        return False
    finally:
        driver.execute(f"PRAGMA busy_timeout = {before}").close()
    return True


@compiles(epoch_ms, "sqlite")
def _epoch_ms(_: epoch_ms, _compiler: SQLCompiler, **_options: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@compiles(octets, "sqlite")
def _octets(element: octets, compiler: SQLCompiler, **kw: Any) -> str:
    return f"length(CAST({compiler.process(element.clauses, **kw)} AS BLOB))"


@compiles(used_bytes, "sqlite")
def _used_bytes(_: used_bytes, _compiler: SQLCompiler, **_options: Any) -> str:
    pages = "pragma_page_count AS c, pragma_freelist_count AS f, pragma_page_size AS s"
    return f"(SELECT (c.page_count - f.freelist_count) * s.page_size FROM {pages})"  # noqa: S608 - fixed names


@compiles(table_exists, "sqlite")
def _table_exists(element: table_exists, compiler: SQLCompiler, **kw: Any) -> str:
    name = compiler.process(element.clauses, **kw)
    return f"EXISTS (SELECT 1 FROM pragma_table_info({name}))"  # noqa: S608 - the name is SQL
