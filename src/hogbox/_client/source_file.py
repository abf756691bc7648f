"""Source files, for the lines of code in stack frames; and the directory that relative paths refer to."""

from __future__ import annotations

import linecache
import os
import stat
from collections.abc import Sequence
from typing import Any, Final

_LARGEST: Final = 10 * 1024 * 1024
"""The largest file that is read, in bytes."""


def source_lines(filename: str, namespace: dict[str, Any] | None) -> Sequence[str]:
    """The lines of a file, or those from the module's loader; none for a pipe or a device, where a read may block.

    Raises what a loader raises.
    """
    if filename not in linecache.cache and not _is_readable(filename):
        return ()
    return linecache.getlines(filename, namespace)


def working_directory(otherwise: str) -> str:
    """The current directory; `otherwise` if it was removed: deployments delete the releases that they replace."""
    try:
        return os.getcwd()
    except OSError:
        return otherwise


def _is_readable(filename: str) -> bool:
    if filename.startswith("<") and filename.endswith(">"):
        return True  # made by exec or a template
    try:
        found = os.stat(filename)
    except (OSError, ValueError):
        return True  # no file: a loader may have the source
    return stat.S_ISREG(found.st_mode) and found.st_size <= _LARGEST
