"""The locks of a SQLite file: waiting for them with a bound and a line in the log, and saying who may hold them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import ExceptionContext, Transaction
from sqlalchemy.exc import DBAPIError, OperationalError

from hogbox._store.dialects.backend import OWN
from hogbox._store.dialects.failure import LOCKED, is_locked

log = logging.getLogger("hogbox")

_SILENT_MS: Final = 1000
"""Milliseconds to wait for a lock before the log has a line about it."""

_LONGEST_MS: Final = 1_000_000_000
_BUSY: Final = "hogbox_busy_timeout"
_LOCKED: Final = "database is locked"


def explain_lock(context: ExceptionContext) -> None:
    """A listener to `handle_error`: the error keeps its class and begins with the driver's words."""
    error = context.original_exception
    if context.dialect.name == "sqlite" and is_locked(error):
        _add(error)
        if context.sqlalchemy_exception is not None:
            _add(context.sqlalchemy_exception)


def _add(error: BaseException) -> None:
    text = str(error.args[0]) if error.args else _LOCKED
    if LOCKED not in text:
        error.args = (f"{text}: {LOCKED}", *error.args[1:])


def begin_patiently(connection: Connection) -> Transaction:
    """Begin a transaction of hogbox's own; on SQLite one that writes, for whose lock it waits as long as it is set to.

    The log has a line where that takes more than a second.
    """
    if connection.dialect.name != "sqlite" or not connection.get_execution_options().get(OWN):
        return connection.begin()
    driver: Any = connection.connection.driver_connection
    longest = connection.info.get(_BUSY)
    if longest is None:
        longest = connection.info[_BUSY] = _busy_timeout(driver)
    if longest > _SILENT_MS:
        if (begun := _begin_soon(connection, driver, longest)) is not None:
            return begun
        log.warning("waiting for a write up to %.0f s: %s", longest / 1000, LOCKED)
    return connection.begin()


def _begin_soon(connection: Connection, driver: Any, afterwards: int) -> Transaction | None:
    """A transaction, or None where the lock can't be had without a line in the log."""
    _set_busy_timeout(driver, _SILENT_MS)
    try:
        return connection.begin()
    except OperationalError as error:
        if not is_locked(error):
            raise
        return None
    finally:
        _set_busy_timeout(driver, afterwards)


def await_reader(engine: Engine, seconds: float) -> float:
    """Wait until the database can be read; how many seconds are left then. Raises OperationalError where it can't.

    Only SQLite keeps readers out, while a transaction is EXCLUSIVE or, in another journal mode than WAL, commits.
    """
    if engine.dialect.name != "sqlite":
        return seconds
    ends = time.monotonic() + seconds
    pooled = engine.raw_connection()
    try:
        driver: Any = pooled.driver_connection
        before = _busy_timeout(driver)
        _set_busy_timeout(driver, int(min(max(seconds, 0.0) * 1000, _LONGEST_MS)))
        try:
            driver.execute("SELECT count(*) FROM sqlite_master").close()
        except driver.Error as error:
            if is_locked(error):
                _add(error)
            module = engine.dialect.loaded_dbapi
            raise DBAPIError.instance(None, None, error, module.Error, dialect=engine.dialect) from error
        finally:
            _set_busy_timeout(driver, before)
    finally:
        pooled.close()
    return max(0.0, ends - time.monotonic())


@contextmanager
def lock_wait(connection: Connection, seconds: float) -> Iterator[float | None]:
    """On SQLite, wait at most so many seconds for each lock; yields how many it would be otherwise.

    Other databases are left as they are: None.
    """
    if connection.dialect.name != "sqlite":
        yield None
        return
    driver: Any = connection.connection.driver_connection
    before = _busy_timeout(driver)
    _set_busy_timeout(driver, min(before, int(seconds * 1000)))
    try:
        yield before / 1000
    finally:
        _set_busy_timeout(driver, before)


def _busy_timeout(driver: Any) -> int:
    return int(driver.execute("PRAGMA busy_timeout").fetchone()[0])


def _set_busy_timeout(driver: Any, milliseconds: int) -> None:
    driver.execute(f"PRAGMA busy_timeout = {milliseconds}")
