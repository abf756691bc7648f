"""What differs by database: SQLite, PostgreSQL, MariaDB and MySQL. No other module asks which one it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Delete,
    Engine,
    Insert,
    Integer,
    Select,
    Table,
    Text,
    create_engine,
    delete,
    event,
)
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from hogbox._store.connections.session import OWN, TRANSACTION, file_of
from hogbox._store.dialects.failure import code, origin
from hogbox.errors import (
    ConfigurationError,
    HogboxError,
    MissingDependency,
    TablesError,
    TablesMissing,
    TablesOutdated,
    UnsupportedDatabase,
)

DRIVERS: Final = {"sqlite": "pysqlite", "postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}
"""The driver for a URL that names none."""

SYNCHRONOUS: Final = {"asyncpg": "psycopg", "psycopg_async": "psycopg", "aiosqlite": "pysqlite"} | dict.fromkeys(
    ("asyncmy", "aiomysql"), "pymysql"
)
"""The driver of hogbox's own connections where the application's is asynchronous: they are used from threads."""

_ASYNCPG: Final = {"ssl": "sslmode", "database": "dbname"} | {
    name: name
    for name in ("host", "port", "user", "password", "passfile", "service", "target_session_attrs", "options")
}
"""The options of asyncpg that say where to connect to, and as whom, with psycopg's names. All others are its own."""

EXTRAS: Final = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}

SUPPORTED: Final = "SQLite, PostgreSQL, MariaDB and MySQL"

_LOCK_NAME: Final = "hogbox-migrate"
_LOCK_NUMBER: Final = 0x686F67626F78
_LOCK_SECONDS: Final = 2
_LOCK_WAIT: Final = 1205
_MIGRATED_BESIDE: Final = (1050, 1060, 1061, 1062, 1213, 1684)
"""MariaDB and MySQL: what a migration meets where a lock does not reach, on another node of a cluster."""

_SYNCHRONOUS_NORMAL: Final = 1
_LONGEST_LOCK: Final = 1_000_000.0
_CONNECT_SECONDS: Final = 10


