"""The statements over flags that run in callers' transactions: they read definitions, and note exposures."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Update,
    bindparam,
    select,
    update,
)

from hogbox._store.dialect import ByDialect, epoch_ms, insert_new
from hogbox._store.table import Tables

PROJECT: Final = ("wanted",)
"""The parameters of `read_stamp` and `read_text`."""

EXPOSURE: Final = ("wanted",)
"""The parameters of `read_exposure`."""

NEW_EXPOSURE: Final = ("id", "lifetime")
"""The parameters of `insert_exposure`, in order."""

RENEWED_EXPOSURE: Final = ("lifetime", "wanted")
"""The parameters of `renew_exposure`, in order."""


class FlagStatements:
    """Every statement over one set of tables. Built once; parameters are bound when they run."""

    def __init__(self, tables: Tables) -> None:
        self.read_stamp = _read_stamp(tables)
        self.read_text = _read_text(tables)
        self.read_exposure = _read_exposure(tables)
        self.insert_exposure = _insert_exposure(tables)
        self.renew_exposure = _renew_exposure(tables)


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


def _read_exposure(tables: Tables) -> Select[int]:
    """The milliseconds that an exposure is still noted for; below zero where it has expired, no row where it is new.

    Most are noted, and then nothing needs to be written or locked.
    """
    exposures = tables.exposures.c
    return select((exposures.expires_at - epoch_ms()).label("left")).where(exposures.id == bindparam("wanted"))


def _insert_exposure(tables: Tables) -> ByDialect:
    """Note an exposure for so many milliseconds; of all transactions that try, one inserts a row."""
    lifetime = _milliseconds("lifetime")
    values: dict[str, Any] = {"id": bindparam("id"), "expires_at": epoch_ms() + lifetime}
    return insert_new(tables.exposures, values)


def _renew_exposure(tables: Tables) -> Update:
    """Note an exposure anew that has expired; of all transactions that try, one changes the row."""
    exposures = tables.exposures.c
    return (
        update(tables.exposures)
        .where(exposures.id == bindparam("wanted"), exposures.expires_at <= epoch_ms())
        .values(expires_at=epoch_ms() + _milliseconds("lifetime"))
    )


def _milliseconds(name: str) -> ColumnElement[int]:
    return bindparam(name, type_=BigInteger())
