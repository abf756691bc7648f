"""Dead letters in the database: found by what they are, put back in their order, replaced, removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, func, or_

from hogbox._events.escape import escape, unescape
from hogbox._events.event import Row
from hogbox._events.letter import read_event
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit, transactional
from hogbox._store.dead_letter_statement import PUT_BACK, TAKEN, DeadLetterStatements, read_letters
from hogbox._store.dialects.element import epoch_ms
from hogbox._store.handles.handle import Writer
from hogbox._store.handles.portable import Portable
from hogbox._store.schema.table import Tables
from hogbox.encryption import readable

_AT_ONCE: Final = 100
"""Letters in one read or one transaction: they may be large."""

T = TypeVar("T")

Write = Callable[[Portable, tuple[Any, ...]], int]
"""Runs a statement in a transaction; the number of rows that it changed."""


class DeadLetter(NamedTuple):
    """A row of the dead letters; times in epoch milliseconds."""

    id: int
    shard: int
    project: str
    lane: str
    payload: str
    created_at: int
    event_uuid: str
    reason: str
    status: int | None
    died_at: int

    @property
    def text(self) -> str:
        """The event's JSON, decrypted; the payload as it is stored where its key is not here."""
        return readable(self.payload, self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which dead letters are meant: those that meet all that is given."""

    ids: tuple[int, ...] = ()
    uuids: tuple[str, ...] = ()
    """One of these, or one of the ids."""
    reason: str | None = None
    """A part of the reason, in any case."""
    event: str | None = None
    distinct_id: str | None = None
    project: str | None = None
    """The token, or its beginning and an ellipsis, as hogbox shows it."""
    older_than: float | None = None
    """Seconds since it died."""
    newer_than: float | None = None
    limit: int | None = None

    @property
    def everything(self) -> bool:
        """Whether nothing is given."""
        return self == Selection()

    def fits(self, letter: DeadLetter) -> bool:
        """Whether the event is the one meant: the database can't tell that."""
        if self.event is None and self.distinct_id is None:
            return True
        event = read_event(letter.text)
        wanted = {"event": self.event, "distinct_id": self.distinct_id}
        return all(event.get(name) == value for name, value in wanted.items() if value is not None)


class PutBack:
    """Puts dead letters back into the outbox, on any handle."""

    def __init__(self, tables: Tables) -> None:
        statements = DeadLetterStatements(tables)
        self._take = Portable(statements.take_letter, TAKEN)
        self._insert = Portable(statements.put_back_event, PUT_BACK)

    def put_back(self, write: Write, letter: DeadLetter, row: Row | None = None) -> bool:
        """Move one letter to the outbox, as `row` if that is given; False where somebody else took or changed it.

        It is taken away first: of two that put the same one back, one finds it gone.
        """
        if write(self._take, (letter.id, letter.payload)) != 1:
            return False
        shard, project, lane, payload = row or (letter.shard, letter.project, letter.lane, letter.payload)
        write(self._insert, (shard, project, lane, payload, letter.created_at))
        return True


class DeadLetterStore:
    """The dead letters of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = DeadLetterStatements(database.tables)
        self._back = PutBack(database.tables)
        self._writer = Writer()

    def find(self, selection: Selection, *, newest_first: bool = False) -> Iterator[DeadLetter]:
        """The letters that are meant, of those there are when it begins; by id, read in portions."""
        self._database.check()
        dead = self._database.tables.dead_letters.c
        with autocommit(self._database.engine).connect() as connection:
            last = connection.scalar(self._statements.read_last_letter) or 0
        found, past = 0, dead.id <= last
        while True:
            for letter in (portion := self._read([*self._conditions(selection), past], newest_first)):
                if selection.limit is not None and found >= selection.limit:
                    return
                if selection.fits(letter):
                    found += 1
                    yield letter
            if len(portion) < _AT_ONCE:
                return
            edge = portion[-1].id
            past = dead.id < edge if newest_first else dead.id.between(edge + 1, last)

    def retry(self, letters: Iterable[DeadLetter]) -> int:
        """Put these letters back into the outbox, in the order given; how many.

        uuid and timestamp stay. Each portion is one transaction; a letter that somebody else has taken meanwhile is
        left out. They come after what is in the outbox now.
        """
        return sum(self._retry(portion) for portion in _portions(letters))

    def replace(self, letter: DeadLetter, row: Row, uuid: str, *, retry: bool) -> bool:
        """Give a letter another event, and put it back into the outbox if `retry`; False where it has changed."""
        if retry:
            with transactional(self._database.engine).begin() as connection:
                return self._back.put_back(lambda *write: self._writer.write(connection, *write), letter, row)
        new = {"new_shard": row.shard, "new_payload": row.payload, "new_event_uuid": uuid}
        with transactional(self._database.engine).begin() as connection:
            taken = {"id_taken": letter.id, "payload_taken": letter.payload}
            return connection.execute(self._statements.replace_letter, {**new, **taken}).rowcount == 1

    def purge(self, ids: Iterable[int]) -> int:
        """Remove the letters with these ids for good; how many. Each portion is one transaction."""
        removed = 0
        for portion in _portions(ids):
            with transactional(self._database.engine).begin() as connection:
                removed += connection.execute(self._statements.remove_letters, {"ids": portion}).rowcount
        return removed

    def expire(self, age: float, portion: int) -> int:
        """Remove so many of the letters that died more than `age` seconds ago; how many."""
        wanted = {"age": round(age * 1000), "portion": portion}
        with autocommit(self._database.engine).connect() as connection:
            ids = connection.scalars(self._statements.read_expired_letters, wanted).all()
        return self.purge(ids)

    def _retry(self, letters: Sequence[DeadLetter]) -> int:
        with transactional(self._database.engine).begin() as connection:

            def write(statement: Portable, values: tuple[Any, ...]) -> int:
                return self._writer.write(connection, statement, values)

            return sum(self._back.put_back(write, letter) for letter in letters)

    def _read(self, conditions: Sequence[ColumnElement[bool]], newest_first: bool) -> list[DeadLetter]:
        statement = read_letters(self._database.tables, conditions, _AT_ONCE, newest_first=newest_first)
        with autocommit(self._database.engine).connect() as connection:
            letters = [DeadLetter(*row) for row in connection.execute(statement)]
        return [letter._replace(reason=unescape(letter.reason)) for letter in letters]

    def _conditions(self, selection: Selection) -> Iterator[ColumnElement[bool]]:
        """What the database can tell of the letters that are meant."""
        dead = self._database.tables.dead_letters.c
        if selection.ids or selection.uuids:
            yield or_(dead.id.in_(selection.ids), dead.event_uuid.in_(selection.uuids))
        if selection.reason is not None:
            yield func.lower(dead.reason).contains(escape(selection.reason).lower(), autoescape=True)
        if selection.project is not None:
            yield _of_project(dead.project, selection.project)
        if selection.older_than is not None:
            yield dead.died_at < epoch_ms() - round(selection.older_than * 1000)
        if selection.newer_than is not None:
            yield dead.died_at >= epoch_ms() - round(selection.newer_than * 1000)


def _portions(all_of_them: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(all_of_them)
    while portion := list(islice(rest, _AT_ONCE)):
        yield portion


def _of_project(column: ColumnElement[str], project: str) -> ColumnElement[bool]:
    if not project.endswith("…"):
        return column == project
    beginning = project[:-1]
    return func.substr(column, 1, len(beginning)) == beginning
