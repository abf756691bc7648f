"""Exposures: `$feature_flag_called`, once per person, flag, answer and groups in the whole fleet, for a time.

The note of an exposure and its event are written in one transaction, the caller's: both are kept, or neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hogbox._events.exposure import FlagFacts, exposure_id, exposure_properties, is_minimal
from hogbox._store.database import Database
from hogbox._store.flag_statement import EXPOSURE, NEW_EXPOSURE, RENEWED_EXPOSURE, FlagStatements
from hogbox._store.handle import Portable, Writer
from hogbox.local_flags import Person
from hogbox.recorder import Entry, Recorder
from hogbox.settings import Settings

Insert = Callable[[Any, Entry], None]
"""Writes an entry in a handle's transaction."""


class Exposures:
    """Notes exposures for one project. Safe to share between threads and across a fork."""

    def __init__(
        self, database: Database, writer: Writer, recorder: Recorder, settings: Settings, insert: Insert
    ) -> None:
        statements = FlagStatements(database.tables)
        self._database = database
        self._writer = writer
        self._recorder = recorder
        self._insert_entry = insert
        self._project = settings.project_token
        self._lifetime = round(settings.exposure_seconds * 1000)
        self._known = Portable(statements.read_exposure, EXPOSURE)
        self._insert = Portable(statements.insert_exposure, NEW_EXPOSURE)
        self._renew = Portable(statements.renew_exposure, RENEWED_EXPOSURE)

    def note(
        self, ctx: Any, person: Person, key: str, value: bool | str | None, payload: Any, facts: FlagFacts
    ) -> None:
        """Capture the exposure in the caller's transaction, unless it is known. Raises what `capture` raises."""
        if ctx is None:
            with self._database.begin() as connection:
                self._note(connection, person, key, value, payload, facts)
        else:
            self._note(ctx, person, key, value, payload, facts)

    def _note(
        self, handle: Any, person: Person, key: str, value: bool | str | None, payload: Any, facts: FlagFacts
    ) -> None:
        name = exposure_id(self._project, person.distinct_id, key, value, person.groups)
        if not self._is_new(handle, name):
            return
        properties = exposure_properties(key, value, payload, facts)
        entry = self._recorder.exposure(person.distinct_id, properties, person.groups, short=is_minimal(facts))
        if entry is not None:
            self._insert_entry(handle, entry)

    def _is_new(self, handle: Any, name: str) -> bool:
        """Whether this transaction is the one that notes the exposure.

        Most are known: those take a small read, and no lock. A transaction that notes the same exposure at the same
        time waits for the end of the first.
        """
        rows = self._writer.read(handle, self._known, (name,))
        if not rows:
            return self._writer.write(handle, self._insert, (name, self._lifetime)) == 1
        # Never an UPDATE after an INSERT in vain: on MariaDB and MySQL two that do both would be a deadlock.
        return rows[0][0] <= 0 and self._writer.write(handle, self._renew, (self._lifetime, name)) == 1
