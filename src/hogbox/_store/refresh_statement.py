"""The statements over flag definitions and the refreshing of them: one for each operation, each committed by itself."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Update, bindparam, case, func, select, update

from hogbox._store.dialects.element import epoch_ms
from hogbox._store.dialects.statement import ByDialect, upsert
from hogbox._store.schema.table import Tables


class RefreshStatements:
    """Every statement over one set of tables. Built once; parameters are bound when they run."""

    def __init__(self, tables: Tables) -> None:
        self.read_definitions = _read_definitions(tables)
        self.list_projects = _list_projects(tables)
        self.read_revision = _read_revision(tables)
        self.store_definitions = _store_definitions(tables)
        self.claim_refresh = _claim_refresh(tables)
        self.enter_refresh = _enter_refresh(tables)
        self.read_due = _read_due(tables)
        self.move_due = _move_due(tables)
        self.note_refresh = _note_refresh(tables)


def _read_definitions(tables: Tables) -> Select[str, str | None, int, int]:
    """A project's definitions: text, ETag, revision, and the milliseconds since PostHog last said that they are right.

    That is when they were fetched, or later, when PostHog answered that they had not changed.
    """
    stored, refreshes = tables.flag_definitions, tables.refreshes
    later = refreshes.c.unchanged_at > stored.c.fetched_at
    right_at = case((later, refreshes.c.unchanged_at), else_=stored.c.fetched_at)
    return (
        select(stored.c.data, stored.c.etag, stored.c.revision, (epoch_ms() - right_at).label("age"))
        .select_from(stored.outerjoin(refreshes, refreshes.c.project == stored.c.project))
        .where(stored.c.project == bindparam("wanted"))
    )


def _list_projects(tables: Tables) -> Select[str]:
    """The projects whose definitions are stored."""
    project = tables.flag_definitions.c.project
    return select(project).order_by(project)


def _read_revision(tables: Tables) -> Select[int]:
    """How often a project's definitions have changed: a small read that says whether the text has to be read again."""
    stored = tables.flag_definitions.c
    return select(stored.revision).where(stored.project == bindparam("wanted"))


def _store_definitions(tables: Tables) -> ByDialect:
    """Put definitions in the place of those of the revision that was read before they were fetched (0: of none).

    Where others were stored in the meantime these are old, and nothing changes.
    """
    stored = tables.flag_definitions.c
    names = ("project", "data", "etag", "revision")
    values: dict[str, Any] = {name: bindparam(name, type_=stored[name].type) for name in names}
    values["fetched_at"] = epoch_ms()
    as_read = stored.revision == _number("seen")
    changes = {
        name: case((as_read, values[name]), else_=stored[name])
        # The revision last: MySQL assigns one after the other, and the others compare it with the one that was read.
        for name in ("data", "etag", "fetched_at", "revision")
    }
    return upsert(tables.flag_definitions, values, changes)


def _claim_refresh(tables: Tables) -> Update:
    """Take a project's next refresh where it is due, and say when the one after it is: exactly one process succeeds.

    A refresh that lies more than two intervals ahead counts as due: the interval was longer when it was set, or the
    database's clock was wrong.
    """
    refreshes = tables.refreshes.c
    interval = _number("interval")
    due = (refreshes.due_at <= epoch_ms()) | (refreshes.due_at > epoch_ms() + interval + interval)
    return (
        update(tables.refreshes)
        .where(refreshes.project == bindparam("wanted"), due)
        .values(due_at=epoch_ms() + interval, holder=bindparam("claimant"))
    )


def _enter_refresh(tables: Tables) -> ByDialect:
    """Let a project be refreshed for the first time, at once; changes nothing where it is entered already."""
    refreshes = tables.refreshes
    return upsert(refreshes, {"project": bindparam("project"), "due_at": 0}, {"due_at": refreshes.c.due_at})


def _read_due(tables: Tables) -> Select[int]:
    """The milliseconds until a project's next refresh is due."""
    refreshes = tables.refreshes.c
    return select((refreshes.due_at - epoch_ms()).label("wait")).where(refreshes.project == bindparam("wanted"))


def _move_due(tables: Tables) -> ByDialect:
    """Take a project's next refresh whether it is due or not: the one after it is an interval from now."""
    claim = {"due_at": epoch_ms() + _number("interval"), "holder": bindparam("claimant")}
    return upsert(tables.refreshes, {"project": bindparam("project"), **claim}, claim)


def _note_refresh(tables: Tables) -> Update:
    """Keep what became of a project's refresh, and count its requests, for those who look.

    Had each of the workers polled for itself, each would have sent as many.
    """
    refreshes = tables.refreshes.c
    status = bindparam("status", type_=refreshes.last_status.type)
    listed = select(func.count()).select_from(tables.workers).scalar_subquery()
    workers = func.coalesce(func.nullif(listed, 0), 1)
    return (
        update(tables.refreshes)
        .where(refreshes.project == bindparam("wanted"))
        .values(
            last_status=status,
            last_reason=bindparam("reason"),
            last_at=epoch_ms(),
            unchanged_at=case((status == bindparam("unchanged"), epoch_ms()), else_=refreshes.unchanged_at),
            polls=func.coalesce(refreshes.polls, 0) + _number("requests"),
            polls_alone=func.coalesce(refreshes.polls_alone, 0) + _number("requests") * workers,
        )
    )


def _number(name: str) -> ColumnElement[int]:
    return bindparam(name, type_=BigInteger())