class epoch_ms(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it is
    """Now, by the database's clock, in milliseconds since 1970 UTC."""

    type = BigInteger()
    inherit_cache = True


class octets(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it is
    """The size of a text in bytes."""

    type = Integer()
    inherit_cache = True


class used_bytes(FunctionElement[int]):  # noqa: N801 - reads as the SQL function that it is
    """The bytes that a SQLite database uses: its file without the pages that new rows will fill. NULL elsewhere."""

    type = BigInteger()
    inherit_cache = True


class hexadecimal(FunctionElement[str]):  # noqa: N801 - reads as the SQL function that it is
    """The bytes of a value, in hexadecimal, whatever they are."""

    type = Text()
    inherit_cache = True


class with_marks(FunctionElement[bool]):  # noqa: N801 - reads as the condition that it is
    """A condition where there are marks, on PostgreSQL; true elsewhere."""

    type = Boolean()
    inherit_cache = True


class LongText(Text):
    """Text of any length: MySQL's and MariaDB's TEXT ends at 64 KiB."""


@compiles(LongText)
def _long_text(_: LongText, compiler: Any, **_options: Any) -> str:
    return str(compiler.visit_TEXT(Text()))


@compiles(LongText, "mysql")
@compiles(LongText, "mariadb")
def _long_text_mysql(_: LongText, _compiler: Any, **_options: Any) -> str:
    return "LONGTEXT"


class table_exists(FunctionElement[bool]):  # noqa: N801 - reads as the SQL function that it is
    """Whether statements would find a table of this name. It fails no transaction, as they would where there is none.

    The name is a text in SQL, of a table that needs no quotes.
    """

    type = Boolean()
    inherit_cache = True


class serializable(FunctionElement[bool]):  # noqa: N801 - reads as the SQL function that it is
    """Whether a read in this transaction locks what it reads, or may make it fail because another one writes there."""

    type = Boolean()
    inherit_cache = True


class writable(FunctionElement[bool]):  # noqa: N801 - reads as the SQL function that it is
    """Whether this transaction may write; on PostgreSQL one that may not is ended by the attempt. True elsewhere."""

    type = Boolean()
    inherit_cache = True


@compiles(serializable)
def _serializable(_: serializable, _compiler: SQLCompiler, **_options: Any) -> str:
    return "(1 = 0)"


@compiles(serializable, "postgresql")
def _serializable_postgresql(_: serializable, _compiler: SQLCompiler, **_options: Any) -> str:
    return "(current_setting('transaction_isolation') = 'serializable')"


@compiles(serializable, "mysql")
@compiles(serializable, "mariadb")
def _serializable_mysql(_: serializable, _compiler: SQLCompiler, **_options: Any) -> str:
    # Each server reads the comment that is its own: MariaDB leaves out those of MySQL 5.7.
    return "(/*!50720 @@transaction_isolation*//*M! @@tx_isolation*/ = 'SERIALIZABLE')"


@compiles(writable)
def _writable(_: writable, _compiler: SQLCompiler, **_options: Any) -> str:
    return "(1 = 1)"


@compiles(writable, "postgresql")
def _writable_postgresql(_: writable, _compiler: SQLCompiler, **_options: Any) -> str:
    return "(current_setting('transaction_read_only') = 'off')"


@compiles(epoch_ms, "sqlite")
def _epoch_ms_sqlite(_: epoch_ms, _compiler: SQLCompiler, **_options: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@compiles(epoch_ms, "postgresql")
def _epoch_ms_postgresql(_: epoch_ms, _compiler: SQLCompiler, **_options: Any) -> str:
    # Not clock_timestamp(): it may change within a statement, so that no index can be searched with it. Not now():
    # it stands still for a whole transaction.
    return "CAST(extract(epoch from statement_timestamp()) * 1000 AS BIGINT)"


@compiles(epoch_ms, "mysql")
@compiles(epoch_ms, "mariadb")
def _epoch_ms_mysql(_: epoch_ms, _compiler: SQLCompiler, **_options: Any) -> str:
    # Not UNIX_TIMESTAMP(): it reads the session's local time, which repeats an hour every autumn.
    return "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000)"


@compiles(octets)
def _octets(element: octets, compiler: SQLCompiler, **kw: Any) -> str:
    return f"OCTET_LENGTH({compiler.process(element.clauses, **kw)})"


@compiles(octets, "sqlite")
def _octets_sqlite(element: octets, compiler: SQLCompiler, **kw: Any) -> str:
    return f"length(CAST({compiler.process(element.clauses, **kw)} AS BLOB))"


@compiles(used_bytes)
def _used_bytes(_: used_bytes, _compiler: SQLCompiler, **_options: Any) -> str:
    return "NULL"


@compiles(used_bytes, "sqlite")
def _used_bytes_sqlite(_: used_bytes, _compiler: SQLCompiler, **_options: Any) -> str:
    pages = "pragma_page_count AS c, pragma_freelist_count AS f, pragma_page_size AS s"
    return f"(SELECT (c.page_count - f.freelist_count) * s.page_size FROM {pages})"  # noqa: S608 - fixed names


@compiles(hexadecimal)
def _hexadecimal(element: hexadecimal, compiler: SQLCompiler, **kw: Any) -> str:
    return f"hex({compiler.process(element.clauses, **kw)})"


@compiles(hexadecimal, "postgresql")
def _hexadecimal_postgresql(element: hexadecimal, compiler: SQLCompiler, **kw: Any) -> str:
    return f"encode(convert_to({compiler.process(element.clauses, **kw)}, 'SQL_ASCII'), 'hex')"


@compiles(with_marks)
def _with_marks(_: with_marks, _compiler: SQLCompiler, **_options: Any) -> str:
    return "1 = 1"


@compiles(with_marks, "postgresql")
def _with_marks_postgresql(element: with_marks, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)


@compiles(table_exists, "sqlite")
def _table_exists_sqlite(element: table_exists, compiler: SQLCompiler, **kw: Any) -> str:
    name = compiler.process(element.clauses, **kw)
    return f"EXISTS (SELECT 1 FROM pragma_table_info({name}))"  # noqa: S608 - the name is SQL


@compiles(table_exists, "postgresql")
def _table_exists_postgresql(element: table_exists, compiler: SQLCompiler, **kw: Any) -> str:
    return f"(to_regclass({compiler.process(element.clauses, **kw)}) IS NOT NULL)"


@compiles(table_exists, "mysql")
@compiles(table_exists, "mariadb")
def _table_exists_mysql(element: table_exists, compiler: SQLCompiler, **kw: Any) -> str:
    name = compiler.process(element.clauses, **kw)
    here = f"table_schema = DATABASE() AND table_name = {name}"
    return f"EXISTS (SELECT 1 FROM information_schema.tables WHERE {here})"  # noqa: S608 - the name is SQL


@dataclass(frozen=True, slots=True)
class ByDialect:
    """A statement that is written differently for each dialect: `statement["sqlite"]`.

    Written only when it is asked for: importing all dialects takes longer than all of hogbox.
    """

    write: Callable[[str], Insert]

    def __getitem__(self, dialect: str) -> Insert:
        return self.write(dialect)


def upsert(table: Table, values: Mapping[str, Any], changes: Mapping[str, Any]) -> ByDialect:
    """INSERT the values, or, where there is a row with their primary key, make the changes to it.

    Changes may use the columns of the row that is there; MySQL and MariaDB make them in the order given, so that one
    sees what those before it have made.
    """

    def write(dialect: str) -> Insert:
        new = _insert_of(dialect)(table).values(values)
        if dialect in ("mysql", "mariadb"):
            return new.on_duplicate_key_update([*changes.items()])  # type: ignore[no-any-return]
        return new.on_conflict_do_update(index_elements=[*table.primary_key.columns], set_=changes)  # type: ignore[no-any-return]

    return ByDialect(write)


def insert_new(table: Table, values: Mapping[str, Any]) -> ByDialect:
    """INSERT the values, or do nothing where there is a row with their primary key; the rows counted say which.

    Nothing fails where there is one: a failing statement would end the caller's transaction on PostgreSQL.
    """

    def write(dialect: str) -> Insert:
        new = _insert_of(dialect)(table).values(values)
        if dialect in ("mysql", "mariadb"):
            return new.prefix_with("IGNORE")  # type: ignore[no-any-return]
        return new.on_conflict_do_nothing()  # type: ignore[no-any-return]

    return ByDialect(write)


def copy_rows(
    table: Table, names: Sequence[str], rows: Select[*tuple[Any, ...]], *, replace: Sequence[str]
) -> ByDialect:
    """INSERT the rows of a SELECT; where there is a row with their primary key, replace these columns of it.

    The SELECT has a WHERE: SQLite could not tell what ON CONFLICT belongs to otherwise.
    """

    def write(dialect: str) -> Insert:
        new = _insert_of(dialect)(table).from_select([*names], rows)
        if dialect in ("mysql", "mariadb"):
            return new.on_duplicate_key_update([(name, new.inserted[name]) for name in replace])  # type: ignore[no-any-return]
        changes = {name: new.excluded[name] for name in replace}
        return new.on_conflict_do_update(index_elements=[*table.primary_key.columns], set_=changes)  # type: ignore[no-any-return]

    return ByDialect(write)


def _insert_of(dialect: str) -> Callable[[Table], Any]:
    """INSERT with what this dialect adds to it."""
    package = "mysql" if dialect == "mariadb" else dialect
    return import_module(f"sqlalchemy.dialects.{package}").insert  # type: ignore[no-any-return]


def open_engine(database_url: str | URL) -> Engine:
    """An engine for this URL; nothing is connected yet. An asynchronous driver is replaced by a synchronous one.

    Raises UnsupportedDatabase for other databases, MissingDependency naming the extra where the driver is not
    installed, ConfigurationError for what is no URL.
    """
    url = _complete(database_url)
    backend = url.get_backend_name()
    arguments: dict[str, Any] = {"timeout": 30} if backend == "sqlite" else {}
    if "connect_timeout" not in url.query and url.get_driver_name() in ("psycopg", "psycopg2", "pymysql", "mysqldb"):
        arguments["connect_timeout"] = _CONNECT_SECONDS
    if "client_encoding" not in url.query and url.drivername in ("postgresql+psycopg", "postgresql+psycopg2"):
        # In a database without an encoding, SQL_ASCII, psycopg reads bytes in the place of text otherwise.
        arguments["client_encoding"] = "utf8"
    try:
        engine = create_engine(url, connect_args=arguments, pool_pre_ping=backend != "sqlite")
    except ValueError as error:
        raise ConfigurationError(f"an option of the database URL can't be read: {error}") from error
    except NoSuchModuleError as error:
        raise ConfigurationError(f"SQLAlchemy knows no driver {url.drivername!r}: leave it at {backend}://…") from error
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(backend) if url.get_driver_name() == DRIVERS[backend] else None
        how = f": pip install 'hogbox[{extra}]'" if extra else ""
        raise MissingDependency(f"the driver of {url.drivername} is not installed ({error}){how}") from error
    event.listen(engine, "do_connect", _connect)
    return engine


def _connect(dialect: Dialect, _record: object, arguments: Any, parameters: Any) -> Any:
    """Connect. Raises ConfigurationError for options of a URL that the driver does not know."""
    try:
        return dialect.connect(*arguments, **parameters)
    except TypeError as error:
        raise ConfigurationError(f"the driver refuses an option of the database URL: {error}") from error


def dialect_of(name: str) -> Dialect:
    """The dialect of this name, without a driver: for SQL that others run. Raises UnsupportedDatabase for others."""
    _require_known(name)
    dialect: Dialect = make_url(f"{name}://").get_dialect()()
    return dialect


def require_supported(engine: Engine) -> None:
    """Raise UnsupportedDatabase where hogbox has no tables for this kind of database, or the engine is no thread's."""
    dialect = engine.dialect
    _require_known(dialect.name)
    if dialect.is_async:
        raise ConfigurationError(
            f"the inner engine of an AsyncEngine works inside of it only: pass the AsyncEngine, or {dialect.name}://…"
        )


def _require_known(backend: str) -> None:
    if backend not in DRIVERS:
        raise UnsupportedDatabase(f"{backend!r} is not a database that hogbox knows: use {SUPPORTED}")


def _complete(database_url: str | URL) -> URL:
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError(
            "the database URL can't be read: write sqlite:///app.db, postgresql://user@host/name or "
            "mysql://user@host/name"
        ) from error
    if url.drivername == "postgres":
        url = url.set(drivername="postgresql")
    _require_known(url.get_backend_name())
    if "+" not in url.drivername:
        url = url.set(drivername=f"{url.drivername}+{DRIVERS[url.drivername]}")
    return _synchronous(url)


def _synchronous(url: URL) -> URL:
    """The same database through a driver that threads can use. ConfigurationError where they would see another one."""
    driver = url.get_driver_name()
    if driver not in SYNCHRONOUS:
        return url
    if driver == "aiosqlite" and _in_memory(url):
        raise ConfigurationError(
            "a database in memory belongs to one connection, and hogbox has others: use a file, sqlite:///app.db"
        )
    if driver == "asyncpg":
        url = url.set(query={_ASYNCPG[name]: value for name, value in url.query.items() if name in _ASYNCPG})
    return url.set(drivername=f"{url.get_backend_name()}+{SYNCHRONOUS[driver]}")


def explain(error: BaseException) -> HogboxError | None:
    """What a failure of one of hogbox's own statements says of its tables, or None where it says nothing of them."""
    cause = origin(error)
    state, number = code(cause)
    text = str(cause)
    if state == "42P01" or number == 1146 or "no such table" in text:
        return TablesMissing()
    if state == "42703" or number == 1054 or "has no column named" in text or "no such column" in text:
        return TablesOutdated()
    return None


def is_undecodable(error: BaseException) -> bool:
    """Whether a driver could not make texts of what a statement found."""
    cause = origin(error)
    return isinstance(cause, UnicodeError) or "decode" in str(cause).lower()


@contextmanager
def migrating(connection: Connection) -> Iterator[None]:
    """A transaction in which no other process migrates the same database."""
    name = connection.dialect.name
    if name == "sqlite":
        connection.begin()
        driver: Any = connection.connection.driver_connection
        if driver.in_transaction:
            # The application's engine begins by itself, without the lock on writing.
            connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif name == "postgresql":
        # Whoever waits for a lock on a table makes all others wait behind it: a short while, and then another try.
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK_NUMBER})")
    elif connection.exec_driver_sql(f"SELECT GET_LOCK('{_LOCK_NAME}', 60)").scalar() != 1:
        raise TablesError("another process has been migrating hogbox's tables for a minute: wait for it, or end it")
    before = None
    try:
        if name in ("mysql", "mariadb"):
            before = connection.exec_driver_sql("SELECT @@SESSION.lock_wait_timeout").scalar()
            connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}")
        yield
        connection.commit()
    finally:
        if name in ("mysql", "mariadb"):
            connection.exec_driver_sql(f"SELECT RELEASE_LOCK('{_LOCK_NAME}')")
        if before is not None:
            connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {before}")


