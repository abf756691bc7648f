"""Exposures: `$feature_flag_called`, once per person, flag, answer and groups in the whole fleet, for a time.

The note of an exposure and its event are written in one transaction, the caller's: both are kept, or neither.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hogbox._client.local_flags import Person
from hogbox._client.outbox import Outbox
from hogbox._client.recorder import Recorder
from hogbox._client.room import Room
from hogbox._client.step import Plan, Read, Transact, Write
from hogbox._events.exposure import FlagFacts, exposure_id, exposure_properties, is_minimal
from hogbox._store.flag_statement import EXPOSURE, NEW_EXPOSURE, RENEWED_EXPOSURE, FlagStatements
from hogbox._store.portable import Portable
from hogbox._store.table import Tables
from hogbox.settings import Settings


class Exposure(NamedTuple):
    """That a person was given a flag's value."""

    person: Person
    key: str
    value: bool | str | None
    payload: Any
    facts: FlagFacts


class Exposures:
    """Notes exposures for one project. Safe to share between threads and across a fork."""

    def __init__(
        self, tables: Tables, recorder: Recorder, outbox: Outbox, settings: Settings, room: Room | None = None
    ) -> None:
        statements = FlagStatements(tables)
        self._recorder = recorder
        self._outbox = outbox
        self._room = room
        self._project = settings.project_token
        self._lifetime = round(settings.exposure_seconds * 1000)
        self._known = Portable(statements.read_exposure, EXPOSURE)
        self._insert = Portable(statements.insert_exposure, NEW_EXPOSURE)
        self._renew = Portable(statements.renew_exposure, RENEWED_EXPOSURE)

    def note(self, ctx: Any, exposure: Exposure) -> Plan[None]:
        """Capture the exposure in the caller's transaction, unless it is known. Raises what `capture` raises."""
        if ctx is None:
            yield Transact(lambda own: self._note(own, exposure))
        else:
            yield from self._note(ctx, exposure)

    def _note(self, ctx: Any, exposure: Exposure) -> Plan[None]:
        person, key, value, payload, facts = exposure
        name = exposure_id(self._project, person.distinct_id, key, value, person.groups)
        if self._room is not None and (yield from self._room.look(ctx)) is not None:
            # A read of a flag must not fail for it. No note either: the exposure is captured when there is room.
            return
        if not (yield from self._is_new(ctx, name)):
            return
        properties = exposure_properties(key, value, payload, facts)
        entry = self._recorder.exposure(person.distinct_id, properties, person.groups, short=is_minimal(facts))
        if entry is not None:
            yield Write(ctx, *self._outbox.insert(entry))

    def _is_new(self, ctx: Any, name: str) -> Plan[bool]:
        """Whether this transaction is the one that notes the exposure.

        Most are known: those take a small read, and no lock. A transaction that notes the same exposure at the same
        time waits for the end of the first.
        """
        rows = yield Read(ctx, self._known, (name,))
        if not rows:
            return bool((yield Write(ctx, self._insert, (name, self._lifetime))) == 1)
        # Never an UPDATE after an INSERT in vain: on MariaDB and MySQL two that do both would be a deadlock.
        return rows[0][0] <= 0 and bool((yield Write(ctx, self._renew, (self._lifetime, name))) == 1)
