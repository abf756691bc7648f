"""Measures: what the database says of the backlog, the leases and the definitions, read at one moment."""

from __future__ import annotations

from typing import NamedTuple

from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit
from hogbox._store.measure_statement import MeasureStatements


class Backlog(NamedTuple):
    """The events of one project that wait. `age` is that of the oldest, in seconds."""

    project: str
    events: int
    age: float


class Measures(NamedTuple):
    """All that is measured. Ages are in seconds, by project."""

    backlog: list[Backlog]
    span: int
    dead_letters: dict[str, int]
    shards: int
    held: int
    retrying: int
    put_off: int
    workers: int
    definition_ages: dict[str, float]


class MeasureStore:
    """Reads measures of one database. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = MeasureStatements(database.tables)

    def read(self) -> Measures:
        """What there is now. Raises what the database raises."""
        statements = self._statements
        with autocommit(self._database.engine).connect() as connection:
            backlog = connection.execute(statements.count_backlog).all()
            first, last = connection.execute(statements.read_span).one()
            dead = connection.execute(statements.count_dead_letters).all()
            shards, held, retrying = connection.execute(statements.count_leases).one()
            put_off = connection.scalar(statements.count_put_off) or 0
            workers = connection.scalar(statements.count_workers) or 0
            ages = connection.execute(statements.read_definition_ages).all()
        return Measures(
            [Backlog(project, events, max(0, age) / 1000) for project, events, age in backlog],
            0 if first is None or last is None else last - first + 1,
            {project: events for project, events in dead},  # noqa: C416 - rows are no pairs to mypy
            shards,
            held,
            retrying,
            put_off,
            workers,
            {project: max(0, age) / 1000 for project, age in ages},
        )
