"""Headroom: stack frames for a capture when the caller's stack is nearly as deep as Python allows.

The exception of an endless recursion is captured close to the recursion limit. A call there would raise another
RecursionError, at worst in the middle of a statement on the caller's connection.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Final

_NEEDED: Final = 500
"""The frames that a capture may need: encoding, SQLAlchemy, a driver, and their imports at first use."""


class Headroom:
    """Raises the recursion limit for a `with` block if too few frames are left.

    The limit belongs to the interpreter, so it is raised for other threads too. It is changed by a difference, so that
    concurrent blocks leave it as it was.
    """

    __slots__ = ("_added",)

    def __init__(self) -> None:
        """Raise the limit. Raises RecursionError if there is no frame left even for this call."""
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
