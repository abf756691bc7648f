"""Holds: the projects that are put off because their requests fail; for those who look, and for workers that start."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, Connection, Delete, Select, Update, bindparam, delete, literal_column, select, update

from hogbox._store.connections.database import Database, WorkerStore, storable
from hogbox._store.dialects.element import epoch_ms
from hogbox._store.dialects.statement import ByDialect, milliseconds, number, soon, upsert
from hogbox._store.schema.table import Tables

_LONGEST: Final = 7 * 24 * 3_600_000
"""Milliseconds that are longer than any hold."""


class Paused(NamedTuple):
    """A project that some worker puts off, as of the last heartbeat. `left` is in seconds."""

    project: str
    left: float
    attempt: int
    status: int | None


class HoldStatements:
    """What is noted of projects that are put off."""

    def __init__(self, tables: Tables) -> None:
        self.hold_project = _hold_project(tables)
        self.release_project = _release_project(tables)
        self.read_on_hold = _read_on_hold(tables)
        self.forget_holds = _forget_holds(tables)
        self.correct_holds = _correct_holds(tables)


def _hold_project(tables: Tables) -> ByDialect:
    """Say that a project's requests fail, and for how many milliseconds it is left alone; since when stays."""
    holds = tables.holds.c
    known: dict[str, Any] = {
        name: bindparam(name, type_=holds[name].type) for name in ("project", "attempt", "status", "reason")
    }
    news = {"until": epoch_ms() + number("delay"), **{n: v for n, v in known.items() if n != "project"}}
    return upsert(tables.holds, {**known, **news, "held_at": epoch_ms()}, news)


def _release_project(tables: Tables) -> Delete:
    """Say that a project's events are taken again."""
    return delete(tables.holds).where(tables.holds.c.project == bindparam("on_hold"))


def _read_on_hold(tables: Tables) -> Select[str, int, int, int | None]:
    """The projects that some worker put off: for how many milliseconds yet, failures in a row, status of the last."""
    holds = tables.holds.c
    return select(holds.project, (holds.until - epoch_ms()).label("left"), holds.attempt, holds.status)


def _forget_holds(tables: Tables) -> Delete:
    """Remove the holds that nobody renewed though they ended so many milliseconds ago: no event of theirs waits."""
    return delete(tables.holds).where(tables.holds.c.until < epoch_ms() - number("grace"))


def _correct_holds(tables: Tables) -> Update:
    """End the holds that are in the future, or longer than any: nothing waits until the database's clock is there."""
    holds = tables.holds.c
    beyond = epoch_ms() + literal_column(str(_LONGEST), BigInteger())
    ahead = (holds.held_at > soon()) | (holds.until > beyond)
    return update(tables.holds).where(ahead).values(held_at=epoch_ms(), until=epoch_ms())


class HoldStore(WorkerStore):
    """What one worker says of projects that are put off, and hears of them."""

    def __init__(self, database: Database, worker: str) -> None:
        super().__init__(database, worker)
        self._holds = database.tables.once(HoldStatements)
        self.on_hold: frozenset[str] = frozenset()
        """The projects that some worker put off at the last heartbeat."""
        self.paused: tuple[Paused, ...] = ()
        """The same, and for how long."""

    def hold(self, project: str, delay: float, attempt: int, status: int | None, reason: str) -> None:
        """Say that the project's requests fail or are refused, and that it is left alone for so many seconds."""
        why = {"project": project, "attempt": attempt, "status": status, "reason": storable(reason)}
        dialect = self._database.engine.dialect.name
        self._run(self._holds.hold_project[dialect], {**why, "delay": milliseconds(delay)})
        self.on_hold |= {project}

    def release(self, project: str) -> None:
        """Say that the project's events are taken again, whichever worker had put it off."""
        self._run(self._holds.release_project, {"on_hold": project})
        self.on_hold -= {project}

    def _read_holds(self, connection: Connection) -> None:
        rows = connection.execute(self._holds.read_on_hold).all()
        self.paused = tuple(Paused(project, left / 1000, attempt, status) for project, left, attempt, status in rows)
        self.on_hold = frozenset(one.project for one in self.paused)
