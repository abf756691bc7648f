"""The server beside a worker: what Prometheus scrapes, and what whoever runs the process asks."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hogbox import PostHog
from hogbox._delivery.health import WorkerHealth
from hogbox._operations.metrics.collector import Collector
from hogbox._operations.metrics.family import METRICS
from hogbox._operations.metrics.server import MetricsServer
from hogbox._store.connections.database import Database
from hogbox.emulator import Emulator
from hogbox.telemetry import Telemetry
from tests.cli.conftest import Hogbox, environment, hogbox  # noqa: F401 - fixtures
from tests.fixtures.database import TestDatabase
from tests.fixtures.port import free_port
from tests.fixtures.process import QUICK
from tests.fixtures.waiting import wait_until

WELL = WorkerHealth(beat_age=0.1, failing_for=None, leased=True, held=64, stopping=False)


@contextmanager
def served(database: TestDatabase, health: Callable[[], WorkerHealth], host: str = "127.0.0.1") -> Iterator[str]:
    collector = Collector(Database(database.engine, "posthog_"), Telemetry())
    with MetricsServer(host, 0, collector, health, 30.0) as server:
        yield server.url


@contextmanager
def worker(database: TestDatabase, emulator: Emulator) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A real worker with its metrics, as `hogbox worker --metrics-port` starts it."""
    port = free_port()
    environ = {"HOGBOX_DATABASE_URL": database.url, "POSTHOG_HOST": emulator.url, **QUICK}
    command = [sys.executable, "-m", "hogbox", "worker", "--metrics-port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, **environ})
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(30)


def status(url: str) -> int:
    try:
        return httpx2.get(url, timeout=5).status_code
    except httpx2.TransportError:
        return 0


def test_a_worker_serves_its_metrics_and_says_when_it_is_ready(database: TestDatabase, emulator: Emulator) -> None:
    with worker(database, emulator) as (url, process):
        wait_until(lambda: status(f"{url}/readyz") == 200, "the worker to be ready")
        assert httpx2.get(f"{url}/healthz").text == "ok\n"
        with PostHog(database.engine, project_token="phc_test") as posthog:
            posthog.capture(None, "paid", distinct_id="u1")
        emulator.wait_for_events(1)
        delivered = 'hogbox_events_total{project="phc_test",outcome="delivered"} 1\n'
        wait_until(lambda: delivered in httpx2.get(f"{url}/metrics").text, "the delivery to be counted")
        answer = httpx2.get(f"{url}/metrics")
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        families = {family.name for family in text_string_to_metric_families(answer.text)}
        assert families == {metric.name.removesuffix("_total") for metric in METRICS}
        assert "hogbox_worker_leases 64\n" in answer.text
        process.terminate()
        assert process.wait(30) == 0


def test_a_worker_that_has_no_shard_to_hold_is_ready_too(sqlite_database: TestDatabase, emulator: Emulator) -> None:
    sqlite_database.execute("UPDATE posthog_shards SET owner = 'another', lease_expires_at = 99999999999999")
    with worker(sqlite_database, emulator) as (url, _):
        wait_until(lambda: status(f"{url}/readyz") == 200, "the worker to be ready")
        assert "hogbox_worker_leases 0\n" in httpx2.get(f"{url}/metrics").text


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_a_worker_without_its_database_lives_and_is_not_ready(database: TestDatabase, emulator: Emulator) -> None:
    with worker(database, emulator) as (url, _):
        wait_until(lambda: status(f"{url}/readyz") == 200, "the worker to be ready")
        database.execute("ALTER TABLE posthog_shards RENAME TO posthog_shards_gone")
        wait_until(lambda: status(f"{url}/readyz") == 503, "the worker to see that the database fails")
        assert httpx2.get(f"{url}/readyz").text == "the database fails\n"
        assert status(f"{url}/healthz") == 200
        database.execute("ALTER TABLE posthog_shards_gone RENAME TO posthog_shards")
        wait_until(lambda: status(f"{url}/readyz") == 200, "the worker to recover")


def test_a_worker_that_stands_still_is_ill(sqlite_database: TestDatabase) -> None:
    with served(sqlite_database, lambda: WELL._replace(beat_age=31.0)) as url:
        answer = httpx2.get(f"{url}/healthz")
    assert (answer.status_code, answer.text) == (503, "the worker has stood still for 31 s\n")


def test_other_paths_say_what_there_is(sqlite_database: TestDatabase) -> None:
    with served(sqlite_database, lambda: WELL) as url:
        answer = httpx2.get(f"{url}/")
        head = httpx2.head(f"{url}/healthz?now=1")
    assert (answer.status_code, answer.text) == (404, "there are /metrics, /healthz, /readyz\n")
    assert (head.status_code, head.text) == (200, "")


def test_a_failure_of_its_own_is_an_answer_and_a_line_of_the_log(
    sqlite_database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> WorkerHealth:
        raise RuntimeError("not foreseen")

    with served(sqlite_database, fail) as url:
        assert status(f"{url}/readyz") == 500
        assert status(f"{url}/metrics") == 200
    assert "did not foresee" in caplog.text


def test_it_listens_on_ipv6_too(sqlite_database: TestDatabase) -> None:
    with served(sqlite_database, lambda: WELL, "::1") as url:
        assert url.startswith("http://[::1]:")
        assert status(f"{url}/healthz") == 200


def test_a_port_that_is_taken_is_a_sentence(hogbox: Hogbox, sqlite_database: TestDatabase) -> None:  # noqa: F811
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = hogbox("worker", "-d", sqlite_database.url, "--metrics-port", str(port))
    assert done.returncode == 1
    assert re.match(
        rf"hogbox: metrics can't be served at 127.0.0.1, port {port} \(.*\): choose another host or port", done.stderr
    )


def test_it_needs_no_extra(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['prometheus_client'] = sys.modules['opentelemetry'] = None\n"
        "import hogbox._operations.metrics.server, hogbox.cli.worker"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_a_connection_that_sends_slowly_is_closed(
    sqlite_database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte before each time-out of a read keeps no connection open."""
    monkeypatch.setattr("hogbox._operations.metrics.server._Server.read_seconds", 0.5)
    with (
        served(sqlite_database, lambda: WELL) as url,
        socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), 10) as slow,
    ):
        slow.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        slow.settimeout(0.1)
        ends = time.monotonic() + 8
        closed = False
        while not closed and time.monotonic() < ends:
            try:
                slow.sendall(b"y")
                closed = slow.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                closed = True
        assert closed
        assert httpx2.get(f"{url}/healthz").status_code == 200


class TestAHostThatIsAName:
    """A page of another site can make its own name lead to this machine, and would be read as its own then."""

    @pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
    @pytest.mark.parametrize("host", ["evil.example", "evil.example:9464", "localhost.evil.example", "", "[::1"])
    def test_it_is_refused_at_a_loopback_address(self, sqlite_database: TestDatabase, host: str, path: str) -> None:
        with served(sqlite_database, lambda: WELL) as url:
            answer = httpx2.get(f"{url}{path}", headers={"Host": host})
        assert answer.status_code == 403
        assert "hogbox_" not in answer.text

    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9464", "127.0.0.1:1", "[::1]:9464", "10.0.0.7"])
    def test_an_address_and_localhost_are_answered(self, sqlite_database: TestDatabase, host: str) -> None:
        with served(sqlite_database, lambda: WELL) as url:
            assert httpx2.get(f"{url}/metrics", headers={"Host": host}).status_code == 200

    def test_it_is_answered_at_other_addresses(self, sqlite_database: TestDatabase) -> None:
        with served(sqlite_database, lambda: WELL, host="0.0.0.0") as url:
            port = urlsplit(url).port
            answer = httpx2.get(f"http://127.0.0.1:{port}/metrics", headers={"Host": "worker-7.example:9464"})
        assert answer.status_code == 200

    def test_who_sends_none_is_answered(self, sqlite_database: TestDatabase) -> None:
        with served(sqlite_database, lambda: WELL) as url:
            parts = urlsplit(url)
            with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as connection:
                connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                assert connection.recv(100).startswith(b"HTTP/1.0 200")
