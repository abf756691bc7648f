"""MySQL and MariaDB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import URL, Connection, Table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from hogbox._store.dialects.backend import Backend
from hogbox._store.dialects.element import LongText, epoch_ms, serializable, table_exists
from hogbox.errors import TablesError

_LOCK_NAME: Final = "hogbox-migrate"
_LOCK_SECONDS: Final = 2


class MysqlBackend(Backend):
    """MySQL and MariaDB."""

    package = "mysql"
    driver = "pymysql"
    extra = "mysql"

    def connect_arguments(self, url: URL) -> dict[str, Any]:
        chosen = url.get_driver_name() in ("pymysql", "mysqldb") and "connect_timeout" not in url.query
        return {"connect_timeout": self.connect_seconds} if chosen else {}

    def or_change(self, new: Any, _: Table, changes: Mapping[str, Any]) -> Any:
        return new.on_duplicate_key_update([*changes.items()])

    def or_nothing(self, new: Any) -> Any:
        return new.prefix_with("IGNORE")

    def or_replace(self, new: Any, _: Table, names: Iterable[str]) -> Any:
        return new.on_duplicate_key_update([(name, new.inserted[name]) for name in names])

    @contextmanager
    def migrating(self, connection: Connection) -> Iterator[None]:
        if connection.exec_driver_sql(f"SELECT GET_LOCK('{_LOCK_NAME}', 60)").scalar() != 1:
            raise TablesError("another process has been migrating hogbox's tables for a minute: wait for it, or end it")
        before = None
        try:
            before = connection.exec_driver_sql("SELECT @@SESSION.lock_wait_timeout").scalar()
            connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}")
            yield
            connection.commit()
        finally:
            connection.exec_driver_sql(f"SELECT RELEASE_LOCK('{_LOCK_NAME}')")
            if before is not None:
                connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {before}")


@compiles(epoch_ms, "mysql")
@compiles(epoch_ms, "mariadb")
def _epoch_ms(_: epoch_ms, _compiler: SQLCompiler, **_options: Any) -> str:
    # Not UNIX_TIMESTAMP(): it reads the session's local time, which repeats an hour every autumn.
    return "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)"


@compiles(table_exists, "mysql")
@compiles(table_exists, "mariadb")
def _table_exists(element: table_exists, compiler: SQLCompiler, **kw: Any) -> str:
    name = compiler.process(element.clauses, **kw)
    here = f"table_schema = DATABASE() AND table_name = {name}"
    return f"EXISTS (SELECT 1 FROM information_schema.tables WHERE {here})"  # noqa: S608 - the name is SQL


@compiles(serializable, "mysql")
@compiles(serializable, "mariadb")
def _serializable(_: serializable, _compiler: SQLCompiler, **_options: Any) -> str:
    # Each server reads the comment that is its own: MariaDB leaves out those of MySQL 5.7.
    return "(/*!50720 @@transaction_isolation*//*M! @@tx_isolation*/ = 'SERIALIZABLE')"


@compiles(LongText, "mysql")
@compiles(LongText, "mariadb")
def _long_text(_: LongText, _compiler: Any, **_options: Any) -> str:
    return "LONGTEXT"
