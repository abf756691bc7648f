"""The statements over imports: one for each operation."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Update, bindparam, select, update

from hogbox._store.dialects.element import epoch_ms
from hogbox._store.dialects.statement import ByDialect, insert_new
from hogbox._store.schema.table import Tables


class ImportStatements:
    """Every statement over one set of tables. Built once; parameters are bound when they run."""

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
        .where(imports.id == bindparam("wanted"), imports.position == _number("seen"))
        .values(position=_number("reached"), events=imports.events + _number("more"), changed_at=epoch_ms())
    )


def _number(name: str) -> ColumnElement[int]:
    return bindparam(name, type_=BigInteger())
