"""Exposures: `$feature_flag_called` and `$experiment_exposure`, each once across all processes, for a time.

The caller's transaction writes the event and a note of it, each under a unique key: no other transaction can make it
wait or fail. If several transactions wrote the same exposure, the worker sends the first (`hogbox._worker.exposure`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple
from uuid import uuid4

from hogbox._client.capacity import Capacity
from hogbox._client.effect import Flow, Read, Transact, Write
from hogbox._client.outbox import Outbox
from hogbox._client.recorder import Entry, Recorder
from hogbox._events.exposure import (
    EXPERIMENT,
    FlagFacts,
    experiment_id,
    experiment_properties,
    exposure_id,
    exposure_properties,
    is_minimal,
)
from hogbox._events.exposure import (
    EXPOSURE as FLAG_CALLED,
)
from hogbox._events.value import shown
from hogbox._settings.client import REMOTE, ClientSettings
from hogbox._store.exposure import EXPOSURE, NEW_EXPOSURE, ExposureStatements
from hogbox._store.handles.portable import Portable
from hogbox._store.schema.table import Tables
from hogbox.errors import UsageError
from hogbox.flags import FlagValue
from hogbox.flags._person import Person

_SHARED: Final = 32
"""Hexadecimal digits of an exposure's id at the beginning of all its notes; the event's uuid follows."""


class Tracking(NamedTuple):
    """Which reads of values are exposures: those that are decided here, those that PostHog is asked for."""

    local: bool
    remote: bool

    @property
    def any(self) -> bool:
        """Whether some are."""
        return self.local or self.remote


NO_TRACKING: Final = Tracking(local=False, remote=False)


def tracking_of(choice: object) -> Tracking:
    """What a value of `track_exposures` says. Raises UsageError for any other."""
    if isinstance(choice, bool):
        return Tracking(choice, choice)
    if choice == REMOTE:
        return Tracking(local=False, remote=True)
    raise UsageError(f"track_exposures is True, False or 'remote', not {shown(choice)}")


class Exposure(NamedTuple):
    """A person was given a flag's value."""

    person: Person
    key: str
    value: FlagValue
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
        if self._capacity is not None and (yield from self._capacity.look(ctx)) is not None:
            # A full outbox must not fail a read of a flag. No note either: a later read captures the exposure.
            return
        split = facts.attribution
        name = exposure_id(self._project, person.distinct_id, key, value, person.groups, split)
        yield from self._once(
            ctx,
            name,
            lambda: self._recorder.exposure(
                FLAG_CALLED,
                person.distinct_id,
                exposure_properties(key, value, payload, facts),
                person.groups,
                short=is_minimal(facts),
            ),
        )
        if split is None or split.rule_id is None or split.variant_key is None:
            return
        name = experiment_id(self._project, person.distinct_id, key, person.groups, split.rule_id, split.variant_key)
        yield from self._once(
            ctx,
            name,
            lambda: self._recorder.exposure(
                EXPERIMENT, person.distinct_id, experiment_properties(key, value, facts, split), person.groups
            ),
        )

    def _once(self, ctx: Any, name: str, make: Callable[[], Entry | None]) -> Flow[None]:
        """Write an event and a note of it, unless there is a note. What `before_send` discards is noted too: a hook
        that samples would else let every exposure pass in the end."""
        shared = name[:_SHARED]
        ((left, may_write),) = yield Read(ctx, self._read, (shared + "0" * _SHARED, shared + "f" * _SHARED))
        if (left is not None and left > 0) or not may_write:
            return
        entry = make()
        if entry is not None:
            yield Write(ctx, *self._outbox.insert(entry))
        uuid = uuid4().hex if entry is None else entry.uuid.replace("-", "")
        yield Write(ctx, self._write_note, (shared + uuid, self._lifetime))
