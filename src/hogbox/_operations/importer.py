"""Importer: writes the events of a file of JSON lines into the outbox, in portions, and goes on where it was cut off.

    check every line, and take the file's digest -> how far did an earlier run come? -> portion after portion:
    events and position in one transaction

The memory that it takes does not grow with the file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from hogbox._encryption import Cipher
from hogbox._events.builder import library_properties
from hogbox._events.event import Row
from hogbox._events.historical import derived_uuid, read_row, without_mark
from hogbox._events.limit import MAX_STORED_BYTES
from hogbox._store.connections.database import Database
from hogbox._store.importing import ImportStore
from hogbox._wire.library import VERSION
from hogbox.errors import InvalidEvent

PORTION_EVENTS: Final = 1000
PORTION_BYTES: Final = 4 * 1024 * 1024
_LONGEST_LINE: Final = MAX_STORED_BYTES
_NOBODY: Final = "00000000-0000-0000-0000-000000000000"

Progress = Callable[[int], None]
"""Told how many bytes of the file are done."""


class Checked(NamedTuple):
    """A file without a mistake."""

    digest: str
    events: int
    size: int


class Imported(NamedTuple):
    """What an import did: events written by this run, and by earlier ones."""

    events: int
    before: int


class Line(NamedTuple):
    """A line that is not blank. `start` and `end` are positions in bytes; the number counts from 1."""

    number: int
    start: int
    end: int
    text: bytes


def check(path: Path, progress: Progress) -> Checked:
    """Read the whole file and check every line. Raises InvalidEvent, with the number of the first bad line."""
    digest, events, size = hashlib.sha256(), 0, 0
    own = own_properties()
    with path.open("rb") as file:
        for line in read_lines(file, digest.update):
            if line.text:
                _row(line, "", _NOBODY, own)
                events += 1
            size = line.end
            if line.number % PORTION_EVENTS == 0:
                progress(size)
    progress(size)
    return Checked(digest.hexdigest(), events, size)


class Importer:
    """Imports into one project's events."""

    def __init__(self, database: Database, project: str) -> None:
        self._store = ImportStore(database)
        self._project = project
        self._own = own_properties()
        self._cipher = Cipher.load(os.environ)
        database.check()

    def run(self, path: Path, checked: Checked, progress: Progress) -> Imported:
        """Write what is not written yet of a file that was checked. Committed in portions.

        Raises ImportUnderWay, TablesError, or what the database raises; run again, it goes on.
        """
        identifier = hashlib.sha256(f"{self._project}\n{checked.digest}".encode()).hexdigest()
        position, before = self._store.begin(identifier, path.name)
        progress(position)
        written = 0
        with path.open("rb") as file:
            file.seek(position)
            rows = (
                (self._file_row(line, checked.digest) if line.text else None, line.end)
                for line in read_lines(file, start=position)
            )
            for portion, end in portions(rows):
                self._store.write(portion, identifier, position, end)
                position, written = end, written + len(portion)
                progress(position)
        return Imported(written, before)

    def run_stream(self, file: IO[bytes], progress: Progress) -> Imported:
        """Write what a stream gives, checked line by line. A second run begins anew, with the same uuids.

        Raises InvalidEvent for a bad line, with the number of events that were written before it.
        """
        digest, written = hashlib.sha256(), 0

        def rows() -> Iterator[tuple[Row | None, int]]:
            for line in read_lines(file, digest.update):
                yield (self._file_row(line, digest.hexdigest()) if line.text else None), line.end

        try:
            for portion, end in portions(rows()):
                if portion:
                    self._store.write_alone(portion)
                written += len(portion)
                progress(end)
        except InvalidEvent as error:
            raise InvalidEvent(f"{error} ({written} events before it are written already)") from error
        return Imported(written, 0)

    def _file_row(self, line: Line, digest: str) -> Row:
        row = _row(line, self._project, derived_uuid(self._project, digest, line.start), self._own)
        return row._replace(payload=self._cipher.seal(row.payload, row))


def own_properties() -> dict[str, Any]:
    """What imported events say of their sender, unless their line says other: nothing of this machine."""
    return {**library_properties(VERSION), "$geoip_disable": True}


def portions(rows: Iterable[tuple[Row | None, int]]) -> Iterator[tuple[list[Row], int]]:
    """The rows in portions of at most so many events, and about so many bytes, each with the position after it."""
    portion: list[Row] = []
    size = end = 0
    for row, end in rows:
        if row is not None:
            portion.append(row)
            size += len(row.payload)
        if len(portion) >= PORTION_EVENTS or size >= PORTION_BYTES:
            yield portion, end
            portion, size = [], 0
    if portion:
        yield portion, end


def read_lines(file: IO[bytes], also: Callable[[bytes], object] | None = None, start: int = 0) -> Iterator[Line]:
    """The lines from here on, blank ones with an empty text; `also` is told their bytes as they are.

    Raises InvalidEvent for a line that is too long for one event.
    """
    number = 0
    while text := file.readline(_LONGEST_LINE + 1):
        number += 1
        if len(text) > _LONGEST_LINE:
            raise InvalidEvent(f"line {number} is longer than {_LONGEST_LINE:,} bytes")
        if also is not None:
            also(text)
        end = start + len(text)
        yield Line(number, start, end, (without_mark(text) if start == 0 else text).strip())
        start = end


def _row(line: Line, project: str, uuid: str, own: dict[str, Any]) -> Row:
    try:
        return read_row(line.text, project, uuid, own)
    except InvalidEvent as error:
        raise InvalidEvent(f"line {line.number}: {error}") from error
