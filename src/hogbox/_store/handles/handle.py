"""The callers' transactions: how one statement runs, or is read, on the handle of one.

hogbox never commits, rolls back or opens a savepoint on a handle that it was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from hogbox._store.dialects.failure import explain
from hogbox._store.handles.kind import ASYNC, KINDS, HandleKind, find_named, names_of
from hogbox._store.handles.portable import Portable, Rows
from hogbox.errors import AsyncHandle, UnsupportedHandle


def find_kind(handle: object) -> HandleKind:
    """The kind of this handle. Raises AsyncHandle or UnsupportedHandle, saying what is accepted."""
    if (kind := find_named(handle, KINDS)) is not None:
        return kind
    if any(name in ASYNC for name in names_of(handle)):
        raise AsyncHandle(
            f"{_name(handle)} is asynchronous and PostHog is not: use AsyncPostHog, and await its methods"
        )
    raise unsupported(handle, (kind.name for kind in KINDS.values()))


def unsupported(handle: object, accepted: Iterable[str]) -> UnsupportedHandle:
    """The error for what is no handle, with what was received and what is accepted."""
    return UnsupportedHandle(
        f"hogbox can't write in a {_name(handle)}: pass one of {', '.join(accepted)}; "
        "or None, and hogbox commits by itself"
    )


def _name(handle: object) -> str:
    return f"{type(handle).__module__}.{type(handle).__qualname__}"


@contextmanager
def explained() -> Iterator[None]:
    """Raise TablesMissing or TablesOutdated in place of a driver's error where the tables are its reason."""
    try:
        yield
    except Exception as error:
        if (reason := explain(error)) is not None:
            raise reason from error
        raise


class Writer:
    """Runs statements on callers' handles."""

    def __init__(self) -> None:
        self.kinds: dict[type, HandleKind] = {}
        """The kinds met so far, by the class of the handle."""

    def write(self, handle: object, statement: Portable, values: tuple[Any, ...]) -> int:
        """Run the statement in the handle's transaction; the number of rows that it inserted or changed.

        Raises UnsupportedHandle for other objects, TablesMissing or TablesOutdated where the tables are the reason
        that it failed, and the driver's own error otherwise.
        """
        kind = self.kinds.get(type(handle)) or self.require(handle)
        try:
            return kind.run(handle, statement, values)
        except Exception as error:
            # Not `explained`, which costs as much as the rest of a capture's way through Python.
            if (reason := explain(error)) is not None:
                raise reason from error
            raise

    def read(self, handle: object, statement: Portable, values: tuple[Any, ...]) -> Rows:
        """The rows that the handle's transaction sees; raises what `write` raises.

        On PostgreSQL a statement that fails ends the transaction. Here only tables that are missing make it fail, and
        then nothing else of hogbox's would work in it either.
        """
        with explained():
            return self.require(handle).read(handle, statement, values)

    def require(self, handle: object) -> HandleKind:
        """The handle's kind. Raises UnsupportedHandle."""
        kind = self.kinds.get(type(handle))
        if kind is None:
            kind = self.kinds[type(handle)] = find_kind(handle)
        return kind
