"""The statements over dead letters: find them, put them back into the outbox, replace and remove them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

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

from hogbox._store.dialects.element import epoch_ms
from hogbox._store.dialects.statement import delete_by_id
from hogbox._store.schema.table import Tables

TAKEN: Final = ("id_taken", "payload_taken")
"""The parameters of `take_letter`, in order."""

PUT_BACK: Final = ("shard", "project", "lane", "payload", "created_at")
"""The parameters of `put_back_event`, in order."""


class DeadLetterStatements:
    """Every statement over one set of tables. Built once; parameters are bound when they run."""

    def __init__(self, tables: Tables) -> None:
        self.read_last_letter = _read_last_letter(tables)
        self.take_letter = _take_letter(tables)
        self.put_back_event = _put_back_event(tables)
        self.replace_letter = _replace_letter(tables)
        self.remove_letters = _remove_letters(tables)
        self.read_expired_letters = _read_expired_letters(tables)


def _read_last_letter(tables: Tables) -> Select[int | None]:
    """The id of the newest dead letter."""
    return select(func.max(tables.dead_letters.c.id))


def read_letters(
    tables: Tables, conditions: Sequence[ColumnElement[bool]], portion: int, *, newest_first: bool
) -> Select[*tuple[Any, ...]]:
    """So many dead letters that meet the conditions, by id."""
    dead = tables.dead_letters
    order = dead.c.id.desc() if newest_first else dead.c.id
    return select(*dead.columns).where(*conditions).order_by(order).limit(portion)


def _take_letter(tables: Tables) -> Delete:
    """Remove one dead letter, as it was read: where somebody else took or changed it meanwhile, nothing is counted."""
    dead = tables.dead_letters.c
    return delete(tables.dead_letters).where(
        dead.id == bindparam("id_taken"), dead.payload == bindparam("payload_taken", type_=dead.payload.type)
    )


def _put_back_event(tables: Tables) -> Insert:
    """Put an event that was a dead letter into the outbox, with the time at which it was captured."""
    values: dict[str, Any] = {name: bindparam(name) for name in PUT_BACK}
    return insert(tables.outbox).inline().values(**values)


def _replace_letter(tables: Tables) -> Update:
    """Give a dead letter another event, unless somebody else took or changed it meanwhile."""
    dead = tables.dead_letters.c
    names = ("shard", "payload", "event_uuid")
    same = dead.payload == bindparam("payload_taken", type_=dead.payload.type)
    return (
        update(tables.dead_letters)
        .where(dead.id == bindparam("id_taken"), same)
        .values({name: bindparam(f"new_{name}") for name in names})
    )


def _remove_letters(tables: Tables) -> Delete:
    """Remove dead letters for good, by their ids."""
    return delete_by_id(tables.dead_letters).where(tables.dead_letters.c.id.in_(bindparam("ids", expanding=True)))


def _read_expired_letters(tables: Tables) -> Select[int]:
    """The ids of so many dead letters that died more than so many milliseconds ago, by the index on that time."""
    dead = tables.dead_letters.c
    age = bindparam("age", type_=BigInteger())
    return select(dead.id).where(dead.died_at < epoch_ms() - age).order_by(dead.died_at).limit(bindparam("portion"))
