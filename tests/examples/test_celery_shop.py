"""The Celery shop as its page says: a real worker with its beat, orders from another process, events at PostHog."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from hogbox.emulator import Emulator, ReceivedEvent
from tests.docs.page import ROOT
from tests.examples.quotation import commands, misquotations
from tests.fixtures.requirement import unavailable

BROKER = "redis://127.0.0.1:6379"
SETTINGS, WORKER, ORDERS = commands("celery", Path(__file__))


@pytest.fixture
def broker() -> Iterator[str]:
    """A database of the machine's Redis that no other process uses."""
    try:
        number = next(number for number in range(10, 16) if _taken(number))
    except redis.ConnectionError as error:
        unavailable("redis", str(error))
    yield f"{BROKER}/{number}"
    with redis.Redis.from_url(f"{BROKER}/{number}") as client:
        client.flushdb()


def _taken(number: int) -> bool:
    """Take this database, if it is empty and no other process has taken it at the same moment."""
    with redis.Redis.from_url(f"{BROKER}/{number}") as client:
        return client.dbsize() == 0 and bool(client.set("taken by a test", "", nx=True, ex=600))


@pytest.fixture
def environment(broker: str) -> dict[str, str]:
    """Nothing but what the page says, and where its parts are on this machine."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HOGBOX_", "POSTHOG_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    python_path = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
    return {**clean, "CELERY_BROKER_URL": broker, "PATH": path, "PYTHONPATH": python_path}


@contextmanager
def running(script: str, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(["bash", "-euc", script], cwd=folder, env=environment, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def told(events: list[ReceivedEvent], person: str) -> list[str]:
    return sorted(event.event for event in events if event.distinct_id == person)


def test_orders_are_confirmed_and_charged_by_tasks_that_know_who_ordered(
    emulator: Emulator, environment: dict[str, str], tmp_path: Path
) -> None:
    settings = SETTINGS.replace("http://127.0.0.1:8010", emulator.url)
    subprocess.run(["bash", "-euc", settings], cwd=tmp_path, env=environment, check=True, timeout=60)
    exports = settings.replace("hogbox migrate\n", "")
    with running(exports + WORKER, tmp_path, environment):
        subprocess.run(["bash", "-euc", exports + ORDERS], cwd=tmp_path, env=environment, check=True, timeout=60)
        events = emulator.wait_for_events(6, timeout=60)
    assert told(events, "ada") == ["order confirmed", "order paid", "order placed"]
    assert told(events, "bob") == ["$exception", "order confirmed", "order placed"]
    assert {event.properties["channel"] for event in events} == {"shop"}
    (exception,) = [event for event in events if event.event == "$exception"]
    assert exception.properties["$exception_list"][0]["type"] == "CardDeclined"
    assert exception.properties["celery_task_name"] == "examples.celery_shop.tasks.charge"


def test_the_page_quotes_the_example() -> None:
    assert list(misquotations("celery")) == []
