"""The handlers as Lambda calls them: each cold start is a process, which is frozen or ended when it has answered."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hogbox.emulator import Emulator
from hogbox.schema import create_tables
from tests.docs.page import ROOT
from tests.examples.quotation import shown_file
from tests.fixtures.database import TestDatabase, make_database

RUNTIME = """
import json, sys
from examples import lambda_handler

for line in sys.stdin:
    name, event = json.loads(line)
    print(json.dumps(getattr(lambda_handler, name)(event, None)), flush=True)
"""


class Container:
    """A process that has loaded the handlers, and calls one when it is told to."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", RUNTIME],
            env=environment,
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def invoke(self, name: str, event: dict[str, Any]) -> dict[str, Any]:
        """What the handler answers."""
        self._process.send_signal(signal.SIGCONT)
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([name, event]) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def freeze(self) -> None:
        """What Lambda does with a container between two calls."""
        self._process.send_signal(signal.SIGSTOP)

    def end(self) -> None:
        """What it does with one that it needs no longer: there is no warning."""
        self._process.kill()
        self._process.communicate()


Start = Callable[[], Container]


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestDatabase]:
    """A database with orders."""
    with make_database(request, request.param, tmp_path) as database:
        create_tables(database.engine)
        database.execute("CREATE TABLE orders (person VARCHAR(99), cents INTEGER)")
        yield database


@pytest.fixture
def start(shop: TestDatabase, emulator: Emulator) -> Iterator[Start]:
    """Starts containers, which can deliver and refresh; all have ended afterwards."""
    emulator.set_flags({"flags": []})
    settings = {
        "HOGBOX_DATABASE_URL": shop.url,
        "POSTHOG_HOST": emulator.url,
        "POSTHOG_PROJECT_TOKEN": "phc_lambda",
        "POSTHOG_PERSONAL_API_KEY": "phs_lambda",
    }
    with ExitStack() as stack:

        def begin() -> Container:
            container = Container({**os.environ, **settings})
            stack.callback(container.end)
            return container

        yield begin


def order(person: str, cents: int) -> dict[str, Any]:
    """An order as API Gateway hands it over."""
    return {"version": "2.0", "headers": {}, "body": json.dumps({"person": person, "cents": cents})}


def test_p2_an_event_outlives_a_container_that_ends_when_it_has_answered(start: Start, emulator: Emulator) -> None:
    cold = start()
    assert cold.invoke("handler", order("ada", 4200)) == {"statusCode": 201}
    cold.end()
    assert emulator.requests() == []
    delivered = start().invoke("deliver", {})
    assert (delivered["delivered"], delivered["dead"], delivered["waiting"]) == (1, 0, 0)
    assert [(event.event, event.distinct_id) for event in emulator.events()] == [("order placed", "ada")]


def test_a_container_goes_on_after_it_was_frozen_and_its_connection_cut(start: Start, shop: TestDatabase) -> None:
    warm = start()
    warm.invoke("handler", order("ada", 1))
    warm.freeze()
    if shop.backend == "postgresql":
        shop.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname "
            "= current_database()"
        )
    assert warm.invoke("handler", order("bob", 2)) == {"statusCode": 201}
    assert [event["distinct_id"] for event in shop.events()] == ["ada", "bob"]


def test_p1_an_order_that_is_refused_leaves_no_event(start: Start, shop: TestDatabase) -> None:
    assert start().invoke("handler", order("bob", 99_000)) == {"statusCode": 402}
    assert (shop.count("orders"), shop.events()) == (0, [])


def test_p5_the_schedule_refreshes_definitions_where_that_is_due(start: Start, emulator: Emulator) -> None:
    container = start()
    outcomes = [one.invoke("deliver", {})["definitions"] for one in (container, container, start())]
    assert outcomes == ["updated", "skipped/not-due", "skipped/not-due"]
    assert len([request for request in emulator.requests() if "definitions" in request.path]) == 1


def test_the_page_shows_the_handlers() -> None:
    shown = shown_file("serverless-functions", "lambda_handler.py")
    assert shown == (ROOT / "examples" / "lambda_handler.py").read_text()
