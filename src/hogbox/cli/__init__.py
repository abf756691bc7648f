"""The command line: parse, call, render. No queries and no decisions of its own."""

from __future__ import annotations

import sys

from hogbox.errors import HogboxError


def main() -> None:
    """Run the `hogbox` command; errors of hogbox's own are sentences, not tracebacks."""
    try:
        from hogbox.cli.app import build_app
    except ModuleNotFoundError as error:
        sys.exit(f"hogbox: {error}: the command line needs pip install 'hogbox[cli]'")
    try:
        build_app()()
    except HogboxError as error:
        sys.exit(f"hogbox: {_chain(error)}")


def _chain(error: BaseException) -> str:
    """The error and its causes as sentences."""
    cause = f"\n  because: {_chain(error.__cause__)}" if error.__cause__ else ""
    return f"{error}{cause}"
