"""Rows that another program wrote or spoiled: each goes to the dead letters alone, with the reason."""

from __future__ import annotations

import pytest

from hogbox import PostHog
from hogbox._events.identifier import shard_of
from hogbox.emulator import Emulator
from tests.fixtures.database import TestDatabase

DEEP = "[" * 9000 + "]" * 9000
ANYWHERE = {
    "two events": 'UPDATE posthog_outbox SET payload = \'{"event":"a"},{"event":"b"}\' WHERE id = 2',
    "more than an event": 'UPDATE posthog_outbox SET payload = \'{"event":"a"}],"api_key":"x","y":[1\' WHERE id = 2',
    "a number": "UPDATE posthog_outbox SET payload = '5' WHERE id = 2",
    "nested too deep": f'UPDATE posthog_outbox SET payload = \'{{"uuid":"a","x":{DEEP}}}\' WHERE id = 2',
    "nothing": "UPDATE posthog_outbox SET payload = '' WHERE id = 2",
    "shard 64": "UPDATE posthog_outbox SET shard = 64 WHERE id = 2",
    "shard -1": "UPDATE posthog_outbox SET shard = -1 WHERE id = 2",
}
ON_SQLITE = {
    "not UTF-8": "UPDATE posthog_outbox SET payload = CAST(x'7bff7d' AS TEXT) WHERE id = 2",
    "a lone surrogate": "UPDATE posthog_outbox SET payload = CAST(x'22eda08022' AS TEXT) WHERE id = 2",
    "bytes": "UPDATE posthog_outbox SET payload = x'7bff7d' WHERE id = 2",
    "a project of bytes": "UPDATE posthog_outbox SET project = x'ff' WHERE id = 2",
    "a shard of letters": "UPDATE posthog_outbox SET shard = 'abc' WHERE id = 2",
}


def deliver(database: TestDatabase, emulator: Emulator, change: str) -> tuple[int, list[dict[str, object]]]:
    """What a drain delivers of ten events after the change, and the dead letters."""
    with PostHog(database.url, project_token="phc_spoiled", host=emulator.url) as posthog:
        for number in range(10):
            posthog.capture(None, "paid", distinct_id=f"person {number}")
        database.execute(change.replace(":", "\\:"))
        delivered = posthog.deliver(timeout=30).delivered
    assert database.count("posthog_outbox") == 0
    return delivered, database.rows("posthog_dead_letters")


@pytest.mark.parametrize("name", ANYWHERE)
def test_p2_one_row_is_set_aside_and_all_others_are_delivered(
    database: TestDatabase, emulator: Emulator, name: str
) -> None:
    delivered, (letter,) = deliver(database, emulator, ANYWHERE[name])
    assert (delivered, letter["status"]) == (9, None)
    assert ("shard" if name.startswith("shard") else "JSON object") in str(letter["reason"])


@pytest.mark.parametrize("uuid", ["u" * 70, "ééé"])
def test_p2_an_event_whose_uuid_fits_in_no_column_is_a_dead_letter_when_posthog_refuses_it(
    database: TestDatabase, emulator: Emulator, uuid: str
) -> None:
    change = f'UPDATE posthog_outbox SET payload = \'{{"uuid":"{uuid}","distinct_id":"x"}}\' WHERE id = 2'
    delivered, (letter,) = deliver(database, emulator, change)
    assert (delivered, letter["event_uuid"], letter["status"]) == (9, "", 400)


@pytest.mark.parametrize("name", ON_SQLITE)
def test_p2_one_row_that_cannot_be_read_is_set_aside_on_sqlite(
    sqlite_database: TestDatabase, emulator: Emulator, name: str
) -> None:
    delivered, (letter,) = deliver(sqlite_database, emulator, ON_SQLITE[name])
    assert delivered == 9
    if name == "not UTF-8":
        assert letter["payload"] == "7BFF7D"


def test_an_event_of_a_shard_that_is_none_can_be_put_back(database: TestDatabase, emulator: Emulator) -> None:
    _, (letter,) = deliver(database, emulator, ANYWHERE["shard 64"])
    assert letter["shard"] == shard_of("phc_spoiled", "person 1")
    assert '"person 1"' in str(letter["payload"])


def test_p2_the_row_of_a_shard_that_was_removed_is_put_back(database: TestDatabase, emulator: Emulator) -> None:
    assert deliver(database, emulator, "DELETE FROM posthog_shards WHERE shard < 63") == (10, [])
    assert database.count("posthog_shards") == 64


def test_a_worker_whose_name_cannot_be_read_stops_no_other(sqlite_database: TestDatabase, emulator: Emulator) -> None:
    spoiled = (
        "INSERT INTO posthog_workers (id, host, pid, version, started_at, seen_at) "
        "VALUES (CAST(x'ff' AS TEXT), 'h', 1, '1', 0, 99999999999999)"
    )
    assert deliver(sqlite_database, emulator, spoiled) == (10, [])
