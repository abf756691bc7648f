"""The source of the flags: definitions that were set, a file that is checked before every response, or none."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from hogbox.emulator.definition import Definitions, Document, read_definitions
from hogbox.errors import DefinitionsError, UsageError

FlagsLike: TypeAlias = Document | os.PathLike[str] | None
"""The types of the argument `flags`: a document, the path of a file with one, or None."""

_YOUNG = 2.0
"""Seconds within which a file may change twice with the same modification time."""


class WatchedFile:
    """A file with definitions. While it is unreadable or invalid, the last valid definitions stay in force."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        on_problem: Callable[[str], None] = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.path = Path(path)
        self.problem: str | None = None
        self._on_problem = on_problem
        self._now = now
        self._stamp: tuple[int, int, int] | None = None
        self._may_hide_changes = False
        self._content = b""
        self._definitions: Definitions | None = None
        self.read()
        if self.problem is not None:
            raise UsageError(self.problem)

    def read(self) -> Definitions | None:
        """The newest valid definitions of the file."""
        try:
            content = self._changed()
        except OSError as error:
            self._stamp = None
            self._complain(f"cannot be read: {error.strerror}")
            return self._definitions
        if content is not None:
            self._take(content)
        return self._definitions

    def _changed(self) -> bytes | None:
        """The content of the file, if it has changed."""
        status = self.path.stat()
        is_file = stat.S_ISREG(status.st_mode)
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        known = self._stamp is not None
        if known and (not is_file or (stamp == self._stamp and not self._may_hide_changes)):
            return None  # a pipe, for one, can be read only once
        content = self.path.read_bytes()
        self._stamp = stamp
        self._may_hide_changes = abs(self._now() - status.st_mtime) < _YOUNG
        return None if known and content == self._content else content

    def _take(self, content: bytes) -> None:
        self._content = content
        try:
            self._definitions = read_definitions(content)
        except DefinitionsError as error:
            self._complain(f"cannot be used: {error}")
        else:
            self.problem = None

    def _complain(self, what: str) -> None:
        problem = f"The flags file {self.path} {what}."
        if problem != self.problem:
            self.problem = problem
            if self._definitions is not None:
                self._on_problem(f"{problem} The previous flags stay in force.")


class Source:
    """The flags in force: the first ones, until others are set, and again after a reset."""

    def __init__(self, first: Definitions | WatchedFile | None = None) -> None:
        self._first = first
        self._set = first

    def reset(self) -> None:
        self._set = self._first

    def set(self, flags: Definitions | WatchedFile | None) -> None:
        """Replaces the flags. None: a project that never had any."""
        self._set = flags

    def current(self) -> Definitions | None:
        """The flags to answer with now."""
        return self._set.read() if isinstance(self._set, WatchedFile) else self._set

    def describe(self) -> dict[str, Any]:
        """The flags in force, and where they come from."""
        current = self.current()
        file = self._set if isinstance(self._set, WatchedFile) else None
        return {
            "definitions": current and msgspec.Raw(current.body),
            "etag": current and current.legacy.etag,
            "file": file and str(file.path),
            "problem": file and file.problem,
        }


def read_flags(flags: FlagsLike) -> Definitions | WatchedFile | None:
    """The argument `flags` as definitions or a watched file; raises `UsageError` for invalid ones."""
    if isinstance(flags, os.PathLike):
        return WatchedFile(flags)
    try:
        return None if flags is None else read_definitions(flags)
    except DefinitionsError as error:
        hint = "; a file is given as a pathlib.Path" if isinstance(flags, str) and "{" not in flags else ""
        raise UsageError(f"These flags cannot be served: {error}{hint}.") from error