def hindrance(error: BaseException) -> str | None:
    """Why a migration could not run just now and may be tried again; None where another try would not help."""
    cause = origin(error)
    state, number = code(cause)
    if state == "55P03" or number == _LOCK_WAIT or "database is locked" in str(cause):
        return "other transactions use hogbox's tables, such as a backup"
    if number in _MIGRATED_BESIDE:
        return "another process is migrating them"
    return None


def require_shared(engine: Engine) -> None:
    """Raise ConfigurationError for a database that only one thread can see, which a worker's threads can't share."""
    if engine.dialect.name == "sqlite" and _in_memory(engine.url):
        raise ConfigurationError(
            "a database in memory belongs to one connection, and a worker needs several: use a file, sqlite:///app.db"
        )


def require_file(engine: Engine) -> None:
    """Raise TablesMissing where a SQLite file is not there: connecting would make an empty one."""
    name = engine.url.database or ""
    if engine.dialect.name != "sqlite" or _in_memory(engine.url) or name.startswith("file:"):
        return
    if not Path(name).exists():
        raise TablesMissing(f"there is no file {name}: correct HOGBOX_DATABASE_URL, or run `hogbox migrate`")


def _in_memory(url: URL) -> bool:
    return url.database in (None, "", ":memory:") or "mode=memory" in str(url)


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
    level = "SERIALIZABLE" if engine.dialect.name == "sqlite" else "READ COMMITTED"
    return engine.execution_options(isolation_level=level)


