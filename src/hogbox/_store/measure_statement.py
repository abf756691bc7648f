"""The statements that measure: each is cheap however many events wait, and takes no lock."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Select, case, func, select

from hogbox._store.dialects.element import epoch_ms
from hogbox._store.mark_statement import from_lowest_mark
from hogbox._store.schema.table import Tables

MOST_COUNTED: Final = 20_000
"""Rows that are looked at, at most: a million events that wait are not counted every few seconds."""


class MeasureStatements:
    """Every statement over one set of tables. They take no parameters."""

    def __init__(self, tables: Tables) -> None:
        self.count_backlog = _count_backlog(tables)
        self.read_span = _read_span(tables)
        self.count_dead_letters = _count_dead_letters(tables)
        self.count_leases = _count_leases(tables)
        self.count_put_off = _count_put_off(tables)
        self.count_workers = _count_workers(tables)
        self.read_definition_ages = _read_definition_ages(tables)


def _count_backlog(tables: Tables) -> Select[str, int, int]:
    """Per project, among the oldest events: how many wait, and the milliseconds that the oldest has waited."""
    outbox = tables.outbox.c
    waiting = select(outbox.project, outbox.created_at).where(from_lowest_mark(tables))
    oldest = waiting.order_by(outbox.id).limit(MOST_COUNTED).subquery()
    age = (epoch_ms() - func.min(oldest.c.created_at)).label("age")
    return select(oldest.c.project, func.count().label("events"), age).group_by(oldest.c.project)


def _read_span(tables: Tables) -> Select[int | None, int | None]:
    """The ids of the oldest and of the newest event that waits."""
    first, last = (_outermost(tables, order) for order in (tables.outbox.c.id, tables.outbox.c.id.desc()))
    return select(first.label("first"), last.label("last"))


def _outermost(tables: Tables, order: ColumnElement[int]) -> ColumnElement[int]:
    # Not MIN and MAX in one: SQLite then reads the whole table.
    waiting = select(tables.outbox.c.id).where(from_lowest_mark(tables))
    return waiting.order_by(order).limit(1).scalar_subquery()


def _count_dead_letters(tables: Tables) -> Select[str, int]:
    """Per project, among the newest: how many dead letters there are."""
    dead = tables.dead_letters.c
    newest = select(dead.project).order_by(dead.id.desc()).limit(MOST_COUNTED).subquery()
    return select(newest.c.project, func.count().label("events")).group_by(newest.c.project)


def _count_leases(tables: Tables) -> Select[int, int, int]:
    """How many shards there are, how many of them are held, and how many failed last."""
    shards = tables.shards.c
    held = shards.owner.is_not(None) & (shards.lease_expires_at > epoch_ms())
    return select(func.count(), _count_where(held), _count_where(shards.attempt > 0))


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
    later = refreshes.c.unchanged_at > stored.c.fetched_at
    right_at = case((later, refreshes.c.unchanged_at), else_=stored.c.fetched_at)
    same = refreshes.c.project == stored.c.project
    ages = select(stored.c.project, (epoch_ms() - right_at).label("age")).select_from(stored.outerjoin(refreshes, same))
    return ages.order_by(stored.c.project).limit(MOST_COUNTED)
