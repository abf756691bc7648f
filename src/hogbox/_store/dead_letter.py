"""Dead letters in the database: found by what they are, put back in their order, replaced, removed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Delete,
    Insert,
    Select,
    Update,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from hogbox._events.escape import unescape
from hogbox._events.event import Row
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit, transactional
from hogbox._store.dialects.element import epoch_ms
from hogbox._store.dialects.statement import delete_by_id, milliseconds
from hogbox._store.handles.handle import Writer
from hogbox._store.handles.portable import Portable
from hogbox._store.schema.table import Tables
from hogbox._store.selection import DeadLetterRow, Selection, conditions_of

_AT_ONCE: Final = 100
"""Letters in one read or one transaction: they may be large."""

TAKEN: Final = ("id_taken", "payload_taken")
"""The parameters of `take_letter`, in order."""

PUT_BACK: Final = ("shard", "project", "lane", "payload", "created_at")
"""The parameters of `put_back_event`, in order."""


T = TypeVar("T")

Write = Callable[[Portable, tuple[Any, ...]], int]
"""Runs a statement in a transaction; the number of rows that it changed."""


class DeadLetterStatements:
    """Dead letters: put back into the outbox, replaced, removed."""

    def __init__(self, tables: Tables) -> None:
        self.read_last_dead_letter = _read_last_dead_letter(tables)
        self.take_dead_letter = _take_dead_letter(tables)
        self.put_back_event = _put_back_event(tables)
        self.replace_dead_letter = _replace_dead_letter(tables)
        self.remove_dead_letters = _remove_dead_letters(tables)
        self.read_expired_dead_letters = _read_expired_dead_letters(tables)


def _read_last_dead_letter(tables: Tables) -> Select[int | None]:
    """The id of the newest dead letter."""
    return select(func.max(tables.dead_letters.c.id))


def read_dead_letters(
    tables: Tables, conditions: Sequence[ColumnElement[bool]], portion: int, *, newest_first: bool
) -> Select[*tuple[Any, ...]]:
    """So many dead letters that meet the conditions, by id."""
    dead = tables.dead_letters
    order = dead.c.id.desc() if newest_first else dead.c.id
    return select(*dead.columns).where(*conditions).order_by(order).limit(portion)


def _take_dead_letter(tables: Tables) -> Delete:
    """Remove one dead letter, as it was read: where somebody else took or changed it meanwhile, nothing is counted."""
    dead = tables.dead_letters.c
    return delete(tables.dead_letters).where(
        dead.id == bindparam("id_taken"), dead.payload == bindparam("payload_taken", type_=dead.payload.type)
    )


def _put_back_event(tables: Tables) -> Insert:
    """Put an event that was a dead letter into the outbox, with the time at which it was captured."""
    values: dict[str, Any] = {name: bindparam(name) for name in PUT_BACK}
    return insert(tables.outbox).inline().values(**values)


def _replace_dead_letter(tables: Tables) -> Update:
    """Give a dead letter another event, unless somebody else took or changed it meanwhile."""
    dead = tables.dead_letters.c
    names = ("shard", "payload", "event_uuid")
    same = dead.payload == bindparam("payload_taken", type_=dead.payload.type)
    return (
        update(tables.dead_letters)
        .where(dead.id == bindparam("id_taken"), same)
        .values({name: bindparam(f"new_{name}") for name in names})
    )


def _remove_dead_letters(tables: Tables) -> Delete:
    """Remove dead letters for good, by their ids."""
    return delete_by_id(tables.dead_letters).where(tables.dead_letters.c.id.in_(bindparam("ids", expanding=True)))


def _read_expired_dead_letters(tables: Tables) -> Select[int]:
    """The ids of so many dead letters that died more than so many milliseconds ago, by the index on that time."""
    dead = tables.dead_letters.c
    age = bindparam("age", type_=BigInteger())
    return select(dead.id).where(dead.died_at < epoch_ms() - age).order_by(dead.died_at).limit(bindparam("portion"))


class PutBack:
    """Puts dead letters back into the outbox, on any handle."""

    def __init__(self, tables: Tables) -> None:
        statements = tables.once(DeadLetterStatements)
        self._take = Portable(statements.take_dead_letter, TAKEN)
        self._insert = Portable(statements.put_back_event, PUT_BACK)

    def put_back(self, write: Write, dead_letter: DeadLetterRow, row: Row | None = None) -> bool:
        """Move one dead letter to the outbox, as `row` if that is given; False where somebody else took or changed it.

        It is taken away first: of two that put the same one back, one finds it gone.
        """
        if write(self._take, (dead_letter.id, dead_letter.payload)) != 1:
            return False
        event = row or Row(dead_letter.shard, dead_letter.project, dead_letter.lane, dead_letter.payload)
        write(self._insert, (*event, dead_letter.created_at))
        return True


class DeadLetterStore:
    """The dead letters of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = database.tables.once(DeadLetterStatements)
        self._back = PutBack(database.tables)
        self._writer = Writer()

    def find(self, selection: Selection, *, newest_first: bool = False) -> Iterator[DeadLetterRow]:
        """The dead letters that are meant, of those there are when it begins; by id, read in portions."""
        self._database.check()
        dead = self._database.tables.dead_letters.c
        with autocommit(self._database.engine).connect() as connection:
            last = connection.scalar(self._statements.read_last_dead_letter) or 0
        meant = [*conditions_of(selection, self._database.tables)]
        found, past = 0, dead.id <= last
        while True:
            for dead_letter in (portion := self._read([*meant, past], newest_first)):
                if selection.limit is not None and found >= selection.limit:
                    return
                if selection.fits(dead_letter):
                    found += 1
                    yield dead_letter
            if len(portion) < _AT_ONCE:
                return
            edge = portion[-1].id
            past = dead.id < edge if newest_first else dead.id.between(edge + 1, last)

    def retry(self, dead_letters: Iterable[DeadLetterRow]) -> int:
        """Put these dead letters back into the outbox, in the order given; how many.

        uuid and timestamp stay. Each portion is one transaction; one that somebody else has taken meanwhile is
        left out. They come after what is in the outbox now.
        """
        return sum(self._retry(portion) for portion in _portions(dead_letters))

    def replace(self, dead_letter: DeadLetterRow, row: Row, uuid: str, *, retry: bool) -> bool:
        """Give a dead letter another event, and put it back into the outbox if `retry`; False where it has changed."""
        if retry:
            with transactional(self._database.engine).begin() as connection:
                return self._back.put_back(lambda *write: self._writer.write(connection, *write), dead_letter, row)
        new = {"new_shard": row.shard, "new_payload": row.payload, "new_event_uuid": uuid}
        with transactional(self._database.engine).begin() as connection:
            taken = {"id_taken": dead_letter.id, "payload_taken": dead_letter.payload}
            return connection.execute(self._statements.replace_dead_letter, {**new, **taken}).rowcount == 1

    def purge(self, ids: Iterable[int]) -> int:
        """Remove the dead letters with these ids for good; how many. Each portion is one transaction."""
        removed = 0
        for portion in _portions(ids):
            with transactional(self._database.engine).begin() as connection:
                removed += connection.execute(self._statements.remove_dead_letters, {"ids": portion}).rowcount
        return removed

    def expire(self, age: float, portion: int) -> int:
        """Remove so many of the dead letters that died more than `age` seconds ago; how many."""
        wanted = {"age": milliseconds(age), "portion": portion}
        with autocommit(self._database.engine).connect() as connection:
            ids = connection.scalars(self._statements.read_expired_dead_letters, wanted).all()
        return self.purge(ids)

    def _retry(self, dead_letters: Sequence[DeadLetterRow]) -> int:
        with transactional(self._database.engine).begin() as connection:

            def write(statement: Portable, values: tuple[Any, ...]) -> int:
                return self._writer.write(connection, statement, values)

            return sum(self._back.put_back(write, dead_letter) for dead_letter in dead_letters)

    def _read(self, conditions: Sequence[ColumnElement[bool]], newest_first: bool) -> list[DeadLetterRow]:
        statement = read_dead_letters(self._database.tables, conditions, _AT_ONCE, newest_first=newest_first)
        with autocommit(self._database.engine).connect() as connection:
            dead_letters = [DeadLetterRow(*row) for row in connection.execute(statement)]
        return [dead_letter._replace(reason=unescape(dead_letter.reason)) for dead_letter in dead_letters]


def _portions(all_of_them: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(all_of_them)
    while portion := list(islice(rest, _AT_ONCE)):
        yield portion
