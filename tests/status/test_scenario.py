"""What goes wrong, with real workers: `hogbox status` alone shows which, and names the page that repairs it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hogbox import PostHog
from hogbox.emulator import Emulator
from tests.fixtures.database import TestDatabase
from tests.fixtures.process import QUICK, WorkerStarter
from tests.fixtures.waiting import wait_until
from tests.status.conftest import Ask

TOKEN = "phc_status_of_the_tests"
KEY = "phs_status"
POLLING = {
    "POSTHOG_PROJECT_TOKEN": TOKEN,
    "POSTHOG_PERSONAL_API_KEY": KEY,
    "POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS": "1",
    "POSTHOG_FLAGS_RETRY_DELAY_MS_OVERRIDE": "0",
}


def capture(database: TestDatabase, events: int, token: str = TOKEN, event: str = "paid") -> None:
    posthog = PostHog(project_token=token)
    with database.engine.begin() as connection:
        for number in range(events):
            posthog.capture(connection, event, distinct_id=f"u{number}")


def finding(status: Ask, database: TestDatabase, what: str) -> dict[str, Any]:
    """The status, as soon as it has this finding, which it then has under that name."""
    found: dict[str, Any] = {}

    def shown() -> bool:
        found.clear()
        found.update(status(database.url))
        return what in [one["what"] for one in found["findings"]]

    wait_until(shown, f"the finding {what}")
    found["finding"] = next(one for one in found["findings"] if one["what"] == what)
    return found


def healthy(status: Ask, database: TestDatabase) -> None:
    wait_until(lambda: status(database.url)["level"] == "healthy", "all to be well again")


def test_a_worker_at_work_is_healthy(
    database: TestDatabase, emulator: Emulator, start_worker: WorkerStarter, status: Ask
) -> None:
    worker = start_worker(database.url, emulator.url)
    capture(database, 5)
    emulator.wait_for_events(5)
    wait_until(lambda: status(database.url)["workers"][0]["delivered"] == 5, "the heartbeat to tell of the events")
    told = status(database.url)
    assert told["level"] == "healthy"
    (seen,) = told["workers"]
    assert (seen["pid"], seen["alive"], seen["shards"], seen["dead"]) == (worker.pid, True, 64, 0)
    assert told["backlog"]["events"] == 0
    assert told["shards"]["unowned"] == 0


def test_a_wrong_key_is_a_project_held_back_until_it_is_accepted(
    sqlite_database: TestDatabase, emulator: Emulator, start_worker: WorkerStarter, status: Ask
) -> None:
    wrong = "phc_wrong_key_of_the_tests"
    refusal = emulator.fault(status=403, body=f"no {wrong}", token=wrong)
    start_worker(sqlite_database.url, emulator.url, HOGBOX_KEY_REFUSED_CAP_SECONDS="0.5")
    capture(sqlite_database, 7, wrong)
    told = finding(status, sqlite_database, "project_held")
    assert told["level"] == "broken"
    assert told["finding"]["page"] == "fix-a-wrong-token"
    (held,) = told["held"]
    assert (held["project"], held["waiting"], held["status"]) == ("phc_wron…", 7, 403)
    assert wrong not in json.dumps(told)
    assert refusal.status == 403
    emulator.clear_faults()
    emulator.wait_for_events(7)
    healthy(status, sqlite_database)
    assert sqlite_database.rows("posthog_holds", "project") == []


def test_after_a_restart_of_all_workers_a_hold_of_old_does_not_mislead(
    sqlite_database: TestDatabase, emulator: Emulator, start_worker: WorkerStarter, status: Ask
) -> None:
    emulator.fault(status=401, token=TOKEN)
    first = start_worker(sqlite_database.url, emulator.url, HOGBOX_KEY_REFUSED_CAP_SECONDS="300")
    capture(sqlite_database, 3)
    finding(status, sqlite_database, "project_held")
    first.kill()
    first.wait()
    emulator.clear_faults()
    start_worker(sqlite_database.url, emulator.url)
    emulator.wait_for_events(3)
    wait_until(lambda: not status(sqlite_database.url)["held"], "the hold to be gone")


def test_a_poison_event_is_a_dead_letter(
    sqlite_database: TestDatabase, emulator: Emulator, start_worker: WorkerStarter, status: Ask
) -> None:
    emulator.fault(status=400, body="poison", event="bad")
    start_worker(sqlite_database.url, emulator.url)
    capture(sqlite_database, 3)
    capture(sqlite_database, 1, event="bad")
    emulator.wait_for_events(3)
    told = finding(status, sqlite_database, "dead_letters")
    assert told["level"] == "degraded"
    assert told["finding"]["page"] == "dead-letters"
    (reason,) = told["dead_letters"]["reasons"]
    assert (reason["events"], reason["status"]) == (1, 400)
    assert "poison" in reason["reason"]


def test_a_killed_worker_has_fallen_silent(
    sqlite_database: TestDatabase, emulator: Emulator, start_worker: WorkerStarter, status: Ask
) -> None:
    worker = start_worker(sqlite_database.url, emulator.url)
    wait_until(lambda: status(sqlite_database.url)["shards"]["unowned"] == 0, "the worker to hold all shards")
    worker.kill()
    worker.wait()
    capture(sqlite_database, 4)
    told = finding(status, sqlite_database, "worker_silent")
    assert f"process {worker.pid} " in told["finding"]["text"]
    assert "owns 64 shards, where events wait" in told["finding"]["text"]
    assert told["finding"]["page"] == "run-a-worker"
    finding(status, sqlite_database, "no_worker")
    start_worker(sqlite_database.url, emulator.url)
    emulator.wait_for_events(4)
    healthy(status, sqlite_database)


def test_a_backlog_without_any_worker_is_broken_once_it_is_old(sqlite_database: TestDatabase, status: Ask) -> None:
    assert status(sqlite_database.url)["level"] == "healthy"
    capture(sqlite_database, 4)
    told = finding(status, sqlite_database, "no_worker")
    assert told["level"] == "degraded"
    sqlite_database.execute("UPDATE posthog_outbox SET created_at = created_at - 300000")
    told = status(sqlite_database.url)
    assert told["level"] == "broken"
    assert told["backlog"]["events"] == 4
    assert 300 <= told["backlog"]["oldest_seconds"] < 400
    assert told["backlog"]["by_project"] == [{"project": "phc_stat…", "events": 4}]


def test_while_posthog_is_down_events_are_put_off(
    sqlite_database: TestDatabase, emulator: Emulator, start_worker: WorkerStarter, status: Ask
) -> None:
    emulator.fault(status=503, body="down")
    start_worker(sqlite_database.url, emulator.url)
    capture(sqlite_database, 3)
    told = finding(status, sqlite_database, "posthog_fails")
    assert told["finding"]["page"] == "handle-outages"
    assert "HTTP 503: down" in told["finding"]["text"]
    for one in told["shards"]["put_off"]:
        assert one["attempt"] >= 1
        assert one["again_in_seconds"] <= float(QUICK["HOGBOX_RETRY_CAP_SECONDS"])
        assert one["last_error_seconds"] < 60
    emulator.clear_faults()
    emulator.wait_for_events(3)
    healthy(status, sqlite_database)


def test_definitions_that_stop_are_told_and_who_polled_them(
    sqlite_database: TestDatabase, emulator: Emulator, start_worker: WorkerStarter, status: Ask
) -> None:
    emulator.set_flags({"flags": [], "group_type_mapping": {}, "cohorts": {}})
    worker = start_worker(sqlite_database.url, emulator.url, **POLLING)
    wait_until(lambda: [one for one in status(sqlite_database.url)["definitions"] if one["polls"] > 1], "two polls")
    told = status(sqlite_database.url)
    assert told["level"] == "healthy"
    (one,) = told["definitions"]
    assert (one["project"], one["revision"], one["etag"]) == ("phc_stat…", 1, True)
    assert f"-{worker.pid}-" in one["polled_by"]
    assert one["polls"] == one["polls_alone"]
    assert one["next_poll_in_seconds"] <= 1
    worker.terminate()
    worker.wait()
    told = finding(status, sqlite_database, "definitions_stopped")
    assert told["level"] == "degraded"
    assert told["finding"]["page"] == "fix-stale-flag-definitions"


@pytest.mark.parametrize(
    ("fault", "what", "level", "reason"),
    [
        (402, "flags_unknown", "broken", "quota"),
        (403, "definitions_fail", "broken", "auth"),
        (500, "definitions_fail", "broken", "unexpected-status"),
    ],
)
def test_definitions_that_posthog_does_not_give(
    sqlite_database: TestDatabase,
    emulator: Emulator,
    start_worker: WorkerStarter,
    status: Ask,
    fault: int,
    what: str,
    level: str,
    reason: str,
) -> None:
    emulator.fault(status=fault, path="/flags/definitions", method="GET")
    start_worker(sqlite_database.url, emulator.url, **POLLING)
    told = finding(status, sqlite_database, what)
    assert (told["level"], told["finding"]["page"]) == (level, "fix-stale-flag-definitions")
    assert told["definitions"][0]["last_reason"] == reason
    assert KEY not in json.dumps(told)


def test_a_key_without_definitions_is_a_finding(sqlite_database: TestDatabase, status: Ask) -> None:
    told = status(sqlite_database.url, POSTHOG_PROJECT_TOKEN=TOKEN, POSTHOG_PERSONAL_API_KEY=KEY)
    assert [one["what"] for one in told["findings"]] == ["definitions_missing"]
    assert KEY not in json.dumps(told)
