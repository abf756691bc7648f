"""Outbox: the statement that writes an entry, as a waiting event or as a dead letter."""

from __future__ import annotations

from typing import Any

from hogbox._client.recorder import Entry
from hogbox._encryption import Cipher
from hogbox._events.escape import escape
from hogbox._store.capture import DEAD_LETTER_VALUES, EVENT_VALUES, CaptureStatements
from hogbox._store.handles.portable import Portable
from hogbox._store.schema.table import Tables


class Outbox:
    """Writes entries into one set of tables. Payloads are encrypted and escaped here, right before the INSERT."""

    def __init__(self, tables: Tables, cipher: Cipher) -> None:
        statements = tables.once(CaptureStatements)
        self._cipher = cipher
        self._encrypts = cipher.has_keys
        self._insert_event = Portable(statements.insert_event, EVENT_VALUES)
        self._insert_dead_letter = Portable(statements.insert_dead_letter, DEAD_LETTER_VALUES)

    def insert(self, entry: Entry) -> tuple[Portable, tuple[Any, ...]]:
        """The statement and its values."""
        row = entry.row
        if self._encrypts or not row.payload.isascii():
            row = row._replace(payload=self._cipher.seal(row.payload, row))
        if entry.reason is None:
            return self._insert_event, row
        return self._insert_dead_letter, (*row, entry.uuid, escape(entry.reason))
