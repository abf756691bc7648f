"""`hogbox forget`: a person's events leave the outbox and the dead letters, others' stay; on each database."""

from __future__ import annotations

import io
import json
import sys

import pytest

from hogbox import PostHog
from hogbox._encryption import VARIABLE, new_key
from hogbox.emulator import Emulator
from tests.cli.conftest import TOKEN, Hogbox
from tests.fixtures.database import TestDatabase, use_wal
from tests.fixtures.process import WorkerStarter
from tests.fixtures.waiting import wait_until

ODD = 'a "quoted" Zoë\\%_'


def capture(database: TestDatabase, *people: str, project: str = TOKEN) -> None:
    posthog = PostHog(project_token=project)
    with database.engine.begin() as connection:
        for position, person in enumerate(people):
            properties = {"friend": "u_1", "position": position}
            posthog.capture(connection, "paid", distinct_id=person, properties=properties)


def people(database: TestDatabase) -> list[str]:
    return [event["distinct_id"] for event in database.events()]


def test_a_person_is_forgotten_everywhere(hogbox: Hogbox, database: TestDatabase) -> None:
    capture(database, "u_1", "ux1", "u_1", "u_11", "guest")
    capture(database, "u_1", project="phc_other")
    database.execute(
        "INSERT INTO posthog_dead_letters (shard, project, lane, payload, created_at, event_uuid, reason, "
        "died_at) SELECT shard, project, lane, payload, created_at, 'x', 'no', 1 FROM posthog_outbox"
    )
    counted = hogbox("forget", "u_1", "-d", database.url, "--dry-run")
    assert counted.stdout == "3 events in the outbox, 3 dead letters; nothing was removed\n"
    done = hogbox("forget", "u_1", "-d", database.url, "--project", TOKEN, "--yes")
    assert done.stdout == "2 events removed from the outbox, 2 dead letters removed\n"
    assert people(database) == ["ux1", "u_11", "u_1"]
    assert hogbox("forget", "u_1", "-d", database.url, "--yes").stdout.startswith("1 event removed")
    assert "u_1" not in people(database)
    assert len(database.dead_letters()) == 3


def test_a_distinct_id_that_json_writes_in_several_ways_is_found(hogbox: Hogbox, database: TestDatabase) -> None:
    capture(database, ODD, "u2")
    assert hogbox("forget", ODD, "-d", database.url, "--yes").stdout.startswith("1 event removed")
    assert people(database) == ["u2"]


def test_events_whose_project_was_changed_while_they_waited_are_found(hogbox: Hogbox, database: TestDatabase) -> None:
    capture(database, *(f"u{number}" for number in range(5)), project="phc_wrong")
    database.execute("UPDATE posthog_outbox SET project = 'phc_right'")
    for number in range(5):
        done = hogbox("forget", f"u{number}", "-d", database.url, "--project", "phc_right", "--yes")
        assert done.stdout.startswith("1 event removed")


def test_many_events_are_read_in_portions(hogbox: Hogbox, database: TestDatabase) -> None:
    capture(database, *["u1", "u2"] * 230)
    assert hogbox("forget", "u1", "-d", database.url, "--yes").stdout.startswith("230 events removed")
    assert people(database) == ["u2"] * 230


