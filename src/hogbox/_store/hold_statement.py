"""The statements over the projects that are put off: rows for those who look, and for workers that start."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Delete, Select, bindparam, delete, select

from hogbox._store.dialects.element import epoch_ms
from hogbox._store.dialects.statement import ByDialect, upsert
from hogbox._store.schema.table import Tables


class HoldStatements:
    """Every statement over one set of tables. Built once; parameters are bound when they run."""

    def __init__(self, tables: Tables) -> None:
        self.hold_project = _hold_project(tables)
        self.release_project = _release_project(tables)
        self.read_held = _read_held(tables)
        self.forget_holds = _forget_holds(tables)


def _hold_project(tables: Tables) -> ByDialect:
    """Say that a project's requests fail, and for how many milliseconds it is left alone; since when stays."""
    holds = tables.holds.c
    known: dict[str, Any] = {
        name: bindparam(name, type_=holds[name].type) for name in ("project", "attempt", "status", "reason")
    }
    news = {"until": epoch_ms() + _milliseconds("delay"), **{n: v for n, v in known.items() if n != "project"}}
    return upsert(tables.holds, {**known, **news, "held_at": epoch_ms()}, news)


def _release_project(tables: Tables) -> Delete:
    """Say that a project's events are taken again."""
    return delete(tables.holds).where(tables.holds.c.project == bindparam("held"))


def _read_held(tables: Tables) -> Select[str, int, int, int | None]:
    """The projects that some worker put off: for how many milliseconds yet, failures in a row, status of the last."""
    holds = tables.holds.c
    return select(holds.project, (holds.until - epoch_ms()).label("left"), holds.attempt, holds.status)


def _forget_holds(tables: Tables) -> Delete:
    """Remove the holds that nobody renewed though they ended so many milliseconds ago: no event of theirs waits."""
    return delete(tables.holds).where(tables.holds.c.until < epoch_ms() - _milliseconds("grace"))


def _milliseconds(name: str) -> ColumnElement[int]:
    return bindparam(name, type_=BigInteger())
