"""Exposures: `$feature_flag_called`, once per person, flag, value and groups across all processes, for a time.

The caller's transaction writes the event and a note of it, each under a unique key: no other transaction can make it
wait or fail. If several transactions wrote the same exposure, the worker sends the first (`hogbox._worker.exposure`).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from hogbox._client.capacity import Capacity
from hogbox._client.effect import Flow, Read, Transact, Write
from hogbox._client.outbox import Outbox
from hogbox._client.recorder import Recorder
from hogbox._events.exposure import FlagFacts, exposure_id, exposure_properties, is_minimal
from hogbox._settings.client import ClientSettings
from hogbox._store.exposure import EXPOSURE, NEW_EXPOSURE, ExposureStatements
from hogbox._store.handles.portable import Portable
from hogbox._store.schema.table import Tables
from hogbox.flags._person import Person

_SHARED: Final = 32
"""Hexadecimal digits of an exposure's id at the beginning of all its notes; the event's uuid follows."""


class Exposure(NamedTuple):
    """A person was given a flag's value."""

    person: Person
    key: str
    value: bool | str | None
    payload: Any
    facts: FlagFacts


class Exposures:
    """Notes exposures for one project. Safe to share between threads and across a fork."""

    def __init__(
        self,
        tables: Tables,
        recorder: Recorder,
        outbox: Outbox,
        settings: ClientSettings,
        lifetime: float,
        capacity: Capacity | None = None,
    ) -> None:
        statements = tables.once(ExposureStatements)
        self._recorder = recorder
        self._outbox = outbox
        self._capacity = capacity
        self._project = settings.project_token
        self._lifetime = round(lifetime * 1000)
        self._read = Portable(statements.read_exposure, EXPOSURE)
        self._write_note = Portable(statements.note_exposure, NEW_EXPOSURE)

    def note(self, ctx: Any, exposure: Exposure) -> Flow[None]:
        """Capture the exposure in the caller's transaction, unless there is a note. Raises what `capture` raises."""
        if ctx is None:
            yield Transact(lambda own: self._note(own, exposure))
        else:
            yield from self._note(ctx, exposure)

    def _note(self, ctx: Any, exposure: Exposure) -> Flow[None]:
        person, key, value, payload, facts = exposure
        shared = exposure_id(self._project, person.distinct_id, key, value, person.groups)[:_SHARED]
        if self._capacity is not None and (yield from self._capacity.look(ctx)) is not None:
            # A full outbox must not fail a read of a flag. No note either: a later read captures the exposure.
            return
        ((left, may_write),) = yield Read(ctx, self._read, (shared + "0" * _SHARED, shared + "f" * _SHARED))
        if (left is not None and left > 0) or not may_write:
            return
        properties = exposure_properties(key, value, payload, facts)
        entry = self._recorder.exposure(person.distinct_id, properties, person.groups, short=is_minimal(facts))
        if entry is not None:
            yield Write(ctx, *self._outbox.insert(entry))
            yield Write(ctx, self._write_note, (shared + entry.uuid.replace("-", ""), self._lifetime))
