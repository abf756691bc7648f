"""What the database holds of one person: found in the outbox, and removed from it.

Not along the shard that the person's events are written to: those whose project was changed while they waited stay in
the shard of the old one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from sqlalchemy import Select

from hogbox._events.letter import person_pattern, read_event
from hogbox._store.database import Database
from hogbox._store.dialect import autocommit
from hogbox._store.person_statement import PersonStatements
from hogbox._store.search_statement import SearchStatements
from hogbox.encryption import readable

_SCANNED_AT_ONCE: Final = 50_000
_READ_AT_ONCE: Final = 200


class PersonStore:
    """The waiting events of persons, in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = PersonStatements(database.tables)
        self._next_id = SearchStatements(database.tables).read_next_id

    def find(self, distinct_id: str, project: str | None) -> Iterator[int]:
        """The ids of the person's events, of those that wait when it begins; in one project, or in all."""
        self._database.check()
        newest, past = self._scalar(self._database.statements.read_last_id), 0
        while 0 < (first := self._scalar(self._next_id, after=past)) <= newest:
            past = min(first + _SCANNED_AT_ONCE - 1, newest)
            rows = self._read(person_pattern(distinct_id), first, past)
            for id_, its_project, payload in rows:
                if project in (None, its_project) and _person_of(payload) == distinct_id:
                    yield id_
            if len(rows) == _READ_AT_ONCE:
                past = rows[-1][0]

    def remove(self, ids: Iterable[int]) -> int:
        """Remove the events with these ids, each in a transaction of its own; how many were there still.

        A worker that is just sending one of them finds it gone afterwards, and goes on.
        """
        removed = 0
        for one in ids:
            with autocommit(self._database.engine).connect() as connection, connection.begin():
                removed += connection.execute(self._statements.remove_event, {"event": one}).rowcount
        return removed

    def _scalar(self, statement: Select[int | None], **values: int) -> int:
        with autocommit(self._database.engine).connect() as connection:
            return connection.scalar(statement, values) or 0

    def _read(self, pattern: str, first: int, last: int) -> list[tuple[int, str, str]]:
        wanted = {"text": pattern, "first": first, "last": last, "portion": _READ_AT_ONCE}
        with autocommit(self._database.engine).connect() as connection:
            return [
                (id_, project, payload)
                for id_, project, payload in connection.execute(self._statements.read_events_with, wanted)
            ]


def _person_of(payload: str) -> object:
    return read_event(readable(payload, None)).get("distinct_id")
