"""The history of flag definitions: the last revisions of one project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import (
    Delete,
    Select,
    UpdateBase,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
)

from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit
from hogbox._store.dialects.element import octets
from hogbox._store.dialects.statement import ByDialect, copy_rows, number
from hogbox._store.schema.table import Tables


class HistoryStatements:
    """The revisions of a project that are kept."""

    def __init__(self, tables: Tables) -> None:
        self.record_revision = _record_revision(tables)
        self.trim_history = _trim_history(tables)
        self.list_revisions = _list_revisions(tables)
        self.read_revision = _read_revision(tables)


def _record_revision(tables: Tables) -> ByDialect:
    """Copy a project's definitions into its history, unless they are there.

    Number and text come from one row of one moment: whoever stored them, they belong together. A text of the same
    number that differs is of definitions that were deleted since, and is replaced.
    """
    stored, kept = tables.flag_definitions.c, tables.flag_history.c
    there = exists().where(kept.project == stored.project, kept.revision == stored.revision, kept.data == stored.data)
    names = ("project", "revision", "data", "fetched_at")
    current = select(*(stored[name] for name in names)).where(stored.project == bindparam("wanted"), ~there)
    return copy_rows(tables.flag_history, names, current, replace=("data", "fetched_at"))


def _trim_history(tables: Tables) -> Delete:
    """Delete what is beyond the newest `most` revisions, and beyond `most_bytes` of them: the newest stays at any size.

    Revisions above the current one are of definitions that were deleted since; they go too.
    """
    kept, stored = tables.flag_history, tables.flag_definitions
    current = select(stored.c.revision).where(stored.c.project == bindparam("wanted")).scalar_subquery()
    newest_first = kept.c.revision.desc()
    ranked = (
        select(
            kept.c.revision,
            func.row_number().over(order_by=newest_first).label("place"),
            func.sum(octets(kept.c.data)).over(order_by=newest_first).label("size"),
        )
        .where(kept.c.project == bindparam("wanted"), kept.c.revision <= current)
        .subquery("ranked")
    )
    too_large = (ranked.c.size > number("most_bytes")) & (ranked.c.place > 1)
    beyond = select(ranked.c.revision).where(or_(ranked.c.place > number("most"), too_large))
    gone = kept.c.revision > current
    return delete(kept).where(kept.c.project == bindparam("wanted"), or_(kept.c.revision.in_(beyond), gone))


def _list_revisions(tables: Tables) -> Select[int, int]:
    """The revisions of a project that are kept, the newest first, and when each was fetched."""
    kept = tables.flag_history.c
    return (
        select(kept.revision, kept.fetched_at).where(kept.project == bindparam("wanted")).order_by(kept.revision.desc())
    )


def _read_revision(tables: Tables) -> Select[str, int]:
    """The text of one revision, and when it was fetched."""
    kept = tables.flag_history.c
    return select(kept.data, kept.fetched_at).where(
        kept.project == bindparam("wanted"), kept.revision == number("number")
    )


class Revision(NamedTuple):
    """A revision that is kept. `fetched_at` is in milliseconds since 1970."""

    number: int
    fetched_at: int


class HistoryStore:
    """What processes do with one project's history. Safe to use from several threads."""

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._statements = database.tables.once(HistoryStatements)
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
