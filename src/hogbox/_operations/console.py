"""Console: how commands log, and how they show errors."""

from __future__ import annotations

import logging
import traceback

from sqlalchemy.exc import SQLAlchemyError

from hogbox._store.dialects.failure import is_drivers, sentence
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


def describe(error: Exception) -> str:
    """What went wrong, for people."""
    if isinstance(error, HogboxError):
        told = _chain(error)
    elif isinstance(error, SQLAlchemyError) or is_drivers(error):
        told = f"the database fails: {sentence(error)}"
    elif isinstance(error, OSError | UnicodeError):
        told = sentence(error)
    else:
        told = f"{sentence(error)} ({_place(error)}): hogbox did not foresee this error; please report it"
    return printable(told)


def _chain(error: BaseException) -> str:
    """The error and its causes as sentences, each of them once."""
    own, cause = sentence(error), error.__cause__
    if cause is None or str(cause) in own:
        return own
    return f"{own}\n  because: {_chain(cause)}"


def _place(error: Exception) -> str:
    """Where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else "no line is known"
