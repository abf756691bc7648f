"""Every kind of handle that hogbox accepts, opened by its own library, and what a test does with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import django.db  # type: ignore[import-untyped]
import psycopg
import pymysql
import sqlalchemy as sa
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from tests.fixtures.database import TestDatabase
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


class OwnSession(Session):
    """An application's subclass of Session."""


class OwnConnection(sqlite3.Connection):
    """An application's subclass of sqlite3.Connection."""


def driver_in_transaction(driver: Any) -> bool:
    """Whether a transaction is open, by the driver's or the server's own account."""
    if isinstance(driver, sqlite3.Connection):
        return driver.in_transaction
    if isinstance(driver, psycopg.Connection):
        return driver.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
    with driver.cursor() as cursor:
        cursor.execute("SELECT @@in_transaction")
        return bool(cursor.fetchone()[0])


def sqlalchemy_in_transaction(connection: sa.Connection) -> bool:
    """Whether a transaction is open on the driver's connection below."""
    return driver_in_transaction(connection.connection.driver_connection)


@contextmanager
def _session(database: TestDatabase) -> Iterator[Opened]:
    with Session(database.engine) as session:
        yield _of_session(session)


@contextmanager
def _session_subclass(database: TestDatabase) -> Iterator[Opened]:
    with OwnSession(database.engine) as session:
        yield _of_session(session)


@contextmanager
def _session_on_connection(database: TestDatabase) -> Iterator[Opened]:
    with database.engine.connect() as connection, Session(connection) as session:
        yield _of_session(session)


@contextmanager
def _scoped_session(database: TestDatabase) -> Iterator[Opened]:
    registry = scoped_session(sessionmaker(database.engine))
    try:
        yield _of_session(registry)
    finally:
        registry.remove()


def _of_session(session: Any) -> Opened:
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
def _sqlite3(database: TestDatabase) -> Iterator[Opened]:
    with closing(sqlite3.connect(database.engine.url.database or "")) as connection:
        yield _of_driver(connection, connection.execute)


@contextmanager
def _sqlite3_subclass(database: TestDatabase) -> Iterator[Opened]:
    with closing(sqlite3.connect(database.engine.url.database or "", factory=OwnConnection)) as connection:
        yield _of_driver(connection, connection.execute)


@contextmanager
def _sqlite3_explicit(database: TestDatabase) -> Iterator[Opened]:
    with closing(sqlite3.connect(database.engine.url.database or "", isolation_level=None)) as connection:
        begin = partial(connection.execute, "BEGIN")
        begin()
        yield replace(_of_driver(connection, connection.execute), begin=begin)


@contextmanager
def _psycopg(database: TestDatabase) -> Iterator[Opened]:
    with closing(connect_psycopg(database)) as connection:
        yield _of_driver(connection, connection.execute)


@contextmanager
def _pymysql(database: TestDatabase) -> Iterator[Opened]:
    with closing(connect_pymysql(database)) as connection:
        yield _of_driver(connection, lambda sql: connection.cursor().execute(sql))


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


def _of_driver(connection: Any, execute: Callable[[str], Any]) -> Opened:
    return Opened(
        connection, execute, connection.commit, connection.rollback, lambda: driver_in_transaction(connection)
    )


def connect_psycopg(database: TestDatabase, **options: Any) -> psycopg.Connection[Any]:
    """A connection of psycopg's own."""
    url = database.engine.url.set(drivername="postgresql")
    return psycopg.connect(url.render_as_string(hide_password=False), **options)


def connect_pymysql(database: TestDatabase, **options: Any) -> pymysql.Connection[Any]:
    """A connection of PyMySQL's own."""
    url = database.engine.url
    return pymysql.connect(
        host=url.host or "127.0.0.1",
        port=url.port or 3306,
        user=url.username or "root",
        password=url.password or "",
        database=url.database,
        **options,
    )


OPENERS = {
    "Session": _session,
    "subclass of Session": _session_subclass,
    "Session on a Connection": _session_on_connection,
    "scoped_session": _scoped_session,
    "Connection": _connection,
    "sqlite3": _sqlite3,
    "subclass of sqlite3": _sqlite3_subclass,
    "sqlite3 with BEGIN": _sqlite3_explicit,
    "psycopg": _psycopg,
    "PyMySQL": _pymysql,
    "Django": _django,
    "django.db.connection": _django_proxy,
}

ON_EVERY_DATABASE = ("Session", "subclass of Session", "Session on a Connection", "scoped_session", "Connection")

PAIRS = [
    *((kind, backend) for kind in ON_EVERY_DATABASE for backend in ("sqlite", "postgresql", "mariadb")),
    ("sqlite3", "sqlite"),
    ("subclass of sqlite3", "sqlite"),
    ("sqlite3 with BEGIN", "sqlite"),
    ("psycopg", "postgresql"),
    ("PyMySQL", "mariadb"),
    *(("Django", backend) for backend in ("sqlite", "postgresql", "mariadb")),
    ("django.db.connection", "sqlite"),
]
"""Every kind of handle with every database that it speaks."""
