"""Console: how commands log to a terminal."""

from __future__ import annotations

import logging

from hogbox._wire.printable import one_line, printable

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
