"""`hogbox event`: where an event is, on each database."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from hogbox import PostHog
from hogbox._events.identifier import shard_of
from hogbox.emulator import Emulator
from tests.cli.conftest import TOKEN, Hogbox
from tests.fixtures.database import TestDatabase


def capture(database: TestDatabase, *people: str) -> list[str]:
    """An event of each of these people; the uuids."""
    posthog = PostHog(project_token=TOKEN)
    with database.engine.begin() as connection:
        return [str(posthog.capture(connection, "paid", distinct_id=person)) for person in people]


def look(hogbox: Hogbox, database: TestDatabase, uuid: str, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(hogbox("event", uuid, "-d", database.url, "--json", *options).stdout)
    return found


def test_a_waiting_event_is_found_with_its_place_in_line(hogbox: Hogbox, database: TestDatabase) -> None:
    uuids = capture(database, "u1", "u2", "u1", "u1")
    waiting = look(hogbox, database, uuids[3].upper())["waiting"]
    assert (waiting["ahead_of_person"], waiting["ahead_is_exact"]) == (2, True)
    assert waiting["shard"] == shard_of(TOKEN, "u1")
    assert waiting["why"] == ["no worker runs: start hogbox worker, or run hogbox deliver"]
    done = hogbox("event", uuids[0], "-d", database.url)
    assert done.returncode == 0
    assert "'paid' of 'u1'" in done.stdout
    assert "behind 0 events of the same person" in done.stdout
    assert TOKEN not in done.stdout


def test_it_says_what_holds_the_event_back(hogbox: Hogbox, database: TestDatabase) -> None:
    (uuid,) = capture(database, "u1")
    database.execute(
        "INSERT INTO posthog_holds (project, held_at, until, attempt, status, reason) "
        "VALUES (:project, 0, 9000000000000, 3, 401, 'invalid token')",
        project=TOKEN,
    )
    database.execute("UPDATE posthog_shards SET attempt = 2, not_before = 9000000000000, last_error = '503'")
    no_worker, held, put_off = look(hogbox, database, uuid)["waiting"]["why"]
    assert "no worker runs" in no_worker
    assert "refuses the project's token (invalid token)" in held
    assert "after 2 failed attempts: 503" in put_off


def test_a_dead_letter_is_found_with_its_reason(hogbox: Hogbox, database: TestDatabase) -> None:
    (uuid,) = capture(database, "undefined")
    done = hogbox("event", uuid, "-d", database.url)
    assert done.returncode == 0
    assert "dead letter 1 since" in done.stdout
    assert "creates no person" in done.stdout


def test_a_delivered_event_is_nowhere(hogbox: Hogbox, database: TestDatabase, emulator: Emulator) -> None:
    (uuid,) = capture(database, "u1")
    hogbox("deliver", "-d", database.url, "--host", emulator.url)
    done = hogbox("event", uuid, "-d", database.url)
    assert done.returncode == 1
    assert "not waiting (all searched), not a dead letter" in done.stdout
    assert "It was delivered; or its transaction was rolled back" in done.stdout


def test_the_search_is_bounded_and_says_so(hogbox: Hogbox, database: TestDatabase) -> None:
    uuids = capture(database, "u1", "u2", "u3")
    assert look(hogbox, database, uuids[2], "--scan", "3")["waiting"]["id"] == 3
    found = look(hogbox, database, uuids[2], "--scan", "2")
    assert (found["waiting"], found["outbox_searched"]) == (None, "the oldest 2 ids")
    assert look(hogbox, database, str(uuid4()), "--scan", "3")["outbox_searched"] == "all"


def test_what_is_no_uuid_is_a_wrong_argument(hogbox: Hogbox, sqlite_database: TestDatabase) -> None:
    done = hogbox("event", "17", "-d", sqlite_database.url)
    assert done.returncode == 2
    assert "is not a valid uuid" in done.stderr


def test_an_ai_event_waits_behind_those_of_its_lane_only(hogbox: Hogbox, database: TestDatabase) -> None:
    posthog = PostHog(database.url, project_token=TOKEN)
    capture(database, "u1", "u1")
    uuids = [str(posthog.capture_ai(None, "$ai_span", distinct_id="u1")) for _ in range(2)]
    waiting = look(hogbox, database, uuids[1])["waiting"]
    assert (waiting["lane"], waiting["ahead_of_person"], waiting["ahead_is_exact"]) == ("ai", 1, True)
    assert ", lane ai" in hogbox("event", uuids[1], "-d", database.url).stdout
    (ordinary,) = capture(database, "u1")
    assert look(hogbox, database, ordinary)["waiting"]["ahead_of_person"] == 2
    posthog.shutdown()


def test_a_dead_ai_event_is_requeued_in_its_lane_and_forgotten_with_its_person(
    hogbox: Hogbox, database: TestDatabase
) -> None:
    posthog = PostHog(database.url, project_token=TOKEN)
    posthog.capture_ai(None, "$ai_span", distinct_id="undefined")
    posthog.capture_ai(None, "$ai_new", distinct_id="u1")
    assert hogbox("dead", "retry", "--all", "--force", "-d", database.url).returncode == 0
    assert [(row["lane"], row["project"]) for row in database.rows("posthog_outbox")] == [("ai", TOKEN)] * 2
    assert hogbox("forget", "u1", "--yes", "-d", database.url).returncode == 0
    assert [event["distinct_id"] for event in database.events()] == ["undefined"]
    posthog.shutdown()
