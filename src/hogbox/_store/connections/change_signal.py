"""Change signal: tells cheaply whether a database may hold something new."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine

from hogbox._store.connections.session import file_of
from hogbox._store.dialects import backend_of
from hogbox._store.dialects.failure import wrapped


class ChangeSignal:
    """Tells cheaply whether the database may hold something new. Owns one connection; not for several threads."""

    def __init__(self, engine: Engine) -> None:
        self.precise = backend_of(engine.dialect.name).counts_commits
        """Whether `changed` knows. If not, it always says that there may be something."""
        self._engine = engine
        self._cursor: Any = None
        self._connection: Connection | None = None
        self._seen: int | None = None
        self._file: tuple[int, int] | None = None

    def changed(self) -> bool:
        """Whether another connection has committed anything since the last call. Raises SQLAlchemyError."""
        if not self.precise:
            return True
        if self._connection is None or self._file != file_of(self._engine):
            self._open()
        with wrapped(self._engine.dialect):
            (version,) = self._cursor.execute("PRAGMA data_version").fetchone()
        seen, self._seen = self._seen, int(version)
        return seen != self._seen

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            with suppress(Exception):
                self._cursor.close()
            self._connection.close()
            self._connection, self._cursor = None, None

    def _open(self) -> None:
        """Connect; again where the file is another one than before, whose versions count from their own beginning."""
        self.close()
        self._seen = None
        self._connection = self._engine.connect()
        self._cursor = self._connection.connection.cursor()
        self._file = file_of(self._engine)
