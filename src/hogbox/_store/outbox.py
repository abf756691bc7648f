"""Event reader: reads the events of some shards, and, where a driver can't read one of them, all others."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, Select
from sqlalchemy.exc import SQLAlchemyError

from hogbox._delivery.batch import Waiting, total_bytes
from hogbox._delivery.portion import Portion
from hogbox._events.event import ANALYTICS, uuid_of
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import autocommit
from hogbox._store.dialects.failure import is_undecodable

_MANY_SHARDS: Final = 12
"""From so many on their events are so close together that reading them along the primary key passes over few others."""

_UNREADABLE: Final = "the row can't be read as text: its payload is kept in hexadecimal"
_UNKNOWN: Final = "unreadable"

_Limits = Mapping[str, Any]
_Read = Select[int, int, str, str, str]


class EventReader:
    """Reads from one outbox. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statements = database.statements
        self._portion: Portion | None = None

    def read(
        self, shards: Collection[int], held: Collection[str], events: int, size: int, skipped: Collection[int] = ()
    ) -> list[Waiting]:
        """The oldest events of these shards, each shard's in order, without those of held projects and the skipped.

        So many events at most, or as soon as they have so many bytes. An event that can't be read has a fault.
        """
        limits = {"held": list(held), "skipped": list(skipped), "events": events, "bytes": size}
        with autocommit(self._database.engine).connect() as connection:
            if self._portion is None:
                average = connection.scalar(self._statements.read_average_size)
                self._portion = Portion(float(average or 0), size)
            try:
                return self._read(connection, shards, limits)
            except (SQLAlchemyError, UnicodeError) as error:
                if not is_undecodable(error):
                    raise
        return self._read_singly(shards, limits)

    def read_one(self, event: int, shard: int = 0) -> Waiting | None:
        """One event, by its id, of this shard, whatever is wrong with it; None where it is gone."""
        try:
            with autocommit(self._database.engine).connect() as connection:
                row = connection.execute(self._statements.read_event, {"event": event}).first()
        except (SQLAlchemyError, UnicodeError) as error:
            if not is_undecodable(error):
                raise
            return Waiting(event, shard, _UNKNOWN, ANALYTICS, "", "", _UNREADABLE)
        return None if row is None else _waiting(row)

    def _read(self, connection: Connection, shards: Collection[int], limits: _Limits) -> list[Waiting]:
        if len(shards) >= _MANY_SHARDS:
            return self._run(connection, self._statements.read_events, limits, [*shards])
        found: list[Waiting] = []
        events, size = limits["events"], limits["bytes"]
        for shard in shards:
            if events <= 0 or size <= 0:
                break
            room = {**limits, "events": events, "bytes": size}
            read = self._run(connection, self._statements.read_shard_events, room, shard)
            found += read
            events, size = events - len(read), size - total_bytes(read)
        return found

    def _run(self, connection: Connection, statement: _Read, limits: _Limits, wanted: object) -> list[Waiting]:
        portion = self._portion or Portion(0, limits["bytes"])
        asked = portion.ask(limits["events"])
        rows = connection.execute(statement, {**limits, "wanted": wanted, "events": asked}).all()
        read = [_waiting(row) for row in rows]
        portion.note(asked, len(read), cut=total_bytes(read) >= limits["bytes"])
        return read

    def _read_singly(self, shards: Collection[int], limits: _Limits) -> list[Waiting]:
        """The same, one after the other: which events they are is still read in one statement."""
        wanted = {name: limits[name] for name in ("held", "skipped", "events")} | {"wanted": [*shards]}
        with autocommit(self._database.engine).connect() as connection:
            rows = connection.execute(self._statements.read_ids, wanted).all()
        found: list[Waiting] = []
        size = limits["bytes"]
        for event, shard in rows:
            if size <= 0:
                break
            if (row := self.read_one(event, shard)) is not None:
                found.append(row)
                size -= total_bytes([row])
        return found


def _waiting(row: Row[Any, Any, Any, Any, Any]) -> Waiting:
    """SQLite keeps values of any type in any column."""
    event, shard, project, lane, payload = row
    if isinstance(payload, str) and isinstance(project, str) and isinstance(lane, str):
        return Waiting(event, shard, project, lane, payload, uuid_of(payload))
    known = project if isinstance(project, str) else _UNKNOWN
    return Waiting(event, shard, known, ANALYTICS, "", "", _UNREADABLE)
