"""The commands, with the settings of Django. `hogbox_worker` is tested as a process, with the example."""

from __future__ import annotations

import io
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command  # type: ignore[import-untyped]
from django.test import override_settings  # type: ignore[import-untyped]

from hogbox.emulator import Emulator
from hogbox.integrations.django import posthog
from hogbox.integrations.django.command import log_to_terminal
from tests.emulator.flag_case import definitions, flag
from tests.fixtures.database import TestDatabase, make_database
from tests.integrations.django.site import connected

DELIVERY = {"retry_base_seconds": 0.05, "request_timeout_seconds": 1, "lease_seconds": 2}


@pytest.fixture
def hogbox(emulator: Emulator) -> Iterator[dict[str, Any]]:
    """The HOGBOX setting, which leads to the emulator."""
    setting = {
        "PROJECT_TOKEN": "phc_django",
        "HOST": emulator.url,
        "PERSONAL_API_KEY": "phs_secret",
        "DELIVERY": DELIVERY,
    }
    with override_settings(HOGBOX=setting):
        yield setting


def run(command: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue().strip()


def test_deliver_delivers_from_djangos_database(
    django_database: TestDatabase, hogbox: dict[str, Any], emulator: Emulator
) -> None:
    uuids = [posthog.capture("paid", distinct_id="u1") for _ in range(3)]
    assert run("hogbox_deliver") == "3 delivered, 0 dead, 0 waiting"
    assert [event.uuid for event in emulator.events()] == uuids
    assert run("hogbox_deliver") == "0 delivered, 0 dead, 0 waiting"


def test_deliver_fails_where_events_still_wait(site: TestDatabase, hogbox: Any, emulator: Emulator) -> None:
    emulator.fault(status=503)
    posthog.capture("paid", distinct_id="u1")
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 event still waiting") as caught:
        call_command("hogbox_deliver", "--timeout", "0.2", stdout=out)
    assert caught.value.returncode == 1
    assert out.getvalue().strip() == "0 delivered, 0 dead, 1 waiting"


def test_refresh_stores_definitions_for_local_reads(
    django_database: TestDatabase, hogbox: Any, emulator: Emulator
) -> None:
    emulator.set_flags(definitions(flag("new")))
    assert run("hogbox_refresh") == "updated"
    assert run("hogbox_refresh") == "unchanged"
    assert posthog.is_feature_enabled("new", distinct_id="u1") is True


def test_refresh_fails_with_a_code_for_each_reason(site: TestDatabase, hogbox: Any, emulator: Emulator) -> None:
    emulator.fault(path="/flags/definitions", status=401)
    with pytest.raises(CommandError, match="error/auth") as caught:
        run("hogbox_refresh")
    assert caught.value.returncode == 1
    with override_settings(HOGBOX={"PROJECT_TOKEN": "phc_django"}), pytest.raises(CommandError) as caught:
        run("hogbox_refresh")
    assert caught.value.returncode == 2


def test_status_tells_how_things_stand(django_database: TestDatabase, hogbox: Any, emulator: Emulator) -> None:
    assert run("hogbox_status").splitlines() == [
        "waiting: 0",
        "dead letters: 0",
        "flag definitions: none",
        "workers alive: none",
        "healthy: no flag definitions are stored: where flags are read, they are inconclusive until a worker with "
        "POSTHOG_PERSONAL_API_KEY has fetched them; see: hogbox docs fix-stale-flag-definitions",
    ]
    posthog.capture("paid", distinct_id="u1")
    posthog.capture("paid", distinct_id="undefined")
    emulator.set_flags(definitions(flag("new")))
    run("hogbox_refresh")
    django_database.execute(
        "INSERT INTO posthog_workers (id, host, pid, version, started_at, seen_at) "
        "VALUES ('alive', 'h', 1, 'v', 1, 99999999999999), ('silent', 'h', 1, 'v', 1, 1)"
    )
    lines = run("hogbox_status").splitlines()
    assert lines[0].startswith("waiting: 1, the oldest since 20")
    assert lines[1] == "dead letters: 1"
    assert lines[2].startswith("flag definitions of phc_djan…: revision 1, last refresh updated at 20")
    assert lines[3] == "workers alive: alive"


def test_status_speaks_json(site: TestDatabase, hogbox: Any) -> None:
    posthog.capture("paid", distinct_id="u1")
    status = json.loads(run("hogbox_status", "--json"))
    assert (status["waiting"], status["dead_letters"], status["workers"]) == (1, 0, [])
    assert status["oldest_captured_at"].endswith("+00:00")
    (one,) = status["definitions"]
    assert (one["project"], one["revision"], one["last_refresh"]) == ("phc_djan…", 1, None)
    assert "never" in run("hogbox_status")


@pytest.mark.parametrize("command", ["hogbox_deliver", "hogbox_refresh", "hogbox_status", "hogbox_worker"])
def test_missing_tables_are_a_sentence_that_says_what_to_run(
    request: pytest.FixtureRequest, tmp_path: Path, hogbox: Any, command: str
) -> None:
    with make_database(request, "sqlite", tmp_path) as empty, connected(empty):
        with pytest.raises(CommandError, match=r"run manage\.py migrate hogbox"):
            call_command(command, verbosity=0)


def test_a_worker_needs_a_database_that_threads_can_share(site: TestDatabase, hogbox: Any) -> None:
    with connected(site) as wrapper:
        wrapper.settings_dict["NAME"] = ":memory:"
        with pytest.raises(CommandError, match="a database in memory"):
            call_command("hogbox_worker", verbosity=0)


@pytest.mark.parametrize("port", ["taken", "70000"])
def test_metrics_are_served_where_they_can_be(site: TestDatabase, hogbox: Any, port: str) -> None:
    with connected(site), socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        given = str(taken.getsockname()[1]) if port == "taken" else port
        with pytest.raises(CommandError, match=f"metrics can't be served at 127.0.0.1, port {given} "):
            call_command("hogbox_worker", "--metrics-port", given, verbosity=0)


def test_another_url_of_the_database_may_be_used(site: TestDatabase, hogbox: dict[str, Any]) -> None:
    url = f"sqlite:///{site.engine.url.database}"
    with override_settings(HOGBOX={**hogbox, "DATABASE_URL": url}):
        posthog.client.capture(None, "paid", distinct_id="u1")
        assert run("hogbox_deliver") == "1 delivered, 0 dead, 0 waiting"


def test_what_logging_says_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = logging.NullHandler()
    logging.getLogger("hogbox").addHandler(handler)
    try:
        before = logging.root.level
        log_to_terminal(1)
        assert logging.root.level == before
    finally:
        logging.getLogger("hogbox").removeHandler(handler)
