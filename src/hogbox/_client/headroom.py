"""Headroom: frames to work in where the caller's stack is nearly as deep as Python allows.

An exception of endless recursion is captured close to where it ended. There, a call would raise a RecursionError of its
own, in the middle of a statement on the caller's connection at worst.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Final

_NEEDED: Final = 500
"""Frames that a capture may take: encoding, SQLAlchemy, a driver, and what they import at first use."""


class Headroom:
    """Allows so many more frames for a `with` block where fewer than that are left.

    The limit is the interpreter's, so that other threads have it too meanwhile. It is raised and lowered by a
    difference, and several blocks at once leave it as it was.
    """

    __slots__ = ("_added",)

    def __init__(self) -> None:
        """Raises the limit. Raises RecursionError where not even this call is left."""
        self._added = 0
        limit = sys.getrecursionlimit()
        try:
            sys._getframe(max(0, limit - _NEEDED))
        except ValueError:
            return  # the stack is not that deep
        sys.setrecursionlimit(limit + _NEEDED)
        self._added = _NEEDED

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._added:
            sys.setrecursionlimit(sys.getrecursionlimit() - self._added)
