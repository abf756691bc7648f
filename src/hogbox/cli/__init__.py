"""The command line: parse, call, render. No queries and no decisions of its own."""

from __future__ import annotations

import sys

from hogbox._operations.console import describe

__all__ = ["main"]


def main() -> None:
    """Run the `hogbox` command; errors are printed as sentences, not tracebacks."""
    try:
        from hogbox.cli.app import build_app
    except ModuleNotFoundError as error:
        sys.exit(f"hogbox: {error}: install the command line with pip install 'hogbox[cli]'")
    try:
        build_app()()
    except Exception as error:
        sys.exit(f"hogbox: {describe(error)}")
