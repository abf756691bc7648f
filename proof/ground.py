"""Where a fault is shown: a fresh database, and the lever that makes it fail."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from hogbox.schema import create_tables
from proof.ledger import LEDGER
from proof.proxy import Proxy
from proof.server import NotApplicable, Server, own_server, pgbouncer

DATABASES: Final = ("sqlite", "postgresql", "mariadb")
_SERVERS: Final = {
    "postgresql": os.environ.get("HOGBOX_TEST_POSTGRES", "postgresql+psycopg://root@127.0.0.1:5432/postgres"),
    "mariadb": os.environ.get("HOGBOX_TEST_MARIADB", "mysql+pymysql://root@127.0.0.1:3306/mysql"),
}
_DROP: Final = {"postgresql": "DROP DATABASE {} WITH (FORCE)", "mariadb": "DROP DATABASE {}"}
_DISK: Final = "8m"


class Disk:
    """A small disk, which can be filled."""

    def __init__(self, folder: Path) -> None:
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Leave no byte of room."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (65536, 4096):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue

    def clear(self) -> None:
        """Make room again."""
        self._filler.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Ground:
    """A database with hogbox's tables and the ledger. `lever` makes it fail; `cuttable` is its URL through a proxy.

    `direct` is its URL for who only counts, where `url` leads through a pooler.
    """

    url: str
    lever: Proxy | Server | Disk | None = None
    cuttable: str | None = None
    direct: str | None = None


Lay = Callable[[str, Path], AbstractContextManager[Ground]]


@contextmanager
def plain(kind: str, folder: Path) -> Iterator[Ground]:
    """A SQLite file, or a database on the machine's server."""
    with _sqlite(folder) if kind == "sqlite" else _created(kind) as url:
        prepare(url)
        yield Ground(url)


@contextmanager
def behind_proxy(kind: str, folder: Path) -> Iterator[Ground]:
    """The machine's server, and a proxy before it whose connections can be cut."""
    if kind == "sqlite":
        raise NotApplicable("SQLite has no connection that could be cut")
    with plain(kind, folder) as ground:
        url = sa.make_url(ground.url)
        default = 5432 if kind == "postgresql" else 3306
        with Proxy(url.host or "127.0.0.1", url.port or default) as proxy:
            through = url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
            yield Ground(ground.url, proxy, through)


@contextmanager
def isolated_badly(kind: str, folder: Path) -> Iterator[Ground]:
    """A database whose transactions have the isolation that suits hogbox least, unless a session asks for another."""
    if kind == "sqlite":
        raise NotApplicable("SQLite has one isolation level")
    if kind == "mariadb":
        with own_server(kind, folder, "--transaction-isolation=READ-UNCOMMITTED") as server:
            prepare(server.url)
            yield Ground(server.url)
        return
    with plain(kind, folder) as ground:
        url = sa.make_url(ground.url)
        engine = sa.create_engine(url, poolclass=sa.NullPool)
        with engine.begin() as connection:
            setting = "SET default_transaction_isolation = 'serializable'"
            connection.exec_driver_sql(f"ALTER DATABASE {url.database} {setting}")
        yield ground


@contextmanager
def behind_pgbouncer(kind: str, folder: Path) -> Iterator[Ground]:
    """The machine's PostgreSQL behind a PgBouncer in transaction pooling, with fewer connections than clients."""
    if kind != "postgresql":
        raise NotApplicable("PgBouncer is a pooler for PostgreSQL")
    with plain(kind, folder) as ground, pgbouncer(sa.make_url(ground.url), folder) as url:
        yield Ground(url, direct=ground.url)


@contextmanager
def on_own_server(kind: str, folder: Path) -> Iterator[Ground]:
    """A server that may be killed."""
    with own_server(kind, folder) as server:
        prepare(server.url)
        yield Ground(server.url, server)


@contextmanager
def on_small_disk(kind: str, folder: Path) -> Iterator[Ground]:
    """A SQLite file on a disk in memory of a few megabytes; mounting it takes root."""
    if kind != "sqlite":
        raise NotApplicable("a server's disk is the server's affair")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "proof", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        raise NotApplicable("a small disk can't be mounted here: it takes root")
    try:
        with plain(kind, folder) as ground:
            yield Ground(ground.url, Disk(folder))
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def prepare(url: str) -> None:
    """hogbox's tables, and the application's."""
    create_tables(url)
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    LEDGER.create(engine)
    engine.dispose()


@contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder / 'app.db'}"


@contextmanager
def _created(kind: str) -> Iterator[str]:
    name = f"hogbox_proof_{uuid.uuid4().hex[:12]}"
    admin = sa.create_engine(_SERVERS[kind], isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    try:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
    except SQLAlchemyError:
        raise NotApplicable(f"no {kind} answers at {sa.make_url(_SERVERS[kind]).host}") from None
    try:
        yield sa.make_url(_SERVERS[kind]).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(_DROP[kind].format(name))
