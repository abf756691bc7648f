"""Session: hogbox's own connections, with the same settings whatever a role, a database, a server or an engine sets.

They commit every statement by itself, and begin transactions in words where one is asked for. What would change the
session of a server's connection is said inside of a transaction on PostgreSQL: behind a pooler in transaction mode
that connection is another client's next.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

from sqlalchemy import Connection, Engine, StaticPool, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DisconnectionError, InvalidatePoolError
from sqlalchemy.pool import SingletonThreadPool

from hogbox._store.connections.guard import ConnectionGuard, Wire, wire_of
from hogbox._store.connections.handshake import bound_connecting
from hogbox._store.dialects.backend import OWN
from hogbox._store.dialects.failure import is_elsewhere

TRANSACTION: Final = "hogbox_transaction"
_SESSION: Final = "hogbox_session"

_LONGEST_LIFE: Final = 300.0
"""Seconds until a connection is replaced: what only reads is told by no error that its server was demoted."""

_READ_SETTINGS: Final = (
    "SELECT current_setting('default_transaction_isolation'), current_setting('default_transaction_read_only'), "
    "(SELECT coalesce(string_agg(name, ','), '') FROM pg_catalog.pg_settings WHERE name IN "
    "('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout') "
    "AND setting::bigint BETWEEN 1 AND 29999), pg_catalog.pg_is_in_recovery()"
)
"""Time-outs of the server that are 30 s at least do not get in the way."""

_KEPT_MODES: Final = ("ANSI_QUOTES", "NO_BACKSLASH_ESCAPES")
"""SQLAlchemy and the drivers write SQL for the ones that they met first: these stay as they are."""

_LOCK_WAIT: Final = 30
_NO_LIMIT: Final = 18_446_744_073_709_551_615


@dataclass(slots=True)
class Session:
    """One connection's state. `alone` is what begins a statement that commits by itself, where that needs saying."""

    begin: str
    alone: str | None
    wire: Wire | None
    file: tuple[int, int] | None
    born: float
    ends_in_words: bool
    patience: float | None = None
    """Of the guard, as the server was told."""


def own_engine(source: Engine, guard: ConnectionGuard) -> Engine:
    """An engine with a pool of its own that connects as this one does.

    A `creator`, `do_connect` hooks and `connect` listeners apply; listeners to the engine's statements do not. A
    database that only one connection can see is used as it is.
    """
    if not _separable(source):
        return source
    options = {name: value for name, value in source.get_execution_options().items() if name != "isolation_level"}
    own = Engine(
        source.pool.recreate(),
        source.dialect,
        source.url,
        execution_options={**options, OWN: True},
        hide_parameters=source.hide_parameters,
    )
    bound_connecting(source, own, guard)
    _Preparation(own, guard).attach()
    return own


def _separable(engine: Engine) -> bool:
    if isinstance(engine.pool, StaticPool | SingletonThreadPool):
        return False
    url = engine.url
    return engine.dialect.name != "sqlite" or not (url.database in (None, "", ":memory:") or "mode=memory" in str(url))


class _Preparation:
    """What happens to the connections of one engine, from their opening to their end."""

    def __init__(self, engine: Engine, guard: ConnectionGuard) -> None:
        self._engine = engine
        self._guard = guard
        self._dialect = engine.dialect
        # The pool's own ping comes before the guard watches.
        self._ping = bool(getattr(engine.pool, "_pre_ping", False))
        engine.pool._pre_ping = False

    def attach(self) -> None:
        engine = self._engine
        event.listen(engine, "connect", self._connect)
        event.listen(engine, "checkout", self._check_out)
        event.listen(engine, "checkin", self._check_in)
        event.listen(engine, "begin", self._begin)
        event.listen(engine, "commit", lambda connection: _end(connection, "COMMIT"))
        event.listen(engine, "rollback", lambda connection: _end(connection, "ROLLBACK"))
        event.listen(engine, "handle_error", _notice)

    def _connect(self, driver: Any, record: Any) -> None:
        name = self._dialect.name
        wire = None if name == "sqlite" else wire_of(driver)
        if wire is not None:
            wire.keep_alive()
        session = Session("BEGIN", None, wire, None, time.monotonic(), self._dialect.driver == "psycopg2")
        record.info[_SESSION] = session
        if wire is not None:
            self._guard.enter(id(record), wire)
        try:
            _PREPARE[name](driver, session, self._dialect)
        finally:
            self._guard.leave(id(record))
        if name == "sqlite":
            session.file = file_of(self._engine)

    def _check_out(self, driver: Any, record: Any, _proxy: Any) -> None:
        session: Session = record.info[_SESSION]
        if self._dialect.name == "sqlite":
            if session.file != file_of(self._engine):
                raise DisconnectionError("the file of the database was replaced or removed")
            return
        if time.monotonic() - session.born > _LONGEST_LIFE:
            raise DisconnectionError("the connection is old")
        if session.born < self._guard.cut_at:
            raise DisconnectionError("another connection of this age was not answered")
        if session.wire is not None:
            self._guard.enter(id(record), session.wire)
        self._try(driver, record, session)

    def _try(self, driver: Any, record: Any, session: Session) -> None:
        try:
            if self._ping:
                self._dialect.do_ping(driver)
            if self._dialect.name != "postgresql" and session.patience != self._guard.patience:
                session.patience = self._guard.patience
                _bound_mysql(driver, session.patience, self._dialect)
        except Exception as error:
            self._guard.leave(id(record))
            raise InvalidatePoolError(f"the connection is lost: {error}") from error

    def _check_in(self, _driver: Any, record: Any) -> None:
        self._guard.leave(id(record))

    def _begin(self, connection: Connection) -> None:
        session: Session = connection.info[_SESSION]
        if connection.get_execution_options().get(TRANSACTION):
            connection.exec_driver_sql(session.begin + self._bound())
        elif session.alone is not None:
            connection.exec_driver_sql(session.alone)

    def _bound(self) -> str:
        patience = self._guard.patience
        if patience is None or self._dialect.name != "postgresql":
            return ""
        return f"; SET LOCAL idle_in_transaction_session_timeout = '{_idle(patience)}s'"


