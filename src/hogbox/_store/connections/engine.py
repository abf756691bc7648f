"""Engine: opens engines for URLs, and says what an engine offers, whichever database it leads to."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from hogbox._store.connections.fork_gate import gated
from hogbox._store.connections.handshake import connect_in_time
from hogbox._store.connections.session import TRANSACTION, file_of
from hogbox._store.dialects import BACKENDS, backend_of
from hogbox._store.dialects.backend import OWN, Backend, SqliteModes
from hogbox._store.dialects.sqlite import wrapped
from hogbox.errors import ConfigurationError, MissingDependency, TablesMissing

_SYNCHRONOUS: Final = {"asyncpg": "psycopg", "psycopg_async": "psycopg", "aiosqlite": "pysqlite"} | dict.fromkeys(
    ("asyncmy", "aiomysql"), "pymysql"
)
"""The driver of hogbox's own connections where the application's is asynchronous: they are used from threads."""

_ASYNCPG: Final = {"ssl": "sslmode", "database": "dbname"} | {
    name: name
    for name in ("host", "port", "user", "password", "passfile", "service", "target_session_attrs", "options")
}
"""The options of asyncpg that say where to connect to, and as whom, with psycopg's names. All others are its own."""


def open_engine(database_url: str | URL) -> Engine:
    """An engine for this URL; nothing is connected yet. An asynchronous driver is replaced by a synchronous one.

    Raises UnsupportedDatabase for other databases, MissingDependency naming the extra where the driver is not
    installed, ConfigurationError for what is no URL.
    """
    url = _complete(database_url)
    backend = backend_of(url.get_backend_name())
    try:
        engine = create_engine(url, connect_args=backend.connect_arguments(url), pool_pre_ping=backend.pings)
    except ValueError as error:
        raise ConfigurationError(f"an option of the database URL can't be read: {error}") from error
    except NoSuchModuleError as error:
        raise ConfigurationError(
            f"SQLAlchemy knows no driver {url.drivername!r}: leave it at {url.get_backend_name()}://…"
        ) from error
    except ModuleNotFoundError as error:
        extra = backend.extra if url.get_driver_name() == backend.driver else None
        how = f": pip install 'hogbox[{extra}]'" if extra else ""
        raise MissingDependency(f"the driver of {url.drivername} is not installed ({error}){how}") from error
    event.listen(engine, "do_connect", _connect)
    return engine


def _connect(dialect: Dialect, record: Any, arguments: Any, parameters: Any) -> Any:
    """Connect. Raises ConfigurationError where the driver fails at an option of the URL, or at a part of it.

    Drivers raise TypeError, AttributeError, UnicodeError, FileNotFoundError and others there; what they raise for a
    server that does not answer is an error of theirs.
    """
    try:
        return connect_in_time(dialect, record, arguments, parameters)
    except Exception as error:
        if isinstance(error, dialect.loaded_dbapi.Error):
            raise
        raise ConfigurationError(
            f"the driver refuses an option of the database URL: {type(error).__name__}: {error}"
        ) from error


def dialect_of(name: str) -> Dialect:
    """The dialect of this name, without a driver: for SQL that others run. Raises UnsupportedDatabase for others."""
    backend_of(name)
    dialect: Dialect = make_url(f"{name}://").get_dialect()()
    return dialect


def require_supported(engine: Engine) -> None:
    """Raise UnsupportedDatabase where hogbox has no tables for this kind of database, or the engine is no thread's."""
    dialect = engine.dialect
    backend_of(dialect.name)
    if dialect.is_async:
        raise ConfigurationError(
            f"the inner engine of an AsyncEngine works inside of it only: pass the AsyncEngine, or {dialect.name}://…"
        )


def _complete(database_url: str | URL) -> URL:
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError(
            "the database URL can't be read: write sqlite:///app.db, postgresql://user@host/name or "
            "mysql://user@host/name"
        ) from error
    if "@" in (url.host or ""):
        # The error of a name that is not found would show a part of the password.
        raise ConfigurationError("the host of the database URL has an @ in it: write an @ of the password as %40")
    if url.drivername == "postgres":
        url = url.set(drivername="postgresql")
    backend = backend_of(url.get_backend_name())
    if "+" not in url.drivername:
        url = url.set(drivername=f"{url.drivername}+{backend.driver}")
    return _synchronous(url)


