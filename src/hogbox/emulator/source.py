"""Where the flags come from: what was set last, a file that is looked at again before every answer, or nowhere."""

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
"""What a caller may give as flags: a document, a file that holds one, or nothing."""

_YOUNG = 2.0
"""Seconds within which a file may change twice and show the same time of change."""


class WatchedFile:
    """A file with definitions. While it cannot be used, the last ones that could be stay in force."""

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
        """The newest definitions of the file that could be used."""
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
        """What the file holds, if that is something new."""
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
                self._on_problem(f"{problem} The flags stay as they were.")


class Source:
    """The flags in force: the first ones, until others are set, and again after a reset."""

    def __init__(self, first: Definitions | WatchedFile | None = None) -> None:
        self._first = first
        self._set = first

    def reset(self) -> None:
        self._set = self._first

    def set(self, flags: Definitions | WatchedFile | None) -> None:
        """Puts other flags in force. None: a project that never had any."""
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
            "etag": current and current.etag,
            "file": file and str(file.path),
            "problem": file and file.problem,
        }


def read_flags(flags: FlagsLike) -> Definitions | WatchedFile | None:
    """Flags to put in force; raises `UsageError` for what are none."""
    if isinstance(flags, os.PathLike):
        return WatchedFile(flags)
    try:
        return None if flags is None else read_definitions(flags)
    except DefinitionsError as error:
        hint = "; a file is given as a pathlib.Path" if isinstance(flags, str) and "{" not in flags else ""
        raise UsageError(f"These flags cannot be served: {error}{hint}.") from error
