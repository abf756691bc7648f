"""The command line: parse, call, render. No queries and no decisions of its own."""

from __future__ import annotations

import sys

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from hogbox._wire.printable import printable
from hogbox.errors import HogboxError


def main() -> None:
    """Run the `hogbox` command; errors of hogbox's own and of the database are sentences, not tracebacks."""
    try:
        from hogbox.cli.app import build_app
    except ModuleNotFoundError as error:
        sys.exit(f"hogbox: {error}: the command line needs pip install 'hogbox[cli]'")
    try:
        build_app()()
    except HogboxError as error:
        sys.exit(f"hogbox: {describe(error)}")
    except SQLAlchemyError as error:
        sys.exit(f"hogbox: {describe(error)}")


def describe(error: HogboxError | SQLAlchemyError) -> str:
    """What went wrong, for people."""
    told = _chain(error) if isinstance(error, HogboxError) else f"the database fails: {_sentence(error)}"
    return printable(told)


def _chain(error: BaseException) -> str:
    """The error and its causes as sentences, each of them once."""
    sentence, cause = _sentence(error), error.__cause__
    if cause is None or _sentence(cause) in sentence:
        return sentence
    return f"{sentence}\n  because: {_chain(cause)}"


def _sentence(error: BaseException) -> str:
    """What a driver said, without what SQLAlchemy adds; the error's own text otherwise."""
    return str(error.orig if isinstance(error, DBAPIError) and error.orig else error)
