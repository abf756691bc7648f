"""Failure: what an error of a database or its driver means."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy.exc import DBAPIError

from hogbox.errors import HogboxError, TablesMissing, TablesOutdated

_READ_ONLY_STATES: Final = ("25006",)
_READ_ONLY_NUMBERS: Final = (1290, 1792, 1836, 1047)
"""MySQL and MariaDB: read_only (three ways to be told), and a node of a cluster that takes no statements."""

_LOCK_WAIT: Final = 1205
_MIGRATED_BESIDE: Final = (1050, 1060, 1061, 1062, 1213, 1684)
"""MariaDB and MySQL: what a migration meets where a lock does not reach, on another node of a cluster."""


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


def is_elsewhere(error: BaseException | None) -> bool:
    """Whether the server takes no writes: a standby, a demoted primary, a node that has left its cluster."""
    if error is None:
        return False
    state, number = code(origin(error))
    return state in _READ_ONLY_STATES or number in _READ_ONLY_NUMBERS


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
    if state == "55P03" or number == _LOCK_WAIT or "database is locked" in str(cause):
        return "other transactions use hogbox's tables, such as a backup"
    if number in _MIGRATED_BESIDE:
        return "another process is migrating them"
    return None
