"""Servers with two processes: both capture and read flags, one of them polls, and their end leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
import sqlalchemy as sa

from hogbox.emulator import Emulator, ReceivedRequest
from tests.docs.page import ROOT
from tests.fixtures.database import TestDatabase, use_wal
from tests.fixtures.process import QUICK
from tests.fixtures.waiting import wait_until

APP = "tests.integrations.fastapi.fleet:app"
SERVERS = {
    "uvicorn": ["-m", "uvicorn", APP, "--workers", "2", "--fd", "{fd}", "--no-access-log"],
    "gunicorn": ["-m", "gunicorn", APP, "-w", "2", "-b", "fd://{fd}", "-k", "uvicorn.workers.UvicornWorker"],
}
DRIVERS = {"postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}

INTERVAL = 1
POLLS = 3
APART = httpx2.Limits(max_keepalive_connections=0)
"""A connection for each request, which either process may take."""


@contextmanager
def serving(server: str, database: TestDatabase, emulator: Emulator) -> Iterator[httpx2.Client]:
    """A client of the shop in two processes; afterwards they have ended well on SIGTERM."""
    environment = {
        **os.environ,
        **QUICK,
        "DATABASE_URL": sa.make_url(database.url).set(drivername=DRIVERS[database.backend]).render_as_string(False),
        "POSTHOG_HOST": emulator.url,
        "POSTHOG_PROJECT_TOKEN": "phc_fleet",
        "POSTHOG_PERSONAL_API_KEY": "phs_fleet",
        "POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS": str(INTERVAL),
        "HOGBOX_DEFINITIONS_MAX_AGE_SECONDS": "0",
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
    }
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        port, fd = listening.getsockname()[1], listening.fileno()
        command = [sys.executable, *(part.format(fd=fd) for part in SERVERS[server])]
        with (
            subprocess.Popen(command, env=environment, pass_fds=[fd]) as process,
            httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, limits=APART) as client,
        ):
            try:
                yield client
            finally:
                process.send_signal(signal.SIGTERM)
                code = process.wait(30)
    assert code == 0


def polls(emulator: Emulator) -> list[ReceivedRequest]:
    return [request for request in emulator.requests() if "definitions" in request.path]


@pytest.mark.parametrize(
    ("database", "server"),
    [("postgresql", "uvicorn"), ("sqlite", "uvicorn"), ("postgresql", "gunicorn")],
    indirect=["database"],
)
def test_p5_two_processes_serve_and_one_of_them_polls(database: TestDatabase, emulator: Emulator, server: str) -> None:
    use_wal(database)
    emulator.set_flags(ROOT / "examples" / "fastapi_shop" / "flags.json")
    served: list[int] = []
    with serving(server, database, emulator) as client:

        def visit() -> int:
            """Returns how many processes have served so far."""
            answer = client.post(f"/visits/{len(served)}", headers={"X-POSTHOG-DISTINCT-ID": "ada"})
            served.append(answer.raise_for_status().json())
            return len(set(served))

        wait_until(lambda: database.count("posthog_workers") == 2, "both workers")
        wait_until(lambda: database.count("posthog_flag_definitions") == 1, "the flags")
        wait_until(lambda: visit() == 2, "both processes to serve")
        emulator.wait_for(lambda running: len(polls(running)) >= POLLS, timeout=POLLS * INTERVAL + 10)
        emulator.fault(delay=0.2)
        for _ in range(30):
            visit()
    assert database.count("posthog_outbox") == database.count("posthog_workers") == 0
    visits = [event.properties for event in emulator.events(unique=True)]
    assert [visit["number"] for visit in visits] == list(range(len(served)))
    assert [visit["pid"] for visit in visits] == served
    assert {visit["free"] for visit in visits} == {True}
    asked = [request.arrived_at for request in polls(emulator)]
    assert asked[POLLS - 1] - asked[0] > (POLLS - 1) * INTERVAL - 0.5
