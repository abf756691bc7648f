"""The shop on FastAPI: started as its page says, used over HTTP, its events looked for where they should arrive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa

from hogbox.emulator import Emulator
from tests.docs.page import DOCS, ROOT, read_page
from tests.fixtures.database import TestDatabase
from tests.fixtures.port import free_port
from tests.fixtures.waiting import wait_until

PAGE = read_page(DOCS / "how-to" / "fastapi.md")
EXAMPLE = ROOT / "examples" / "fastapi_shop"

ADA = {"X-POSTHOG-DISTINCT-ID": "ada", "X-POSTHOG-SESSION-ID": "s-1"}
APART = httpx2.Limits(max_keepalive_connections=0)
"""A connection for each request: either process may get it, and uvicorn cuts those on which something failed."""

GRACE = {"X-POSTHOG-DISTINCT-ID": "grace"}


def script(database: TestDatabase, emulator: Emulator, port: int) -> str:
    """The commands of the page that start the shop, with this database, this PostHog and this port."""
    (block,) = [block for block in PAGE.blocks if "uvicorn" in block.text]
    url = sa.make_url(database.url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
    text = block.text.replace("postgresql+asyncpg://root@127.0.0.1:5432/shop", url)
    text = text.replace("http://127.0.0.1:8010", emulator.url).replace("8000", str(port))
    *preparations, serve = text.splitlines()
    return "\n".join([*preparations, f"exec {serve}"])


def environment() -> dict[str, str]:
    """That of the tests with hogbox's commands, and no settings but that flags are looked up each time."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HOGBOX_", "POSTHOG_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**clean, "PATH": path, "PYTHONPATH": str(ROOT / "src"), "HOGBOX_DEFINITIONS_MAX_AGE_SECONDS": "0"}


@contextmanager
def opened(database: TestDatabase, emulator: Emulator, log: Path) -> Iterator[httpx2.Client]:
    """A client of the shop while it runs; it ends cleanly on SIGTERM."""
    port = free_port()
    command = ["bash", "-euc", script(database, emulator, port)]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=output, stderr=output) as process,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, limits=APART) as client,
    ):
        try:
            wait_until(lambda: process.poll() is not None or log.read_text().count("startup complete") == 2, "the shop")
            yield client
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
    assert code == 0, log.read_text()


@pytest.mark.parametrize("empty_database", ["postgresql"], indirect=True)
def test_the_shop_keeps_what_it_says(empty_database: TestDatabase, emulator: Emulator, tmp_path: Path) -> None:
    emulator.set_flags(EXAMPLE / "flags.json")
    log = tmp_path / "log"
    with opened(empty_database, emulator, log) as client:
        assert client.get("/average", headers=GRACE).status_code == 500
        wait_until(lambda: client.get("/delivery", headers=ADA).json() == {"free": True}, "the flags")
        order = {"item": "mug", "card": "good"}
        assert client.post("/orders", json=order, headers=ADA).json() == 1200
        assert client.post("/orders", json={**order, "card": "declined"}, headers=ADA).status_code == 402
        assert client.post("/orders", json=order, headers=GRACE).json() == 1700
        assert client.post("/orders", json={"item": "mug"}, headers=GRACE).status_code == 422
        assert client.get("/average").json() == 1450
        base = str(client.base_url).rstrip("/")
    assert [row["cents"] for row in empty_database.rows("orders")] == [1200, 1700]
    assert empty_database.count("posthog_outbox") == 0
    events = {(event.event, event.distinct_id): event.properties for event in emulator.events(unique=True)}
    assert set(events) == {("$exception", "grace"), ("order placed", "ada"), ("order placed", "grace")}
    assert len(emulator.events(unique=True)) == 3
    told = events["order placed", "ada"]
    assert (told["item"], told["cents"], told["$feature/free-delivery"]) == ("mug", 1200, True)
    assert (told["$current_url"], told["$session_id"]) == (f"{base}/orders", "s-1")
    failed = events["$exception", "grace"]
    assert (failed["$request_path"], failed["$response_status_code"]) == ("/average", 500)
    assert failed["$exception_list"][0]["type"] == "ZeroDivisionError"
    assert log.read_text().count("Traceback") == 1


def test_the_page_quotes_the_code_as_it_is() -> None:
    quotes = [block for block in PAGE.blocks if block.detail.startswith("from examples/")]
    assert len(quotes) == 5
    for block in quotes:
        code = (ROOT / block.detail.removeprefix("from ")).read_text()
        for part in block.text.split("\n\n\n"):
            assert part in code, f"{block.where} is not {block.detail}:\n{part}"
