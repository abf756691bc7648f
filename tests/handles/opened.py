"""Every kind of synchronous handle, opened by its own library, and what a test does with a handle of any kind."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import Any

import django.db  # type: ignore[import-untyped]
import psycopg
import psycopg2  # type: ignore[import-untyped]
import pymysql
import sqlalchemy as sa
import sqlmodel
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from tests.fixtures.database import TestDatabase
from tests.fixtures.requirement import unavailable
from tests.integrations.django.site import connected


@dataclass(frozen=True)
class Opened:
    """A handle in the hands of its owner: how the owner runs SQL, commits and rolls back, and sees its state."""

    handle: Any
    execute: Callable[[str], Any]
    commit: Callable[[], None]
    rollback: Callable[[], None]
    in_transaction: Callable[[], bool]
    begin: Callable[[], Any] = lambda: None
    """For handles whose owner begins each transaction by hand."""


Opener = Callable[[TestDatabase], AbstractContextManager[Opened]]

Connect = Callable[[TestDatabase], Any]


class OwnSession(Session):
    """An application's subclass of Session."""


class OwnConnection(sqlite3.Connection):
    """An application's subclass of sqlite3.Connection."""


def driver_in_transaction(driver: Any) -> bool:
    """Whether a transaction is open, by the driver's or the server's own account."""
    if isinstance(driver, sqlite3.Connection):
        return driver.in_transaction
    if isinstance(driver, psycopg.Connection | psycopg2.extensions.connection):
        return bool(driver.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS)
    with driver.cursor() as cursor:
        cursor.execute("SELECT @@in_transaction")
        return bool(cursor.fetchone()[0])


def sqlalchemy_in_transaction(connection: sa.Connection) -> bool:
    """Whether a transaction is open on the driver's connection below."""
    return driver_in_transaction(connection.connection.driver_connection)


@contextmanager
def open_session(kind: type[Session], database: TestDatabase) -> Iterator[Opened]:
    """A session of this class."""
    with kind(database.engine) as session:
        yield of_session(session)


@contextmanager
def _session_on_connection(database: TestDatabase) -> Iterator[Opened]:
    with database.engine.connect() as connection, Session(connection) as session:
        yield of_session(session)


@contextmanager
def _scoped_session(database: TestDatabase) -> Iterator[Opened]:
    registry = scoped_session(sessionmaker(database.engine))
    try:
        yield of_session(registry)
    finally:
        registry.remove()


@contextmanager
def _flask_sqlalchemy(database: TestDatabase) -> Iterator[Opened]:
    app = Flask("shop")
    app.config["SQLALCHEMY_DATABASE_URI"] = database.url
    flask_database = SQLAlchemy(app)
    with app.app_context():
        try:
            yield of_session(flask_database.session)
        finally:
            flask_database.session.remove()
            flask_database.engine.dispose()


def of_session(session: Any) -> Opened:
    return Opened(
        session,
        lambda sql: session.execute(sa.text(sql)),
        session.commit,
        session.rollback,
        lambda: sqlalchemy_in_transaction(session.connection()),
    )


@contextmanager
def _connection(database: TestDatabase) -> Iterator[Opened]:
    with database.engine.connect() as connection:
        yield Opened(
            connection,
            lambda sql: connection.execute(sa.text(sql)),
            connection.commit,
            connection.rollback,
            lambda: sqlalchemy_in_transaction(connection),
        )


@contextmanager
def open_driver(connect: Connect, database: TestDatabase) -> Iterator[Opened]:
    """A driver's own connection."""
    with closing(connect(database)) as connection:
        yield Opened(
            connection,
            lambda sql: connection.cursor().execute(sql),
            connection.commit,
            connection.rollback,
            lambda: driver_in_transaction(connection),
        )


@contextmanager
def _with_begin(connect: Connect, database: TestDatabase) -> Iterator[Opened]:
    with open_driver(connect, database) as opened:
        opened.execute("BEGIN")
        yield replace(opened, begin=partial(opened.execute, "BEGIN"))


@contextmanager
def _django(database: TestDatabase) -> Iterator[Opened]:
    with connected(database) as connection:
        connection.set_autocommit(False)
        yield _of_django(connection)


