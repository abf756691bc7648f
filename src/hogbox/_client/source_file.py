"""Source files, for the lines of code in stack frames; and the directories of the project and of libraries."""

from __future__ import annotations

import linecache
import os
import stat
import sys
import sysconfig
from collections.abc import Sequence
from typing import Any, Final

_LARGEST: Final = 10 * 1024 * 1024
"""The largest file that is read, in bytes."""

_MOST_PATHS: Final = 4_096


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


def library_directories() -> tuple[str, ...]:
    """The directories of the standard library, of scripts, and of the virtual environment; links resolved too."""
    found = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "scripts")]
    if sys.prefix != sys.base_prefix:
        found.append(sys.prefix)
    return tuple({path for each in found if each for path in (each, os.path.realpath(each))})


class RealPaths:
    """Resolves links in paths, and remembers the answers: a stack repeats its files."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def resolve(self, path: str) -> str:
        """The path with its links resolved; the path itself if it can't be read."""
        found = self._known.get(path)
        if found is None:
            try:
                found = os.path.realpath(path)
            except (OSError, ValueError):
                found = path
            if len(self._known) >= _MOST_PATHS:
                self._known.clear()
            self._known[path] = found
        return found


def _is_readable(filename: str) -> bool:
    if filename.startswith("<") and filename.endswith(">"):
        return True  # made by exec or a template
    try:
        found = os.stat(filename)
    except (OSError, ValueError):
        return True  # no file: a loader may have the source
    return stat.S_ISREG(found.st_mode) and found.st_size <= _LARGEST