def test_it_asks_first(hogbox: Hogbox, sqlite_database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    capture(sqlite_database, "u1")
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    done = hogbox("forget", "u1", "-d", sqlite_database.url)
    assert done.returncode == 1
    assert "Permanently remove 1 event from the outbox and 0 dead letters?" in done.stdout
    assert people(sqlite_database) == ["u1"]


def test_p4_what_is_just_being_sent_can_be_forgotten(
    hogbox: Hogbox, database: TestDatabase, emulator: Emulator, start_worker: WorkerStarter
) -> None:
    """The events are removed under the worker's hands; everybody else's arrive once and in order."""
    use_wal(database)
    emulator.fault(delay=0.8, times=1)
    capture(database, *["u1", "u2"] * 10)
    start_worker(database.url, emulator.url, HOGBOX_REQUEST_TIMEOUT_SECONDS="5", HOGBOX_LEASE_SECONDS="8")
    emulator.wait_for(lambda running: running.summary()["faults_fired"] == 1)
    done = hogbox("forget", "u1", "-d", database.url, "--yes")
    assert done.stdout.startswith("10 events removed")
    wait_until(lambda: database.count("posthog_outbox") == 0, "the rest to be settled")
    capture(database, *["u2"] * 5)
    wait_until(lambda: database.count("posthog_outbox") == 0, "later events to be settled")
    positions = [event.properties["position"] for event in emulator.events() if event.distinct_id == "u2"]
    assert positions == [*range(1, 20, 2), *range(5)]
    assert database.count("posthog_dead_letters") == 0


@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_distinct_id_that_is_not_ascii_is_found_however_json_spells_it(
    hogbox: Hogbox, database: TestDatabase, *, ascii_only: bool
) -> None:
    capture(database, "Zoë 東京 🦔", "u2")
    for row in database.rows("posthog_outbox"):
        payload = json.dumps(json.loads(row["payload"]), ensure_ascii=ascii_only)
        database.execute("UPDATE posthog_outbox SET payload = :payload WHERE id = :id", payload=payload, id=row["id"])
    assert hogbox("forget", "Zoë 東京 🦔", "-d", database.url, "--yes").stdout.startswith("1 event removed")
    assert people(database) == ["u2"]


def test_without_the_keys_it_says_how_many_events_could_not_be_opened_and_fails(
    hogbox: Hogbox, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture(database, "u1")
    monkeypatch.setenv(VARIABLE, key := new_key())
    capture(database, "u1", "u2")
    database.execute(
        "INSERT INTO posthog_dead_letters (shard, project, lane, payload, created_at, event_uuid, reason, "
        "died_at) SELECT shard, project, lane, payload, created_at, 'x', 'no', 1 FROM posthog_outbox"
    )
    for options in (["--dry-run"], ["--yes"], ["--yes"]):
        done = hogbox("forget", "u1", "-d", database.url, *options)
        assert done.returncode == 1
        assert f"4 events and dead letters can't be decrypted, and may be the person's: set {VARIABLE}" in done.stderr
    done = hogbox("forget", "u1", "-d", database.url, "--yes", **{VARIABLE: key})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1 event removed from the outbox, 1 dead letter removed\n"
    assert (database.count("posthog_outbox"), database.count("posthog_dead_letters")) == (1, 1)


def test_error_messages_name_the_person_no_more(hogbox: Hogbox, database: TestDatabase) -> None:
    """Last errors of shards, reasons of holds and other people's dead letters; not longer words around the name."""
    capture(database, "u2")
    database.execute(
        "INSERT INTO posthog_dead_letters (shard, project, lane, payload, created_at, event_uuid, reason, died_at) "
        "SELECT shard, project, lane, payload, created_at, 'x', 'not ada@x.com, but aada@x.com', 1 FROM posthog_outbox"
    )
    database.execute("UPDATE posthog_shards SET last_error = 'HTTP 503: no shard for ada%40x.com' WHERE shard = 3")
    database.execute("UPDATE posthog_shards SET last_error = 'another' WHERE shard = 4")
    database.execute("INSERT INTO posthog_holds VALUES ('phc_test', 0, 99999999999999, 1, 401, 'ada@x.com?')")
    counted = hogbox("forget", "ada@x.com", "-d", database.url, "--dry-run")
    assert "3 error messages with the distinct id" in counted.stdout
    done = hogbox("forget", "ada@x.com", "-d", database.url, "--yes")
    assert "distinct id removed from 3 error messages" in done.stdout
    assert [row["reason"] for row in database.rows("posthog_holds", "project")] == ["[forgotten]?"]
    assert [row["reason"] for row in database.dead_letters()] == ["not [forgotten], but aada@x.com"]
    errors = {row["shard"]: row["last_error"] for row in database.rows("posthog_shards", "shard")}
    assert (errors[3], errors[4]) == ("HTTP 503: no shard for [forgotten]", "another")