def _synchronous(url: URL) -> URL:
    """The same database through a driver that threads can use. ConfigurationError where they would see another one."""
    driver = url.get_driver_name()
    if driver not in _SYNCHRONOUS:
        return url
    if backend_of(url.get_backend_name()).in_memory(url):
        raise ConfigurationError(
            "a database in memory belongs to one connection, and hogbox has others: use a file, sqlite:///app.db"
        )
    if driver == "asyncpg":
        url = url.set(query={_ASYNCPG[name]: value for name, value in url.query.items() if name in _ASYNCPG})
    return url.set(drivername=f"{url.get_backend_name()}+{_SYNCHRONOUS[driver]}")


def _backend(connected: Engine | Connection) -> Backend:
    return BACKENDS[connected.dialect.name]


def require_shared(engine: Engine) -> None:
    """Raise ConfigurationError for a database that only one thread can see, which a worker's threads can't share."""
    if _backend(engine).in_memory(engine.url):
        raise ConfigurationError(
            "a database in memory belongs to one connection, and a worker needs several: use a file, sqlite:///app.db"
        )


def require_file(engine: Engine) -> None:
    """Raise TablesMissing where a SQLite file is not there: connecting would make an empty one."""
    name = _backend(engine).missing_file(engine.url)
    if name is not None:
        raise TablesMissing(f"there is no file {name}: correct HOGBOX_DATABASE_URL, or run `hogbox migrate`")


def autocommit(engine: Engine) -> Engine:
    """The same engine and pool, with every statement committed by itself."""
    if engine.get_execution_options().get(OWN):
        return engine
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def transactional(engine: Engine) -> Engine:
    """The same engine and pool, with real transactions that see what others commit, however the engine was made.

    On SQLite they begin as writers: one that reads first could not become a writer after another has written.
    """
    if engine.get_execution_options().get(OWN):
        return engine.execution_options(**{TRANSACTION: True})
    return engine.execution_options(isolation_level=_backend(engine).isolation)


def shows_writers(engine: Engine) -> bool:
    """Whether the database says which transactions have written to a table and may still commit."""
    return _backend(engine).shows_writers


def most_writers(engine: Engine) -> int:
    """How many threads can write side by side to any use. On SQLite one writes while another is on the network."""
    return _backend(engine).most_writers


def writers_turn(engine: Engine) -> AbstractContextManager[object]:
    """A lock for the writers of one process: SQLite has one writer at a time, and those who wait only poll for it."""
    return _backend(engine).writers_turn()


def can_write_within(engine: Engine, seconds: float) -> bool:
    """Whether a transaction can write to the database within so many seconds.

    On SQLite another transaction may hold the lock on writing, even one of the calling thread, which then waits for
    itself.
    """
    return _backend(engine).can_write_within(engine, seconds)


def migrating(connection: Connection) -> AbstractContextManager[None]:
    """A transaction in which no other process migrates the same database."""
    return _backend(connection).migrating(connection)


def forgettable(connection: Connection) -> AbstractContextManager[None]:
    """Commits that a power failure may undo, for the sake of speed; a crash of the process never does.

    Only SQLite in WAL mode offers them without a risk for the file. For what a worker settles: it would be sent again.
    """
    return _backend(connection).forgettable(connection)


def sqlite_modes(connection: Connection) -> SqliteModes | None:
    """How this connection uses its SQLite file; None on other databases."""
    return _backend(connection).sqlite_modes(connection)


class ChangeSignal:
    """Tells cheaply whether the database may hold something new. Owns one connection; not for several threads."""

    def __init__(self, engine: Engine) -> None:
        self.precise = _backend(engine).counts_commits
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
        with gated(self._engine), wrapped(self._engine.dialect):
            (version,) = self._cursor.execute("PRAGMA data_version").fetchone()
        seen, self._seen = self._seen, int(version)
        return seen != self._seen

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            with gated(self._engine):
                with suppress(Exception):
                    self._cursor.close()
                self._connection.close()
            self._connection, self._cursor = None, None

    def _open(self) -> None:
        """Connect; again where the file is another one than before, whose versions count from their own beginning."""
        self.close()
        self._seen = None
        self._connection = self._engine.connect()
        # Kept open between its uses, it is no reason for a fork to wait.
        self._connection.detach()
        self._cursor = self._connection.connection.cursor()
        self._file = file_of(self._engine)
