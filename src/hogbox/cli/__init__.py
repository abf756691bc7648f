"""The command line: parse, call, render. No queries and no decisions of its own."""

from __future__ import annotations

import sys
import traceback

from sqlalchemy.exc import SQLAlchemyError

from hogbox._store.failure import is_drivers, sentence
from hogbox._wire.printable import printable
from hogbox.errors import HogboxError


def main() -> None:
    """Run the `hogbox` command; errors are sentences, not tracebacks."""
    try:
        from hogbox.cli.app import build_app
    except ModuleNotFoundError as error:
        sys.exit(f"hogbox: {error}: the command line needs pip install 'hogbox[cli]'")
    try:
        build_app()()
    except Exception as error:
        sys.exit(f"hogbox: {describe(error)}")


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
    """The error and its causes as sentences."""
    cause = f"\n  because: {_chain(error.__cause__)}" if error.__cause__ else ""
    return f"{sentence(error)}{cause}"


def _place(error: Exception) -> str:
    """Where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else "no line is known"
