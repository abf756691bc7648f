"""The shop in Django, started as its page says, under WSGI and under ASGI, and used over HTTP."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from hogbox.emulator import Emulator
from tests.docs.page import DOCS, ROOT, read_page
from tests.emulator.flag_case import definitions, flag
from tests.fixtures.port import free_port
from tests.fixtures.waiting import wait_until

PAGE = read_page(DOCS / "how-to" / "django.md")
EXAMPLE = ROOT / "examples" / "django_shop"

SERVERS = {
    "runserver": "python manage.py runserver 8000 --noreload",
    "gunicorn": "gunicorn --bind 127.0.0.1:8000 --workers 2 shop.wsgi",
    "uvicorn": "uvicorn --port 8000 shop.asgi:application",
}
ADA = {"X-POSTHOG-DISTINCT-ID": "ada", "X-POSTHOG-SESSION-ID": "session-1"}


class Shop:
    """A copy of the example, and the processes that were started in it."""

    def __init__(self, folder: Path, posthog_host: str) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HOGBOX_", "POSTHOG_"))}
        self._environment = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "POSTHOG_HOST": posthog_host,
            "POSTHOG_PERSONAL_API_KEY": "phs_secret",
        }

    def run(self, command: str) -> str:
        """A command of the page, from beginning to end."""
        done = subprocess.run(
            shlex.split(command), cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def running(self, command: str) -> Iterator[subprocess.Popen[bytes]]:
        """A command of the page that stays."""
        process = subprocess.Popen(
            shlex.split(command), cwd=self.folder, env=self._environment, stderr=subprocess.DEVNULL
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the shop, with its tables."""
    folder = tmp_path_factory.mktemp("django") / "shop"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", "*.db*"))
    Shop(folder, "http://127.0.0.1:9").run("python manage.py migrate")
    return folder


@pytest.fixture
def shop(tmp_path: Path, migrated: Path, emulator: Emulator) -> Shop:
    """A shop of the test's own."""
    shutil.copytree(migrated, tmp_path / "shop")
    return Shop(tmp_path / "shop", emulator.url)


@pytest.fixture(params=SERVERS)
def served(request: pytest.FixtureRequest, shop: Shop) -> Iterator[httpx2.Client]:
    """The shop, served; a browser of ada's."""
    port = free_port()
    with (
        shop.running(SERVERS[request.param].replace("8000", str(port))),
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=ADA, timeout=20) as browser,
    ):
        wait_until(lambda: _answers(browser), "the shop to answer")
        yield browser


def _answers(browser: httpx2.Client) -> bool:
    try:
        return browser.get("/admin/login/").status_code == 200
    except httpx2.TransportError:
        return False


def test_p1_the_shop_captures_what_it_commits_and_nothing_else(
    shop: Shop, served: httpx2.Client, emulator: Emulator
) -> None:
    emulator.set_flags(definitions(flag("summer-sale")))
    assert shop.run("python manage.py hogbox_refresh").strip() == "updated"
    assert served.get("/offer").json() == {"sale": True}
    assert served.post("/orders", data={"article": "hedgehog", "pieces": 2}).status_code == 201
    assert served.post("/orders", data={"article": "hedgehog", "pieces": 99}).status_code == 500
    assert served.get("/orders/count").json() == {"orders": 1}
    with shop.running("python manage.py hogbox_worker") as worker:
        events = emulator.wait_for_events(3)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    assert [event.event for event in events] == ["order placed", "$exception", "orders counted"]
    assert {(event.distinct_id, event.properties["$session_id"]) for event in events} == {("ada", "session-1")}
    placed, failed, counted = (event.properties for event in events)
    assert (placed["pieces"], counted["orders"]) == (2, 1)
    assert failed["$exception_list"][0]["type"] == "OutOfStock"
    assert failed["$request_path"] == "/orders"
    assert shop.run("python manage.py hogbox_status").startswith("waiting: 0\ndead letters: 0\n")


def test_its_own_tests_pass(shop: Shop) -> None:
    shop.run("python manage.py test")


def test_its_migrations_are_complete_and_its_settings_right(shop: Shop) -> None:
    shop.run("python manage.py makemigrations --check --dry-run")
    assert "no issues" in shop.run("python manage.py check --fail-level WARNING")


def test_the_page_names_the_commands_and_quotes_the_files() -> None:
    shell = "".join(block.text for block in PAGE.blocks if block.language == "sh")
    for command in [*SERVERS.values(), "python manage.py migrate", "python manage.py hogbox_worker"]:
        assert command in shell
    files = re.sub(r"  # (type|noqa).*", "", "".join(path.read_text() for path in EXAMPLE.rglob("*.py")))
    quoted = [block for block in PAGE.blocks if block.detail.startswith("examples/django_shop")]
    assert len(quoted) >= 4
    for block in quoted:
        for part in block.text.split("\n...\n"):
            assert part.strip("\n") in files, f"{block.where} is not in the example"