def delete_by_id(table: Table) -> Delete:
    """A DELETE that looks its rows up by their ids, for a condition that names them.

    MariaDB and MySQL lock every row that they look at. They read a small table as a whole, and would wait for each
    event of a transaction that is still open.
    """
    statement = delete(table)
    for name in ("mysql", "mariadb"):
        # DELETE takes hints in its form for several tables only: DELETE t FROM t FORCE INDEX (PRIMARY).
        statement = statement.prefix_with(table.name, dialect=name)
        statement = statement.with_hint("FORCE INDEX (PRIMARY)", dialect_name=name)
    return statement


def tells_writers(engine: Engine) -> bool:
    """Whether the database says which transactions have written to a table and may still commit."""
    return engine.dialect.name == "postgresql"


def most_writers(engine: Engine) -> int:
    """How many threads can write side by side to any use. On SQLite one writes while another is on the network."""
    return 2 if engine.dialect.name == "sqlite" else 1000


def writers_turn(engine: Engine) -> AbstractContextManager[object]:
    """A lock for the writers of one process: SQLite has one writer at a time, and those who wait only poll for it."""
    return threading.Lock() if engine.dialect.name == "sqlite" else nullcontext()


def can_write_within(engine: Engine, seconds: float) -> bool:
    """Whether a transaction can write to the database within so many seconds.

    On SQLite another transaction may hold the lock on writing, even one of the calling thread, which then waits for
    itself.
    """
    if engine.dialect.name != "sqlite":
        return True
    pooled = engine.raw_connection()
    try:
        driver: Any = pooled.driver_connection
        return bool(driver.in_transaction) or _lock_within(driver, seconds)
    finally:
        pooled.close()


