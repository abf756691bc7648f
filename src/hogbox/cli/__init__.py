"""The command line: parse, call, render. No queries and no decisions of its own."""

from __future__ import annotations

import sys

from sqlalchemy.exc import SQLAlchemyError

from hogbox._operations.console import describe
from hogbox.errors import HogboxError

__all__ = ["main"]


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
