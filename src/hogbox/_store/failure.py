"""Failure: what an error of a database or its driver means."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from hogbox.errors import HogboxError

_TOO_LARGE_STATES: Final = ("54000",)
_TOO_LARGE_NUMBERS: Final = (1153, 2020)
"""MySQL and MariaDB: said by the server, and by its client."""

_READ_ONLY_STATES: Final = ("25006",)
_READ_ONLY_NUMBERS: Final = (1290, 1792, 1836, 1047)
"""MySQL and MariaDB: read_only (three ways to be told), and a node of a cluster that takes no statements."""


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
