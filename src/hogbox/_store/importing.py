"""Importing: how far an import has come, and its next portion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, Update, bindparam, select, update

from hogbox._events.event import Row
from hogbox._store.capture import CaptureStatements
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit, transactional
from hogbox._store.dialects.element import epoch_ms
from hogbox._store.dialects.statement import ByDialect, insert_new, number
from hogbox._store.schema.table import Tables
from hogbox.errors import ImportUnderWay

_LONGEST_NAME: Final = 255


class ImportStatements:
    """How far an import has come."""

    def __init__(self, tables: Tables) -> None:
        self.begin_import = _begin_import(tables)
        self.read_import = _read_import(tables)
        self.advance_import = _advance_import(tables)


def _begin_import(tables: Tables) -> ByDialect:
    """Remember an import of which nothing is written yet; changes nothing where it is known already."""
    fresh: dict[str, Any] = {"position": 0, "events": 0, "changed_at": epoch_ms()}
    return insert_new(tables.imports, {"id": bindparam("id"), "name": bindparam("name"), **fresh})


def _read_import(tables: Tables) -> Select[int, int]:
    """How far an import has come."""
    imports = tables.imports.c
    return select(imports.position, imports.events).where(imports.id == bindparam("wanted"))


def _advance_import(tables: Tables) -> Update:
    """Say how far an import has come, in the transaction that writes the events; touches nothing where another did."""
    imports = tables.imports.c
    return (
        update(tables.imports)
        .where(imports.id == bindparam("wanted"), imports.position == number("seen"))
        .values(position=number("reached"), events=imports.events + number("more"), changed_at=epoch_ms())
    )


class ImportPosition(NamedTuple):
    """Bytes of the file that are done, and the events in them."""

    position: int
    events: int


class ImportStore:
    """What is written of imports."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = database.tables.once(ImportStatements)
        self._insert_event = database.tables.once(CaptureStatements).insert_event

    def begin(self, identifier: str, name: str) -> ImportPosition:
        """Begin an import, or find out how far an earlier run of it came."""
        engine = self._database.engine
        statement = self._statements.begin_import[engine.dialect.name]
        with autocommit(engine).begin() as connection:
            connection.execute(
                statement,
                {"id": identifier, "name": name.encode("ascii", "backslashreplace").decode()[-_LONGEST_NAME:]},
            )
            row = connection.execute(self._statements.read_import, {"wanted": identifier}).one()
        return ImportPosition(row.position, row.events)

    def write(self, rows: Sequence[Row], identifier: str, seen: int, reached: int) -> None:
        """Write a portion and the position after it, in one transaction. Raises ImportUnderWay where another did."""
        step = {"wanted": identifier, "seen": seen, "reached": reached, "more": len(rows)}
        with transactional(self._database.engine).begin() as connection:
            if connection.execute(self._statements.advance_import, step).rowcount != 1:
                raise ImportUnderWay()
            if rows:
                connection.execute(self._insert_event, [row._asdict() for row in rows])

    def write_alone(self, rows: Sequence[Row]) -> None:
        """Write a portion of what can't be read again, in one transaction."""
        with transactional(self._database.engine).begin() as connection:
            connection.execute(self._insert_event, [row._asdict() for row in rows])
