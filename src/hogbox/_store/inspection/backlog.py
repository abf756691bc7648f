"""Backlog: the events that wait longest, counted by project, for `hogbox status` and for metrics."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Select, bindparam, func, select

from hogbox._store.dialects.element import epoch_ms
from hogbox._store.inspection.text import text_of
from hogbox._store.schema.table import Tables
from hogbox._store.schema.waiting import from_lowest_mark, newest_id

COUNTED: Final = 20_000
"""Rows that are counted, at most: a million events that wait are not counted every few seconds."""


class ProjectBacklog(NamedTuple):
    """The events of one project that wait. `age` is that of the oldest, in seconds."""

    project: str
    events: int
    age: float


class Backlog(NamedTuple):
    """The events that wait longest, by project: all of them where there are fewer than `COUNTED`.

    `first` and `last` are ids of theirs, `newest` is the id of the newest event; 0 where none waits.
    """

    projects: tuple[ProjectBacklog, ...]
    first: int
    last: int
    newest: int

    @property
    def events(self) -> int:
        """How many were counted."""
        return sum(one.events for one in self.projects)

    @property
    def span(self) -> int:
        """The number of ids from the oldest event that waits to the newest one."""
        return self.newest - self.first + 1 if self.first and self.newest >= self.first else 0


class BacklogStatements:
    """Both cost the same however many events wait, and take no lock."""

    def __init__(self, tables: Tables) -> None:
        self.count_oldest = _count_oldest(tables)
        self.read_newest_id = newest_id(tables)


def _count_oldest(tables: Tables) -> Select[Any]:
    """So many of the events that wait longest, by project: how many, their ids' bounds, and the oldest one's age in ms.

    Along the primary key.
    """
    outbox = tables.outbox.c
    oldest = select(outbox.id, outbox.project, outbox.created_at).where(from_lowest_mark(tables))
    one = oldest.order_by(outbox.id).limit(bindparam("most")).subquery()
    first, last = func.min(one.c.id).label("first"), func.max(one.c.id).label("last")
    age = (epoch_ms() - func.min(one.c.created_at)).label("age")
    return select(one.c.project, func.count().label("events"), first, last, age).group_by(one.c.project)


def read_backlog(connection: Connection, statements: BacklogStatements) -> Backlog:
    """What waits now."""
    rows = connection.execute(statements.count_oldest, {"most": COUNTED}).all()
    newest = connection.scalar(statements.read_newest_id) or 0
    projects = (ProjectBacklog(text_of(row.project), row.events, max(0, row.age) / 1000) for row in rows)
    first, last = min((row.first for row in rows), default=0), max((row.last for row in rows), default=0)
    return Backlog(tuple(projects), first, last, newest)
