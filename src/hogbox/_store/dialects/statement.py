"""Statements that each dialect writes in its own way, and what all statements are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Delete, Insert, Select, Table, bindparam, delete, literal_column

from hogbox._store.dialects import backend_of
from hogbox._store.dialects.element import epoch_ms


def number(name: str) -> ColumnElement[int]:
    """A parameter that is a large whole number, such as milliseconds."""
    return bindparam(name, type_=BigInteger())


def milliseconds(seconds: float) -> int:
    """What such a parameter is given for a time in seconds."""
    return round(seconds * 1000)


def soon() -> ColumnElement[int]:
    """A time that only a clock can have written that has been set back since."""
    return epoch_ms() + literal_column("60000", BigInteger())


@dataclass(frozen=True, slots=True, eq=False)
class ByDialect:
    """A statement that is written differently for each dialect: `statement["sqlite"]`.

    Written when it is first asked for: importing all dialects takes longer than all of hogbox.
    """

    write: Callable[[str], Insert]
    _written: dict[str, Insert] = field(default_factory=dict, init=False)

    def __getitem__(self, dialect: str) -> Insert:
        if dialect not in self._written:
            self._written[dialect] = self.write(dialect)
        return self._written[dialect]


def upsert(table: Table, values: Mapping[str, Any], changes: Mapping[str, Any]) -> ByDialect:
    """INSERT the values, or, where there is a row with their primary key, make the changes to it.

    Changes may use the columns of the row that is there; MySQL and MariaDB make them in the order given, so that one
    sees what those before it have made.
    """

    def write(dialect: str) -> Insert:
        backend = backend_of(dialect)
        return backend.or_change(backend.insert(table).values(values), table, changes)  # type: ignore[no-any-return]

    return ByDialect(write)


def insert_new(table: Table, values: Mapping[str, Any]) -> ByDialect:
    """INSERT the values, or do nothing where there is a row with their primary key; the rows counted say which.

    Nothing fails where there is one: a failing statement would end the caller's transaction on PostgreSQL.
    """

    def write(dialect: str) -> Insert:
        backend = backend_of(dialect)
        return backend.or_nothing(backend.insert(table).values(values))  # type: ignore[no-any-return]

    return ByDialect(write)


def copy_rows(
    table: Table, names: Sequence[str], rows: Select[*tuple[Any, ...]], *, replace: Sequence[str]
) -> ByDialect:
    """INSERT the rows of a SELECT; where there is a row with their primary key, replace these columns of it.

    The SELECT has a WHERE: SQLite could not tell what ON CONFLICT belongs to otherwise.
    """

    def write(dialect: str) -> Insert:
        backend = backend_of(dialect)
        new = backend.insert(table).from_select([*names], rows)
        return backend.or_replace(new, table, replace)  # type: ignore[no-any-return]

    return ByDialect(write)


def delete_by_id(table: Table) -> Delete:
    """A DELETE that looks its rows up by their ids, for a condition that names them.

    MariaDB and MySQL lock every row that they look at. They read a small table as a whole, and would wait for each
    event of a transaction that is still open.
    """
    statement = delete(table)
    for name in ("mysql", "mariadb"):
        # DELETE takes hints in its form for several tables only: DELETE t FROM t FORCE INDEX (PRIMARY).
        statement = statement.prefix_with(table.name, dialect=name)
        statement = statement.with_hint("FORCE INDEX (PRIMARY)", dialect_name=name)
    return statement
