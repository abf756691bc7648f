"""Failure: what an error of a database or its driver means."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy.exc import DBAPIError

_READ_ONLY_STATES: Final = ("25006",)
_READ_ONLY_NUMBERS: Final = (1290, 1792, 1836, 1047)
"""MySQL and MariaDB: read_only (three ways to be told), and a node of a cluster that takes no statements."""


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
