"""Measures: what the database says of the backlog, the leases and the definitions, read at one moment.

Each statement is cheap however many events wait, and takes no lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Select, case, func, select

from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit
from hogbox._store.definition import definition_age
from hogbox._store.dialects.element import epoch_ms
from hogbox._store.inspection.backlog import COUNTED, BacklogStatements, ProjectBacklog, read_backlog
from hogbox._store.inspection.text import text_of
from hogbox._store.schema.table import Tables


class Measures(NamedTuple):
    """All that is measured. Ages are in seconds, by project."""

    backlog: Sequence[ProjectBacklog]
    span: int
    dead_letters: dict[str, int]
    shards: int
    leased: int
    retrying: int
    put_off: int
    workers: int
    definition_ages: dict[str, float]


class MeasureStatements:
    """A statement for each measure, or for some at once. They take no parameters."""

    def __init__(self, tables: Tables) -> None:
        self.count_dead_letters = _count_dead_letters(tables)
        self.count_leases = _count_leases(tables)
        self.count_put_off = _count_put_off(tables)
        self.count_workers = _count_workers(tables)
        self.read_definition_ages = _read_definition_ages(tables)


def _count_dead_letters(tables: Tables) -> Select[str, int]:
    """Per project, among the newest: how many dead letters there are."""
    dead = tables.dead_letters.c
    newest = select(dead.project).order_by(dead.id.desc()).limit(COUNTED).subquery()
    return select(newest.c.project, func.count().label("events")).group_by(newest.c.project)


def _count_leases(tables: Tables) -> Select[int, int, int]:
    """How many shards there are, how many of them are leased, and how many failed last."""
    shards = tables.shards.c
    leased = shards.owner.is_not(None) & (shards.lease_expires_at > epoch_ms())
    return select(func.count(), _count_where(leased), _count_where(shards.attempt > 0))


def _count_where(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))


def _count_put_off(tables: Tables) -> Select[int]:
    """How many projects are put off."""
    return select(func.count()).select_from(tables.holds)


def _count_workers(tables: Tables) -> Select[int]:
    """How many workers are listed."""
    return select(func.count()).select_from(tables.workers)


def _read_definition_ages(tables: Tables) -> Select[str, int]:
    """Per project, the milliseconds since PostHog last said that the stored flag definitions are right."""
    stored, refreshes = tables.flag_definitions, tables.refreshes
    same = refreshes.c.project == stored.c.project
    age = definition_age(tables).label("age")
    ages = select(stored.c.project, age).select_from(stored.outerjoin(refreshes, same))
    return ages.order_by(stored.c.project).limit(COUNTED)


class MeasureStore:
    """Reads measures of one database. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = database.tables.once(MeasureStatements)
        self._backlog_statements = database.tables.once(BacklogStatements)

    def read(self) -> Measures:
        """What there is now. Raises what the database raises."""
        statements = self._statements
        with autocommit(self._database.engine).connect() as connection:
            backlog = read_backlog(connection, self._backlog_statements)
            dead = connection.execute(statements.count_dead_letters).all()
            shards, leased, retrying = connection.execute(statements.count_leases).one()
            put_off = connection.scalar(statements.count_put_off) or 0
            workers = connection.scalar(statements.count_workers) or 0
            ages = connection.execute(statements.read_definition_ages).all()
        return Measures(
            backlog.projects,
            backlog.span,
            {text_of(project): events for project, events in dead},
            shards,
            leased,
            retrying,
            put_off,
            workers,
            {text_of(project): max(0, age) / 1000 for project, age in ages},
        )
