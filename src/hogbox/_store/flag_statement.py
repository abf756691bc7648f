"""The statements over flags in callers' transactions (definitions, notes of exposures), and a worker's claims."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Insert,
    Select,
    Update,
    bindparam,
    func,
    insert,
    not_,
    select,
    update,
)

from hogbox._store.dialects.element import epoch_ms, serializable, writable
from hogbox._store.dialects.statement import ByDialect, insert_new
from hogbox._store.schema.table import Tables

PROJECT: Final = ("wanted",)
"""The parameters of `read_stamp` and `read_text`."""

EXPOSURE: Final = ("first", "last")
"""The parameters of `read_exposure`, in order."""

NEW_EXPOSURE: Final = ("id", "lifetime")
"""The parameters of `note_exposure`, in order."""


class FlagStatements:
    """Every statement over one set of tables. Built once; parameters are bound when they run."""

    def __init__(self, tables: Tables) -> None:
        self.read_stamp = _read_stamp(tables)
        self.read_text = _read_text(tables)
        self.read_exposure = _read_exposure(tables)
        self.note_exposure = _note_exposure(tables)
        self.read_claims = _read_claims(tables)
        self.claim_exposure = _claim_exposure(tables)
        self.renew_claim = _renew_claim(tables)


def _read_stamp(tables: Tables) -> Select[int, int, str | None]:
    """What tells a project's definitions from all others: a small read, to know whether the text has to be read."""
    stored = tables.flag_definitions.c
    return select(stored.revision, stored.fetched_at, stored.etag).where(stored.project == bindparam("wanted"))


def _read_text(tables: Tables) -> Select[int, int, str | None, str]:
    """A project's definitions with their stamp."""
    stored = tables.flag_definitions.c
    return select(stored.revision, stored.fetched_at, stored.etag, stored.data).where(
        stored.project == bindparam("wanted")
    )


def _read_exposure(tables: Tables) -> Select[int | None, bool]:
    """The milliseconds that an exposure is noted for yet (NULL: it is new), and whether this transaction may write.

    Its notes lie together, whoever wrote them. A serializable transaction does not look: on PostgreSQL it could fail
    for what others note, on MariaDB and MySQL it would lock it.
    """
    exposures = tables.exposures.c
    noted = select((func.max(exposures.expires_at) - epoch_ms()).label("left")).where(
        exposures.id.between(bindparam("first"), bindparam("last")), not_(serializable())
    )
    return select(noted.scalar_subquery(), writable())


def _note_exposure(tables: Tables) -> Insert:
    """Note an exposure for so many milliseconds. No two transactions write the same key: none waits, none fails."""
    values: dict[str, Any] = {"id": bindparam("id"), "expires_at": epoch_ms() + _milliseconds("lifetime")}
    return insert(tables.exposures).inline().values(values)


def _read_claims(tables: Tables) -> Select[str, int]:
    """Those of some exposures and events that are noted, and for how many milliseconds yet."""
    exposures = tables.exposures.c
    wanted: BindParameter[Any] = bindparam("wanted", expanding=True)
    return select(exposures.id, (exposures.expires_at - epoch_ms()).label("left")).where(exposures.id.in_(wanted))


def _claim_exposure(tables: Tables) -> ByDialect:
    """Note that an exposure is sent; of all that try, one inserts a row."""
    values: dict[str, Any] = {"id": bindparam("id"), "expires_at": epoch_ms() + _milliseconds("lifetime")}
    return insert_new(tables.exposures, values)


def _renew_claim(tables: Tables) -> Update:
    """The same for one that has expired; of all that try, one changes the row."""
    exposures = tables.exposures.c
    return (
        update(tables.exposures)
        .where(exposures.id == bindparam("wanted"), exposures.expires_at <= epoch_ms())
        .values(expires_at=epoch_ms() + _milliseconds("lifetime"))
    )


def _milliseconds(name: str) -> ColumnElement[int]:
    return bindparam(name, type_=BigInteger())
