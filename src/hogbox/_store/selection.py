"""Selection: which dead letters are meant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, func, or_

from hogbox._encryption import readable
from hogbox._events.dead_letter import read_event
from hogbox._events.escape import escape
from hogbox._store.dialects.element import epoch_ms
from hogbox._store.dialects.statement import milliseconds
from hogbox._store.schema.table import Tables


class DeadLetterRow(NamedTuple):
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

    def fits(self, dead_letter: DeadLetterRow) -> bool:
        """Whether the event is the one meant: the database can't tell that."""
        if self.event is None and self.distinct_id is None:
            return True
        event = read_event(dead_letter.text)
        wanted = {"event": self.event, "distinct_id": self.distinct_id}
        return all(event.get(name) == value for name, value in wanted.items() if value is not None)


def conditions_of(selection: Selection, tables: Tables) -> Iterator[ColumnElement[bool]]:
    """The conditions of the selection that the database can check."""
    dead = tables.dead_letters.c
    if selection.ids or selection.uuids:
        yield or_(dead.id.in_(selection.ids), dead.event_uuid.in_(selection.uuids))
    if selection.reason is not None:
        yield func.lower(dead.reason).contains(escape(selection.reason).lower(), autoescape=True)
    if selection.project is not None:
        yield _of_project(dead.project, selection.project)
    if selection.older_than is not None:
        yield dead.died_at < epoch_ms() - milliseconds(selection.older_than)
    if selection.newer_than is not None:
        yield dead.died_at >= epoch_ms() - milliseconds(selection.newer_than)


def _of_project(column: ColumnElement[str], project: str) -> ColumnElement[bool]:
    if not project.endswith("…"):
        return column == project
    beginning = project[:-1]
    return func.substr(column, 1, len(beginning)) == beginning
