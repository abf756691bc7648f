"""Failure: what an error of a database or its driver means."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from hogbox.errors import HogboxError, TablesMissing, TablesOutdated

_TOO_LARGE_STATES: Final = ("54000",)
_TOO_LARGE_NUMBERS: Final = (1153, 2020)
"""MySQL and MariaDB: said by the server, and by its client."""

_READ_ONLY_STATES: Final = ("25006",)
_READ_ONLY_NUMBERS: Final = (1290, 1792, 1836, 1047)
"""MySQL and MariaDB: read_only (three ways to be told), and a node of a cluster that takes no statements."""

_CONFLICT_STATES: Final = ("40001", "40P01")
_CONFLICT_NUMBERS: Final = (1213, 1020)
"""A deadlock, and a row that another transaction has changed meanwhile: the transaction is undone, and can be tried
again at once."""

_LOCK_WAIT: Final = 1205
_MIGRATED_BESIDE: Final = (1050, 1060, 1061, 1062, 1213, 1684)
"""MariaDB and MySQL: what a migration meets where a lock does not reach, on another node of a cluster."""


LOCKED: Final = (
    "a transaction of the application or of another process holds the lock of the SQLite file; if it is the calling "
    "thread's own, it can't end before this call does: pass its connection in the place of None, or commit it first"
)

_DRIVERS: Final = ("sqlite3", "psycopg", "psycopg2", "pymysql", "MySQLdb", "pg8000")


class Code(NamedTuple):
    """How a server names an error: PostgreSQL by a state, MySQL and MariaDB by a number."""

    state: str | None
    number: int | None


def origin(error: BaseException) -> BaseException:
    """The driver's own error, below what SQLAlchemy or Django made of it."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig
    if type(error).__module__ == "django.db.utils" and error.__cause__ is not None:
        return error.__cause__
    return error


def code(error: BaseException) -> Code:
    """The server's name for a driver's error."""
    first: Any = error.args[0] if error.args else None
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if state is None and isinstance(first, dict):
        # pg8000 hands the fields of the protocol on; C is the code.
        state = first.get("C")
    return Code(state, first if isinstance(first, int) else None)


def is_drivers(error: BaseException) -> bool:
    """Whether an error is a driver's own, as it comes where SQLAlchemy is not in between."""
    return any(
        kind.__name__ == "Error" and kind.__module__.partition(".")[0] in _DRIVERS for kind in type(error).__mro__
    )


def sentence(error: BaseException) -> str:
    """What went wrong, for people: the driver's words for an error of the database, its class where that is needed."""
    cause = origin(error)
    if isinstance(error, HogboxError | SQLAlchemyError) or is_drivers(cause):
        return str(cause)
    if isinstance(error, OSError | UnicodeError):
        return str(error) or type(error).__name__
    return f"{type(error).__name__}: {error}"


def is_too_large(error: BaseException) -> bool:
    """Whether the database says that a value or a statement is longer than it takes."""
    cause = origin(error)
    state, number = code(cause)
    return state in _TOO_LARGE_STATES or number in _TOO_LARGE_NUMBERS or "too big" in str(cause)


def is_elsewhere(error: BaseException | None) -> bool:
    """Whether the server takes no writes: a standby, a demoted primary, a node that has left its cluster."""
    if error is None:
        return False
    state, number = code(origin(error))
    return state in _READ_ONLY_STATES or number in _READ_ONLY_NUMBERS


def is_conflict(error: BaseException) -> bool:
    """Whether the database undid a transaction in favour of another one, so that it may be tried again at once."""
    state, number = code(origin(error))
    return state in _CONFLICT_STATES or number in _CONFLICT_NUMBERS


def is_lost(error: BaseException | None) -> bool:
    """Whether the connection was lost, or could not be made."""
    return (
        isinstance(error, DBAPIError)
        and (error.connection_invalidated or error.statement is None)
        and not is_locked(error)
    )


def explain(error: BaseException) -> HogboxError | None:
    """What a failure of one of hogbox's own statements says of its tables, or None where it says nothing of them."""
    cause = origin(error)
    state, number = code(cause)
    text = str(cause)
    if state == "42P01" or number == 1146 or "no such table" in text:
        return TablesMissing()
    if state == "42703" or number == 1054 or "has no column named" in text or "no such column" in text:
        return TablesOutdated()
    return None


def is_undecodable(error: BaseException) -> bool:
    """Whether a driver could not make texts of what a statement found."""
    cause = origin(error)
    return isinstance(cause, UnicodeError) or "decode" in str(cause).lower()


def hindrance(error: BaseException) -> str | None:
    """Why a migration could not run just now and may be tried again; None where another try would not help."""
    cause = origin(error)
    state, number = code(cause)
    if is_locked(cause):
        return LOCKED
    if state == "55P03" or number == _LOCK_WAIT:
        return "other transactions use hogbox's tables, such as a backup"
    if number in _MIGRATED_BESIDE:
        return "another process is migrating them"
    return None


def is_locked(error: BaseException) -> bool:
    """Whether an error says that a SQLite file is locked by another connection."""
    return "database is locked" in str(error)
