"""Real Celery processes: a worker of any pool on any database, and a beat."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from celery import Celery  # type: ignore[import-untyped]

from hogbox import PostHog
from hogbox.integrations.celery import HogboxCelery
from hogbox.schema import create_tables
from tests.docs.page import ROOT
from tests.fixtures.database import TestDatabase, make_database, use_wal
from tests.fixtures.waiting import wait_until
from tests.integrations.celery.broker import configure, redis_prefix

TOKEN = "phc_celery"
APPLICATION = "tests.integrations.celery.application"
CHILDREN = {"prefork": 4, "threads": 4, "solo": 1}


@dataclass
class Running:
    """A worker that runs, an app that sends it tasks, and what both write into."""

    pool: str
    children: int
    app: Any
    database: TestDatabase
    environment: dict[str, str]
    folder: Path

    def send(self, task: str, *arguments: object, **options: Any) -> Any:
        """Send a task by its name; returns its result to come."""
        return self.app.send_task(task, arguments, **options)

    def events(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        """The events of this name, as soon as there are so many of them."""
        wait_until(lambda: len(self.now(name)) >= count, f"{count} of {name}")
        return self.now(name)

    def now(self, name: str) -> list[dict[str, Any]]:
        """The events of this name that are in the outbox."""
        return [event for event in self.database.events() if event["event"] == name]

    def exceptions(self, text: str, count: int = 1) -> list[dict[str, Any]]:
        """The captured exceptions with this text, as soon as there are so many of them."""
        wait_until(lambda: len(self._exceptions(text)) >= count, f"{count} exceptions of {text}")
        return self._exceptions(text)

    def _exceptions(self, text: str) -> list[dict[str, Any]]:
        return [event for event in self.now("$exception") if text in values(event)[0]]


def values(event: dict[str, Any]) -> list[str]:
    """What a captured exception and its causes say."""
    return [entry["value"] for entry in event["properties"]["$exception_list"]]


def start_process(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """A Celery process, with a group of its own."""
    command = [sys.executable, "-m", "celery", "-A", APPLICATION, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)


def end_process(process: subprocess.Popen[bytes]) -> None:
    """As an operator ends it; with all its children where that takes long."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


@contextmanager
def celery_process(arguments: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A Celery process for as long as the block lasts."""
    process = start_process(arguments, environment)
    try:
        yield process
    finally:
        end_process(process)


@contextmanager
def running_worker(
    request: pytest.FixtureRequest, folder: Path, pool: str, backend: str, **settings: str
) -> Iterator[Running]:
    """A worker with a database and a part of Redis of its own, that is ready."""
    with make_database(request, backend, folder) as database, redis_prefix() as prefix:
        use_wal(database)
        create_tables(database.engine)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("HOGBOX_", "POSTHOG_"))},
            "HOGBOX_DATABASE_URL": database.url,
            "POSTHOG_PROJECT_TOKEN": TOKEN,
            "TEST_BROKER_PREFIX": prefix,
            "TEST_FOLDER": str(folder),
            "TEST_CHILDREN": str(CHILDREN[pool]),
            **settings,
        }
        arguments = ["worker", "-P", pool, "-c", str(CHILDREN[pool]), "--without-gossip", "--without-mingle"]
        sender = configure(Celery("sender", set_as_current=False), prefix)
        joined = HogboxCelery(sender, PostHog(database.engine, project_token=TOKEN), beat=False)
        with celery_process([*arguments, "-l", "WARNING"], environment) as process:
            wait_until((folder / "ready").exists, f"the worker {process.pid}")
            try:
                yield Running(pool, CHILDREN[pool], sender, database, environment, folder)
            finally:
                joined.disconnect()
                sender.close()
