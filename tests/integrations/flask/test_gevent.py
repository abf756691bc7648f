"""gunicorn with gevent workers, configured as the page on gunicorn says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2

from hogbox.emulator import Emulator
from tests.docs.page import ROOT
from tests.fixtures.database import TestDatabase, use_wal
from tests.fixtures.port import free_port
from tests.fixtures.waiting import wait_until
from tests.integrations.flask.test_gunicorn import answers

SERVED = "tests.integrations.flask.gevent_served"
VISITS = 40


def recipe() -> str:
    """The hooks for gevent on the page, for the application of this test."""
    page = (ROOT / "docs/how-to/fork-and-gunicorn.md").read_text()
    (hooks,) = re.findall(r"```python\n(def post_worker_init.*?)```", page, re.DOTALL)
    return str(hooks).replace("from app import", f"from {SERVED} import")


def test_p5_a_gevent_worker_captures_and_delivers(
    sqlite_database: TestDatabase, emulator: Emulator, tmp_path: Path
) -> None:
    use_wal(sqlite_database)
    (tmp_path / "conf.py").write_text(recipe())
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "-k", "gevent", "-w", "2", "-c", str(tmp_path / "conf.py")]
    command += ["-b", f"127.0.0.1:{port}", f"{SERVED}:application"]
    environment = {
        **os.environ,
        "SHOP_DATABASE_URL": sqlite_database.url,
        "POSTHOG_HOST": emulator.url,
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
    }
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            wait_until(lambda: answers(port), "gunicorn to listen")
            with ThreadPoolExecutor(8) as pool:
                urls = [f"http://127.0.0.1:{port}/v{number}" for number in range(VISITS)]
                statuses = list(pool.map(lambda url: httpx2.get(url, timeout=30).status_code, urls))
            assert statuses == [200] * VISITS
            wait_until(lambda: len(emulator.events(event="visited", unique=True)) == VISITS, "all deliveries")
        finally:
            server.send_signal(signal.SIGTERM)
            _, said = server.communicate(timeout=30)
    assert server.returncode == 0, said
    assert "Traceback" not in said, said
    assert sqlite_database.count("posthog_workers") == 0
