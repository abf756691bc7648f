"""The shop in Flask, started as its page says, under gunicorn with preload and four processes, and used over HTTP."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from hogbox.emulator import Emulator
from tests.docs.page import DOCS, ROOT, read_page
from tests.emulator.flag_case import definitions, flag, where
from tests.fixtures.database import TestDatabase
from tests.fixtures.port import free_port
from tests.fixtures.waiting import wait_until

FLAGS = definitions(flag("gift-wrap", where("price", 100, "gt")))


def commands() -> list[str]:
    """What the page says to run, in order."""
    (block,) = [
        block for block in read_page(DOCS / "how-to" / "flask.md").blocks if "examples.flask_shop" in block.text
    ]
    return block.text.splitlines()


@contextmanager
def served(environment: dict[str, str], port: int) -> Iterator[str]:
    """The shop, started by the commands of the page; it ends cleanly on SIGTERM."""
    *preparations, serve = [line for line in commands() if not line.startswith("export ")]
    options = {"cwd": ROOT, "env": environment}
    for command in preparations:
        subprocess.run(["bash", "-euc", command], **options, check=True)  # type: ignore[call-overload]
    command = f"exec {serve.replace('8000', str(port))}"
    with subprocess.Popen(["bash", "-c", command], **options, stderr=subprocess.PIPE, text=True) as server:  # type: ignore[call-overload]
        try:
            wait_until(lambda: answers(port), "the shop to open")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.send_signal(signal.SIGTERM)
            _, said = server.communicate(timeout=30)
        assert server.returncode == 0, said
        assert "Traceback" not in re.sub(r"Exception on /orders.*?KeyError: 'price'", "", said, flags=re.DOTALL), said


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def settings(database: str, emulator: Emulator) -> dict[str, str]:
    """The environment of the page, but for the database and where PostHog is."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HOGBOX_", "POSTHOG_", "SHOP_"))}
    exported = dict(line.removeprefix("export ").split("=", 1) for line in commands() if line.startswith("export "))
    return {
        **clean,
        **exported,
        "SHOP_DATABASE_URL": database,
        "POSTHOG_HOST": emulator.url,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
    }


@pytest.mark.parametrize("empty_database", ["sqlite", "postgresql"], indirect=True)
def test_the_shop_keeps_what_it_says(empty_database: TestDatabase, emulator: Emulator) -> None:
    emulator.set_flags(FLAGS)
    environment = settings(empty_database.url, emulator)
    with served(environment, free_port()) as url, httpx2.Client(base_url=url) as ada:
        assert ada.post("/orders", json={"item": "tea", "price": 4}).status_code == 401
        assert ada.post("/sign-in", json={"name": "ada"}).json() == {"welcome": "ada"}
        wait_until(lambda: empty_database.count("posthog_flag_definitions"), "the flags")
        tea = ada.post("/orders", json={"item": "tea", "price": 4}).json()
        assert tea == {"order": tea["order"], "gift_wrap": False}
        wait_until(lambda: ada.post("/orders", json={"item": "pot", "price": 200}).json()["gift_wrap"], "a gift")
        assert ada.post("/orders", json={"item": "yacht", "price": 90000}).status_code == 409
        assert ada.post("/orders", json={"item": "air"}).status_code == 500
        placed = empty_database.count('"order"')
        events = emulator.wait_for_events(placed + 2)
    by_name = {name: [event for event in events if event.event == name] for name in ("$identify", "$exception")}
    orders = [event for event in events if event.event == "order placed"]
    assert {event.distinct_id for event in events} == {"ada"}
    assert len(orders) == placed
    assert [event.properties["item"] for event in orders] == ["tea", *["pot"] * (placed - 1)]
    assert all(event.properties["$current_url"] == f"{url}/orders" for event in orders)
    assert len(by_name["$identify"]) == 1
    (mistake,) = by_name["$exception"]
    assert mistake.properties["$exception_list"][0]["type"] == "KeyError"
    assert mistake.properties["$response_status_code"] == 500
    assert empty_database.count("posthog_outbox") == 0