@contextmanager
def _django_proxy(database: TestDatabase) -> Iterator[Opened]:
    with connected(database) as connection:
        connection.set_autocommit(False)
        yield replace(_of_django(connection), handle=django.db.connection)


def _of_django(connection: Any) -> Opened:
    return Opened(
        connection,
        lambda sql: connection.cursor().execute(sql),
        connection.commit,
        connection.rollback,
        lambda: driver_in_transaction(connection.connection),
    )


def connect_sqlite3(database: TestDatabase, **options: Any) -> sqlite3.Connection:
    """A connection of sqlite3's own."""
    connection: sqlite3.Connection = sqlite3.connect(database.engine.url.database or "", **options)
    return connection


def connect_psycopg(database: TestDatabase, **options: Any) -> psycopg.Connection[Any]:
    """A connection of psycopg's own."""
    return psycopg.connect(postgresql_url(database), **options)


def connect_psycopg2(database: TestDatabase, **options: Any) -> Any:
    """A connection of psycopg2's own."""
    return psycopg2.connect(postgresql_url(database), **options)


def connect_pymysql(database: TestDatabase, **options: Any) -> pymysql.Connection[Any]:
    """A connection of PyMySQL's own."""
    return pymysql.connect(**mysql_options(database), **options)


def connect_mysqlclient(database: TestDatabase, **options: Any) -> Any:
    """A connection of mysqlclient's own. Skips the test where it is not installed: it has to be compiled."""
    try:
        import_module("MySQLdb._mysql")  # PyMySQL, which stands in for it where Django is tested, has none
    except ModuleNotFoundError as error:
        unavailable("mysqlclient", f"{error}: pip install mysqlclient, which takes a compiler")
    return import_module("MySQLdb").connect(**mysql_options(database), **options)


def postgresql_url(database: TestDatabase) -> str:
    """Where every driver of PostgreSQL's connects to."""
    return database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def mysql_options(database: TestDatabase) -> dict[str, Any]:
    """Where every driver of MariaDB's connects to."""
    url = database.engine.url
    return {
        "host": url.host or "127.0.0.1",
        "port": url.port or 3306,
        "user": url.username or "root",
        "password": url.password or "",
        "database": url.database,
    }


OPENERS: dict[str, Opener] = {
    "Session": partial(open_session, Session),
    "subclass of Session": partial(open_session, OwnSession),
    "SQLModel Session": partial(open_session, sqlmodel.Session),
    "Session on a Connection": _session_on_connection,
    "scoped_session": _scoped_session,
    "Flask-SQLAlchemy": _flask_sqlalchemy,
    "Connection": _connection,
    "sqlite3": partial(open_driver, connect_sqlite3),
    "subclass of sqlite3": partial(open_driver, partial(connect_sqlite3, factory=OwnConnection)),
    "sqlite3 with BEGIN": partial(_with_begin, partial(connect_sqlite3, isolation_level=None)),
    "psycopg": partial(open_driver, connect_psycopg),
    "psycopg2": partial(open_driver, connect_psycopg2),
    "PyMySQL": partial(open_driver, connect_pymysql),
    "mysqlclient": partial(open_driver, connect_mysqlclient),
    "Django": _django,
    "django.db.connection": _django_proxy,
}

ON_EVERY_DATABASE = (
    "Session",
    "subclass of Session",
    "SQLModel Session",
    "Session on a Connection",
    "scoped_session",
    "Flask-SQLAlchemy",
    "Connection",
)

PAIRS = [
    *((kind, backend) for kind in ON_EVERY_DATABASE for backend in ("sqlite", "postgresql", "mariadb")),
    ("sqlite3", "sqlite"),
    ("subclass of sqlite3", "sqlite"),
    ("sqlite3 with BEGIN", "sqlite"),
    ("psycopg", "postgresql"),
    ("psycopg2", "postgresql"),
    ("PyMySQL", "mariadb"),
    ("mysqlclient", "mariadb"),
    *(("Django", backend) for backend in ("sqlite", "postgresql", "mariadb")),
    ("django.db.connection", "sqlite"),
]
"""Every kind of synchronous handle with every database that it speaks."""
