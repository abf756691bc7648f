"""The statements that try out what a process may do with the tables: for transactions that are rolled back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import ColumnElement, String, Table, UpdateBase, and_, delete, insert, update

from hogbox._store.schema.table import Tables

_NOBODY: Final = "hogbox-doctor"
_NOTHING: Final = -1


def try_tables(tables: Tables) -> Iterator[tuple[Table, tuple[UpdateBase, ...]]]:
    """Each table with what applications and workers do to its rows. None touches a row that is there."""
    for table in tables.metadata.sorted_tables:
        if table is tables.shards:
            yield table, (_change(table),)
        elif table in (tables.outbox, tables.dead_letters):
            yield table, (_enter(table), _remove(table))
        elif table is not tables.schema:
            yield table, (_enter(table), _change(table), _remove(table))


def _enter(table: Table) -> UpdateBase:
    """Insert a row of nobody."""
    return insert(table).inline().values(_row(table))


def _change(table: Table) -> UpdateBase:
    """Change the row of nobody."""
    return update(table).where(_nobodys(table)).values(_row(table))


def _remove(table: Table) -> UpdateBase:
    """Delete the row of nobody."""
    return delete(table).where(_nobodys(table))


def _nobodys(table: Table) -> ColumnElement[bool]:
    return and_(*(column == _value(column.type) for column in table.primary_key.columns))


def _row(table: Table) -> dict[str, Any]:
    return {column.name: _value(column.type) for column in table.columns}


def _value(kind: Any) -> str | int:
    return _NOBODY if isinstance(kind, String) else _NOTHING
