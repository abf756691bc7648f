"""The statements over the history of flag definitions: one for each operation, each committed by itself."""

from __future__ import annotations

from sqlalchemy import BigInteger, ColumnElement, Delete, Select, bindparam, delete, exists, func, or_, select

from hogbox._store.dialects.element import octets
from hogbox._store.dialects.statement import ByDialect, copy_rows
from hogbox._store.schema.table import Tables


class HistoryStatements:
    """Every statement over one set of tables. Built once; parameters are bound when they run."""

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
    too_large = (ranked.c.size > _number("most_bytes")) & (ranked.c.place > 1)
    beyond = select(ranked.c.revision).where(or_(ranked.c.place > _number("most"), too_large))
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
        kept.project == bindparam("wanted"), kept.revision == _number("number")
    )


def _number(name: str) -> ColumnElement[int]:
    return bindparam(name, type_=BigInteger())
