"""Operations on the history of flag definitions: the last revisions of one project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import UpdateBase

from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit
from hogbox._store.history_statement import HistoryStatements


class Revision(NamedTuple):
    """A revision that is kept. `fetched_at` is in milliseconds since 1970."""

    number: int
    fetched_at: int


class HistoryStore:
    """What processes do with one project's history. Safe to use from several threads."""

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._statements = HistoryStatements(database.tables)
        self._project = project

    def record(self) -> None:
        """Keep the definitions that are stored now, under their own revision; again does nothing."""
        self._run(self._statements.record_revision[self._database.engine.dialect.name], {"wanted": self._project})

    def trim(self, most: int, most_bytes: int) -> None:
        """Forget all but the newest `most` revisions that take `most_bytes` together; with `most` of 0 all of them."""
        self._run(self._statements.trim_history, {"wanted": self._project, "most": most, "most_bytes": most_bytes})

    def read_revisions(self) -> list[Revision]:
        """The revisions that are kept, the newest first."""
        with autocommit(self._database.engine).connect() as connection:
            rows = connection.execute(self._statements.list_revisions, {"wanted": self._project}).all()
        return [Revision(row.revision, row.fetched_at) for row in rows]

    def read_text(self, number: int) -> str | None:
        """The definitions of a revision, or None where it is not kept."""
        wanted = {"wanted": self._project, "number": number}
        with autocommit(self._database.engine).connect() as connection:
            row = connection.execute(self._statements.read_revision, wanted).one_or_none()
        return None if row is None else row.data

    def _run(self, statement: UpdateBase, values: Mapping[str, Any]) -> None:
        with autocommit(self._database.engine).begin() as connection:
            connection.execute(statement, values)
