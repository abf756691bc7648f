"""Console: how commands log, and how they show errors."""

from __future__ import annotations

import logging

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from hogbox._wire.printable import one_line, printable
from hogbox.errors import HogboxError

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LineFormatter(logging.Formatter):
    """One line for each message, whatever is in it; nothing that a terminal would obey, in tracebacks neither."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the standard library's name
        """The line."""
        return one_line(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback if there is one."""
        return printable(super().format(record))


def log_to_stderr(*, requests: bool) -> None:
    """Log what hogbox does, unless the root logger has a handler; a line for each of the `requests` if asked for."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("hogbox.http").setLevel(logging.DEBUG if requests else logging.NOTSET)


def describe(error: HogboxError | SQLAlchemyError) -> str:
    """What went wrong, for people."""
    told = _chain(error) if isinstance(error, HogboxError) else f"the database fails: {_sentence(error)}"
    return printable(told)


def _chain(error: BaseException) -> str:
    """The error and its causes as sentences."""
    cause = f"\n  because: {_chain(error.__cause__)}" if error.__cause__ else ""
    return f"{_sentence(error)}{cause}"


def _sentence(error: BaseException) -> str:
    """What a driver said, without what SQLAlchemy adds; the error's own text otherwise."""
    return str(error.orig if isinstance(error, DBAPIError) and error.orig else error)
