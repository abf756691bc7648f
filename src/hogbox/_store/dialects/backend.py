"""Backend: what differs by database, as most of them do it. Each kind of database overrides what it does otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any, Final, NamedTuple

from sqlalchemy import URL, Connection, Engine, Table

OWN: Final = "hogbox_own"
"""The execution option of engines with connections of hogbox's own."""


class SqliteModes(NamedTuple):
    """How a SQLite file is used. `busy_timeout` is in seconds."""

    journal: str
    busy_timeout: float


class Backend:
    """One kind of database."""

    package: str
    """SQLAlchemy's package for it."""
    driver: str
    """The driver for a URL that names none."""
    extra: str | None = None
    """The extra that installs the driver."""
    connect_seconds = 10
    """How long to wait for a server that does not answer, unless the URL says otherwise."""
    isolation = "READ COMMITTED"
    """The level of transactions that see what others commit."""
    pings = True
    """Whether a pooled connection may be lost unnoticed."""
    shows_writers = False
    """Whether the database says which transactions have written to a table and may still commit."""
    counts_commits = False
    """Whether a connection can cheaply tell that another one has committed something."""
    most_writers = 1000
    """How many threads can write side by side to any use."""

    def connect_arguments(self, _: URL) -> dict[str, Any]:
        """What the driver is given beside the URL."""
        return {}

    def in_memory(self, _: URL) -> bool:
        """Whether the database belongs to one connection."""
        return False

    def missing_file(self, _: URL) -> str | None:
        """The file that the database would be in and that is not there."""
        return None

    def insert(self, table: Table) -> Any:
        """INSERT with what this dialect adds to it."""
        insert: Callable[[Table], Any] = import_module(f"sqlalchemy.dialects.{self.package}").insert
        return insert(table)

    def or_change(self, new: Any, table: Table, changes: Mapping[str, Any]) -> Any:
        """This INSERT; where there is a row with the primary key, changes to it."""
        return new.on_conflict_do_update(index_elements=[*table.primary_key.columns], set_=changes)

    def or_nothing(self, new: Any) -> Any:
        """This INSERT; where there is a row with the primary key, nothing."""
        return new.on_conflict_do_nothing()

    def or_replace(self, new: Any, table: Table, names: Iterable[str]) -> Any:
        """This INSERT; where there is a row with the primary key, these columns of it replaced."""
        return self.or_change(new, table, {name: new.excluded[name] for name in names})

    def migrating(self, _: Connection) -> AbstractContextManager[None]:
        """A transaction in which no other process migrates the same database."""
        raise NotImplementedError

    def writers_turn(self) -> AbstractContextManager[object]:
        """A lock for the writers of one process, where they would only poll for the database's own."""
        return nullcontext()

    def can_write_within(self, _engine: Engine, _seconds: float) -> bool:
        """Whether a transaction can write to the database within so many seconds."""
        return True

    def forgettable(self, _: Connection) -> AbstractContextManager[None]:
        """Commits that a power failure may undo, where the database offers them without a risk."""
        return nullcontext()

    def sqlite_modes(self, _: Connection) -> SqliteModes | None:
        """How the connection uses a SQLite file."""
        return None