def _lock_within(driver: Any, seconds: float) -> bool:
    (before,) = driver.execute("PRAGMA busy_timeout").fetchone()
    driver.execute(f"PRAGMA busy_timeout = {max(int(min(seconds, _LONGEST_LOCK) * 1000), 0)}").close()
    try:
        driver.execute("BEGIN IMMEDIATE").close()
        driver.execute("ROLLBACK").close()
    except driver.OperationalError as error:
        if "locked" not in str(error):
            raise
        return False
    finally:
        driver.execute(f"PRAGMA busy_timeout = {before}").close()
    return True


@contextmanager
def forgettable(connection: Connection) -> Iterator[None]:
    """Commits that a power failure may undo, for the sake of speed; a crash of the process never does.

    Only SQLite in WAL mode offers them without a risk for the file. For what a worker settles: it would be sent again.
    """
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name != "sqlite" or driver.in_transaction:
        yield
        return
    cursor = driver.cursor()
    with wrapped(connection.dialect):
        before = cursor.execute("PRAGMA synchronous").fetchone()[0]
        wal = cursor.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        if wal and before > _SYNCHRONOUS_NORMAL:
            cursor.execute(f"PRAGMA synchronous = {_SYNCHRONOUS_NORMAL}")
    try:
        yield
    finally:
        with wrapped(connection.dialect):
            cursor.execute(f"PRAGMA synchronous = {before}")
            cursor.close()


@contextmanager
def wrapped(dialect: Dialect) -> Iterator[None]:
    """Raise SQLAlchemy's DBAPIError in place of the driver's own error, for what does not go through SQLAlchemy."""
    driver: Any = dialect.loaded_dbapi
    try:
        yield
    except driver.Error as error:
        raise DBAPIError.instance(None, None, error, driver.Error, dialect=dialect) from error


class SqliteModes(NamedTuple):
    """How a SQLite file is used. `busy_timeout` is in seconds."""

    journal: str
    busy_timeout: float


def sqlite_modes(connection: Connection) -> SqliteModes | None:
    """How this connection uses its SQLite file; None on other databases."""
    if connection.dialect.name != "sqlite":
        return None
    journal = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
    timeout = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
    return SqliteModes(str(journal), int(timeout or 0) / 1000)


class ChangeSignal:
    """Tells cheaply whether the database may hold something new. Owns one connection; not for several threads."""

    def __init__(self, engine: Engine) -> None:
        self.precise = engine.dialect.name == "sqlite"
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
