"""Operations on flag definitions and on the refreshing of them, for one project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, UpdateBase

from hogbox._events.escape import escape
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit
from hogbox._store.dialects.statement import ByDialect
from hogbox._store.refresh_statement import RefreshStatements


class StoredDefinitions(NamedTuple):
    """A project's definitions. `age` is in seconds, since PostHog last said that they are right."""

    data: str
    etag: str | None
    revision: int
    age: float


def read_projects(database: Database) -> list[str]:
    """The tokens of the projects whose definitions are stored, in order."""
    with autocommit(database.engine).connect() as connection:
        return [*connection.scalars(RefreshStatements(database.tables).list_projects)]


class DefinitionStore:
    """What processes do with one project's definitions. Safe to use from several threads."""

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._statements = RefreshStatements(database.tables)
        self._project = project

    def read(self) -> StoredDefinitions | None:
        """The definitions, or None where none were ever stored."""
        with self._connect() as connection:
            row = connection.execute(self._statements.read_definitions, {"wanted": self._project}).one_or_none()
        return None if row is None else StoredDefinitions(row.data, row.etag, row.revision, row.age / 1000)

    def read_revision(self) -> int:
        """How often the definitions have changed; 0 where none were ever stored."""
        with self._connect() as connection:
            return connection.scalar(self._statements.read_revision, {"wanted": self._project}) or 0

    def store(self, data: str, etag: str | None, over: StoredDefinitions | None) -> None:
        """Store definitions that were fetched after `over` was read; counts the revision where the text differs.

        Where another process has stored others in the meantime, those stay: they may be newer than these.
        """
        data = escape(data)
        seen = over.revision if over else 0
        revision = seen + (over is None or over.data != data)
        row = {"project": self._project, "data": data, "etag": _ascii(etag), "revision": revision, "seen": seen}
        self._run(self._by_dialect(self._statements.store_definitions), row)

    def claim(self, holder: str, interval: float) -> bool:
        """Take the next refresh where it is due; the one after it is due so many seconds from now.

        Of all processes that try, one is told True.
        """
        claim = {"wanted": self._project, "claimant": holder, "interval": _ms(interval)}
        return self._run(self._statements.claim_refresh, claim) == 1

    def enter(self) -> None:
        """Let the project be refreshed for the first time, at once."""
        self._run(self._by_dialect(self._statements.enter_refresh), {"project": self._project})

    def read_wait(self) -> float | None:
        """The seconds until the next refresh is due, below zero where it is; None before the project was entered."""
        with self._connect() as connection:
            wait = connection.scalar(self._statements.read_due, {"wanted": self._project})
        return None if wait is None else wait / 1000

    def move_due(self, holder: str, interval: float) -> None:
        """Take the next refresh whether it is due or not; the one after it is due so many seconds from now."""
        claim = {"project": self._project, "claimant": holder, "interval": _ms(interval)}
        self._run(self._by_dialect(self._statements.move_due), claim)

    def note(self, status: str, reason: str | None, *, unchanged: str, requests: int = 1) -> None:
        """Keep what became of a refresh that took so many requests.

        `unchanged` is the status that says that what is stored is still right.
        """
        outcome = {"status": status, "reason": reason, "unchanged": unchanged, "requests": requests}
        self._run(self._statements.note_refresh, {"wanted": self._project, **outcome})

    def _by_dialect(self, statement: ByDialect) -> UpdateBase:
        return statement[self._database.engine.dialect.name]

    def _connect(self) -> Connection:
        return autocommit(self._database.engine).connect()

    def _run(self, statement: UpdateBase, values: Mapping[str, Any]) -> int:
        """Run one statement, committed by itself; the number of rows that it changed."""
        # Committed in words too: an application's engine may begin transactions whatever the isolation level says.
        with autocommit(self._database.engine).begin() as connection:
            return connection.execute(statement, values).rowcount


def _ascii(etag: str | None) -> str | None:
    """The ETag, unless it could come back changed: then the next request goes without one."""
    return etag if etag is not None and etag.isascii() else None


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
