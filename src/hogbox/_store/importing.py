"""Operations of an import: how far it has come, and its next portion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from hogbox._events.event import Row
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit, transactional
from hogbox._store.import_statement import ImportStatements
from hogbox.errors import ImportUnderWay

_LONGEST_NAME: Final = 255


class Reached(NamedTuple):
    """Bytes of the file that are done, and the events in them."""

    position: int
    events: int


class ImportStore:
    """What is written of imports."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = ImportStatements(database.tables)

    def begin(self, identifier: str, name: str) -> Reached:
        """Begin an import, or find out how far an earlier run of it came."""
        engine = self._database.engine
        statement = self._statements.begin_import[engine.dialect.name]
        with autocommit(engine).begin() as connection:
            connection.execute(
                statement,
                {"id": identifier, "name": name.encode("ascii", "backslashreplace").decode()[-_LONGEST_NAME:]},
            )
            row = connection.execute(self._statements.read_import, {"wanted": identifier}).one()
        return Reached(row.position, row.events)

    def write(self, rows: Sequence[Row], identifier: str, seen: int, reached: int) -> None:
        """Write a portion and the position after it, in one transaction. Raises ImportUnderWay where another did."""
        step = {"wanted": identifier, "seen": seen, "reached": reached, "more": len(rows)}
        with transactional(self._database.engine).begin() as connection:
            if connection.execute(self._statements.advance_import, step).rowcount != 1:
                raise ImportUnderWay()
            if rows:
                connection.execute(self._database.statements.insert_event, [row._asdict() for row in rows])

    def write_alone(self, rows: Sequence[Row]) -> None:
        """Write a portion of what can't be read again, in one transaction."""
        with transactional(self._database.engine).begin() as connection:
            connection.execute(self._database.statements.insert_event, [row._asdict() for row in rows])