def _end(connection: Connection, word: str) -> None:
    """psycopg2 takes a connection that commits by itself to be in no transaction, and ends none."""
    if connection.invalidated:
        return
    session: Session = connection.info[_SESSION]
    within = connection.get_execution_options().get(TRANSACTION) or session.alone is not None
    if session.ends_in_words and within:
        connection.exec_driver_sql(word)


def _notice(context: ExceptionContext) -> None:
    """Throw the whole pool away where the server is not, or no longer, the one that takes writes."""
    if is_elsewhere(context.original_exception):
        context.is_disconnect = True


def _prepare_sqlite(driver: Any, session: Session, _dialect: Any) -> None:
    driver.isolation_level = None
    if getattr(driver, "autocommit", -1) is False:
        # Python 3.12 and later: transactions that are always open. -1 is the way in which isolation_level counts.
        driver.autocommit = -1
    session.begin = "BEGIN IMMEDIATE"


def _prepare_postgresql(driver: Any, session: Session, _dialect: Any) -> None:
    driver.commit()
    driver.autocommit = True
    if hasattr(driver, "prepare_threshold"):
        # Behind a pooler in transaction mode the next statement may meet a server that did not prepare it.
        driver.prepare_threshold = None
    cursor = driver.cursor()
    cursor.execute(_READ_SETTINGS)
    isolation, read_only, short, standby = cursor.fetchone()
    cursor.close()
    writing = " READ WRITE" if read_only == "on" and not standby else ""
    session.begin = f"BEGIN ISOLATION LEVEL READ COMMITTED{writing}"
    session.begin += "".join(f"; SET LOCAL {name} = 0" for name in short.split(",") if name)
    if isolation != "read committed" or writing or short:
        session.alone = session.begin


def _prepare_mysql(driver: Any, session: Session, dialect: Any) -> None:
    if callable(driver.autocommit):
        driver.autocommit(True)
    else:
        driver.autocommit = True
    session.begin = "START TRANSACTION"
    cursor = driver.cursor()
    cursor.execute("SELECT @@log_bin, @@session.binlog_format, @@sql_mode")
    logged, binlog, mode = cursor.fetchone()
    # Servers refuse writes below REPEATABLE READ where their log holds statements.
    level = "REPEATABLE READ" if logged and binlog == "STATEMENT" else "READ COMMITTED"
    cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}, READ WRITE")
    modes = ["STRICT_TRANS_TABLES", "NO_ENGINE_SUBSTITUTION", *(one for one in _KEPT_MODES if one in mode.split(","))]
    longest = "max_statement_time" if dialect.is_mariadb else "max_execution_time"
    cursor.execute(
        f"SET SESSION sql_mode = '{','.join(modes)}', sql_safe_updates = 0, sql_select_limit = {_NO_LIMIT}, "
        f"innodb_lock_wait_timeout = {_LOCK_WAIT}, {longest} = 0"
    )
    cursor.close()


def _bound_mysql(driver: Any, patience: float | None, dialect: Any) -> None:
    """Have the server give a lock up before the guard cuts the connection, and a transaction soon after.

    A thread of the server that waits for a lock does not notice that it was cut, and keeps the rows that it has locked.
    """
    lock_wait = _LOCK_WAIT if patience is None else max(1, min(_LOCK_WAIT, int(patience) - 1))
    settings = f"innodb_lock_wait_timeout = {lock_wait}"
    if dialect.is_mariadb:
        settings += f", idle_transaction_timeout = {'DEFAULT' if patience is None else _idle(patience)}"
    cursor = driver.cursor()
    cursor.execute(f"SET SESSION {settings}")
    cursor.close()


def _idle(patience: float) -> int:
    """Seconds for which a worker's transaction may be idle: the network may have lost its end."""
    return ceil(2 * patience)


_PREPARE: Final = {
    "sqlite": _prepare_sqlite,
    "postgresql": _prepare_postgresql,
    "mysql": _prepare_mysql,
    "mariadb": _prepare_mysql,
}


def file_of(engine: Engine) -> tuple[int, int] | None:
    """Which file a SQLite engine's name leads to now; None where there is none, or the name is no plain path."""
    name = engine.url.database or ""
    if name.startswith("file:"):
        return None
    with suppress(OSError, ValueError):
        found = os.stat(name)
        return found.st_dev, found.st_ino
    return None
