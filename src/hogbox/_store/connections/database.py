"""hogbox's own access to the database: an engine, opened once, safe to keep across a fork."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

from sqlalchemy import URL, Connection, Engine, UpdateBase, event, func, select
from sqlalchemy.exc import DBAPIError

from hogbox._events.escape import escape
from hogbox._store.connections.address import address_of
from hogbox._store.connections.engine import (
    autocommit,
    forgettable,
    open_engine,
    require_supported,
    transactional,
    writers_turn,
)
from hogbox._store.connections.fork_gate import ForkGate, put_behind
from hogbox._store.connections.guard import ConnectionGuard
from hogbox._store.connections.session import own_engine
from hogbox._store.dialects.failure import explain, is_conflict
from hogbox._store.dialects.sqlite_lock import await_reader, begin_patiently, explain_lock
from hogbox._store.schema.table import SCHEMA_VERSION, Tables
from hogbox.errors import ConfigurationError, TablesMissing, TablesNewer, TablesOutdated

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

log = logging.getLogger("hogbox")

_LONGEST_REASON: Final = 2000
T = TypeVar("T")

_ASYNC_ENGINE: Final = "sqlalchemy.ext.asyncio.engine.AsyncEngine"


class Database:
    """The engine and the tables. Connects when it is first used."""

    def __init__(self, source: Engine | AsyncEngine | str | None, prefix: str) -> None:
        self.tables = Tables(prefix)
        address = source if isinstance(source, str) else _address(source)
        engine = source if address is None else open_engine(address)
        if isinstance(engine, Engine):
            require_supported(engine)
        elif engine is not None:
            raise ConfigurationError(f"the database must be a URL or a SQLAlchemy Engine, not {type(source).__name__}")
        self.guard = ConnectionGuard()
        """What ends connections on which nothing is answered; a worker says how long it waits."""
        self.gate = ForkGate()
        """What keeps other threads out of hogbox's own connections while one forks."""
        self._source = engine
        self._own: Engine | None = None
        self._opening = threading.Lock()
        self._process = os.getpid()
        self._checked = False
        _leave_at_fork(weakref.ref(self))

    @property
    def engine(self) -> Engine:
        """The engine, with connections of hogbox's own and of this process only.

        Raises ConfigurationError where there is no database.
        """
        if self._source is None:
            raise ConfigurationError(
                "no database: pass a URL such as sqlite:///app.db or a SQLAlchemy Engine, or set HOGBOX_DATABASE_URL"
            )
        self.leave_to_parent()
        return self._own or self._open(self._source)

    def _open(self, source: Engine) -> Engine:
        """Not before it is needed: until then the application may still add listeners to its engine."""
        with self._opening:
            if self._own is None:
                self._own = own_engine(source, self.guard)
                if self._own is not source:
                    put_behind(self.gate, self._own)
                    event.listen(self._own, "handle_error", explain_lock)
                    # Of a client that is thrown away without a word: drivers warn of connections left open.
                    weakref.finalize(self, self._own.dispose).atexit = False
            return self._own

    def leave_to_parent(self) -> None:
        """After a fork the pooled sockets belong to the parent: leave them to it, so that others are opened here."""
        if self._process == os.getpid():
            return
        self._process = os.getpid()
        self._opening = threading.Lock()
        self.guard.reset()
        self.gate.reset()
        for engine in {self._source, self._own} - {None}:
            engine.dispose(close=False)  # type: ignore[union-attr]

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction of hogbox's own, committed at the end. Raises TablesError where the tables can't be used."""
        self.check()
        with transactional(self.engine).connect() as connection, begin_patiently(connection):
            yield connection

    def await_writer(self) -> None:
        """Wait until this process can write. Raises what `begin` raises.

        On SQLite a transaction of the calling thread may keep it from that: better said before anything is done.
        """
        self.check()
        if self.engine.dialect.name == "sqlite":
            with self.begin():
                pass

    def await_reader(self, timeout: float | None) -> float | None:
        """Wait until this process can read, so many seconds at most; the seconds that are left then.

        Raises OperationalError where it can't read by then.
        """
        return timeout if timeout is None else await_reader(self.engine, timeout)

    def check(self) -> None:
        """Raise TablesMissing, TablesOutdated or TablesNewer unless the tables are those of this version.

        Newer ones will do where the migration that made them says so.
        """
        if self._checked:
            return
        with self.engine.connect() as connection:
            version = read_version(connection, self.tables)
            usable = version is not None and can_use(connection, self.tables, version)
        if version is None:
            raise TablesMissing()
        if version < SCHEMA_VERSION:
            raise TablesOutdated()
        if not usable:
            raise TablesNewer()
        self._checked = True

    def close(self) -> None:
        """Close the pooled connections of hogbox's own."""
        if self._own is not None and self._own is not self._source:
            with self.gate.passing():
                self.engine.dispose()


class WorkerStore:
    """Runs the statements of one worker, `worker`. Safe to use from several threads."""

    def __init__(self, database: Database, worker: str) -> None:
        self._database = database
        self._worker = worker
        self._turn = writers_turn(database.engine)

    def _connect(self) -> Connection:
        return autocommit(self._database.engine).connect()

    def _run(self, statement: UpdateBase, values: Mapping[str, object]) -> int:
        """Run one statement, committed by itself; the number of rows that it changed."""

        def run() -> int:
            with self._turn, self._connect() as connection, forgettable(connection):
                # Committed in words too: an application's engine may begin transactions whatever its isolation level.
                with connection.begin():
                    return connection.execute(statement, values).rowcount

        return again_after_conflict(run)


def again_after_conflict(run: Callable[[], T]) -> T:
    """Run a whole transaction of hogbox's own; once more, at once, where it was undone in favour of another one."""
    try:
        return run()
    except DBAPIError as error:
        if not is_conflict(error):
            raise
    return run()


def storable(text: str) -> str:
    """What a server or a library said, as every database takes it: of bounded length, without NUL, in ASCII."""
    return escape(text[:_LONGEST_REASON].replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _address(source: object) -> URL | None:
    """Where an asynchronous engine connects to. hogbox's own connections are synchronous, and used from threads."""
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(source).__mro__)
    return address_of(source) if _ASYNC_ENGINE in names else None


def _leave_at_fork(database: weakref.ref[Database]) -> None:
    """Fork while no thread uses hogbox's connections, and have a child leave the sockets at once.

    Its application may use its engine there before hogbox does.
    """

    def close() -> None:
        if (kept := database()) is not None and not kept.gate.close():
            log.warning(
                "a process is forked while a thread uses hogbox's connections: SQLite may be locked in the child"
            )

    def reopen() -> None:
        if (kept := database()) is not None:
            kept.gate.open()

    def leave() -> None:
        if (kept := database()) is not None:
            kept.leave_to_parent()

    os.register_at_fork(before=close, after_in_parent=reopen, after_in_child=leave)


def read_version(connection: Connection, tables: Tables) -> int | None:
    """The number of the newest migration applied, or None where there are no tables."""
    try:
        version: int | None = connection.scalar(select(func.max(tables.schema.c.version)))
    except Exception as error:
        connection.rollback()
        if isinstance(explain(error), TablesMissing):
            return None
        raise
    return version


def can_use(connection: Connection, tables: Tables, version: int) -> bool:
    """Whether this hogbox can work with tables of this version: its own, or newer ones that are compatible with it."""
    if version <= SCHEMA_VERSION:
        return version == SCHEMA_VERSION
    schema = tables.schema.c
    oldest = connection.scalar(select(schema.oldest_compatible).where(schema.version == version))
    return oldest is not None and oldest <= SCHEMA_VERSION
