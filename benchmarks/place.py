"""Where it is measured: databases of our own, made for one benchmark and dropped after it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from sqlalchemy import make_url

from benchmarks.counting import CountingServer
from hogbox.schema import create_tables

POSTGRESQL = os.environ.get("HOGBOX_TEST_POSTGRES", "postgresql://root@127.0.0.1:5432/postgres")


@dataclass(frozen=True, slots=True)
class Setup:
    """What every benchmark is given. `rows` is the size of the large backlog; `quick` asks for fewer repetitions."""

    server: CountingServer
    rows: int
    quick: bool
    backends: tuple[str, ...]

    @property
    def repetitions(self) -> int:
        """How often to measure what takes milliseconds."""
        return 5 if self.quick else 21


def available_backends() -> tuple[str, ...]:
    """SQLite, and PostgreSQL where the machine has one."""
    try:
        psycopg.connect(_plain(POSTGRESQL), connect_timeout=3).close()
    except psycopg.OperationalError:
        return ("sqlite",)
    return ("sqlite", "postgresql")


@contextmanager
def database(backend: str) -> Iterator[str]:
    """The URL of a fresh database with hogbox's tables."""
    with _sqlite() if backend == "sqlite" else _postgresql() as url:
        create_tables(url)
        yield url


def sqlite_path(database_url: str) -> Path:
    """The file behind a SQLite URL."""
    return Path(make_url(database_url).database or "")


@contextmanager
def _sqlite() -> Iterator[str]:
    with TemporaryDirectory(prefix="hogbox-bench-") as folder:
        yield f"sqlite:///{folder}/app.db"


@contextmanager
def _postgresql() -> Iterator[str]:
    name = f"hogbox_bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(_plain(POSTGRESQL), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        try:
            url = make_url(POSTGRESQL).set(drivername="postgresql", database=name)
            yield url.render_as_string(hide_password=False)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _plain(url: str) -> str:
    """As libpq takes it: without SQLAlchemy's name for the driver."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
