"""gunicorn, with preload and four processes: captures and flags in every child, one poller in all, a clean end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Any

import httpx2
import psutil
import pytest

from hogbox import PostHog
from hogbox.emulator import Emulator
from tests.docs.page import ROOT
from tests.emulator.flag_case import definitions, flag
from tests.fixtures.database import TestDatabase, use_wal
from tests.fixtures.port import free_port
from tests.fixtures.waiting import wait_until
from tests.integrations.flask.shop import TOKEN

PROCESSES = 4
INTERVAL = 1
INTERVALS = 3

FLAGS = definitions(
    flag("greeting", filters={"multivariate": {"variants": [{"key": "hi", "rollout_percentage": 100}]}})
)


@contextmanager
def gunicorn(database: TestDatabase, emulator: Emulator, *options: str) -> Iterator[str]:
    """The application, served; ends on SIGTERM, with every process, and without a complaint."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--preload", f"--workers={PROCESSES}", f"--bind=127.0.0.1:{port}"]
    environment = {
        **os.environ,
        "SHOP_DATABASE_URL": database.url,
        "POSTHOG_PROJECT_TOKEN": TOKEN,
        "POSTHOG_PERSONAL_API_KEY": "phs_flask",
        "POSTHOG_HOST": emulator.url,
        "POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS": str(INTERVAL),
        "HOGBOX_DEFINITIONS_MAX_AGE_SECONDS": "0.1",
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
    }
    command += [*options, "tests.integrations.flask.served:create_app()"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            wait_until(lambda: answers(port), "gunicorn to listen")
            children = psutil.Process(server.pid).children()
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGTERM)
            _, said = server.communicate(timeout=30)
    assert server.returncode == 0, said
    for complaint in ("Traceback", "WARNING", "ERROR"):
        assert complaint not in said, said
    assert [child for child in children if child.is_running()] == []


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Visitors:
    """Visits over HTTP, each by somebody new, some at a time so that every process gets some."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = count()
        self.seen: dict[str, dict[str, Any]] = {}
        """What each visitor was answered."""

    def visit(self) -> None:
        """Four at once."""
        names = [f"v{next(self._numbers)}" for _ in range(PROCESSES)]
        with ThreadPoolExecutor(PROCESSES) as pool:
            self.seen.update(zip(names, pool.map(self._one, names), strict=True))

    def processes(self, flag: str | None = None) -> set[int]:
        """The processes that have answered, all or with this flag."""
        return {answer["process"] for answer in self.seen.values() if flag is None or answer["flag"] == flag}

    def visit_until(self, flag: str | None = None) -> None:
        """Until each process has answered, with this flag."""

        def all_have() -> bool:
            self.visit()
            return len(self.processes(flag)) == PROCESSES

        wait_until(all_have, f"every process to answer, with {flag}")

    def _one(self, name: str) -> dict[str, Any]:
        answer = httpx2.post(f"{self._url}/visits/{name}")
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]


def polls(emulator: Emulator) -> list[float]:
    """When the definitions were asked for."""
    return [one.arrived_at for one in emulator.requests() if one.path.startswith("/flags/definitions")]


def next_due(database: TestDatabase) -> int:
    """When the next poll may be claimed, in milliseconds of the database's clock: a claim moves it by an interval."""
    (row,) = database.rows("posthog_refreshes", "project")
    due: int = row["due_at"]
    return due


@pytest.mark.parametrize(
    ("database", "options"), [("sqlite", ()), ("postgresql", ("--threads=2",))], indirect=["database"]
)
def test_p5_every_process_captures_and_reads_flags_with_one_poller_in_all(
    database: TestDatabase, emulator: Emulator, options: tuple[str, ...]
) -> None:
    use_wal(database)
    emulator.set_flags(FLAGS)
    with gunicorn(database, emulator, *options) as url:
        visitors = Visitors(url)
        visitors.visit_until()
        visitors.visit_until(flag="hi")
        wait_until(lambda: database.count("posthog_workers") == PROCESSES, "a worker in every process")
        due, known = next_due(database), len(polls(emulator))
        emulator.wait_for(lambda _: len(polls(emulator)) >= known + INTERVALS)
        polled = len(polls(emulator)) - known
        claimed = (next_due(database) - due) // (1000 * INTERVAL)
        emulator.fault(delay=0.2)
        for _ in range(5):
            visitors.visit()  # the server ends while its workers deliver these
    emulator.clear_faults()
    assert INTERVALS <= polled <= claimed + 1, (
        "each poll was claimed an interval after the one before; one was on its way"
    )
    _drain(database, emulator)
    visits = emulator.events(event="visited", unique=True)
    assert {event.distinct_id: event.properties["process"] for event in visits} == {
        name: answer["process"] for name, answer in visitors.seen.items()
    }
    (loaded,) = emulator.events(event="loaded", unique=True)
    assert loaded.properties["process"] not in visitors.processes()
    assert database.count("posthog_workers") == 0


def _drain(database: TestDatabase, emulator: Emulator) -> None:
    """Deliver what was captured in the last moments of the server."""
    with PostHog(database.url, project_token=TOKEN, host=emulator.url) as posthog:
        assert posthog.deliver().waiting == 0
