"""Dead letters on each database: found, put back once whoever asks, replaced, removed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sqlalchemy import select

from hogbox._events.event import Row
from hogbox._store.connections.database import Database
from hogbox._store.dead_letter import DeadLetterStore
from hogbox._store.dialects.element import epoch_ms
from hogbox._store.selection import DeadLetterRow, Selection
from tests.fixtures.database import TestDatabase, use_wal

DAY = 86_400


def bury(database: TestDatabase, count: int, *, project: str = "phc_dead", days: int = 0, reason: str = "No") -> None:
    """So many dead letters, of that age."""
    now = clock(database)
    for number in range(count):
        payload = json.dumps({"uuid": f"uuid {number}", "event": f"e{number % 2}", "distinct_id": f"u{number % 3}"})
        database.execute(
            "INSERT INTO posthog_dead_letters (shard, project, lane, payload, created_at, event_uuid, reason, status, "
            "died_at) VALUES (3, :project, 'analytics', :payload, 5, :uuid, :reason, 400, :died)",
            project=project,
            payload=payload,
            uuid=f"uuid {number}",
            reason=reason,
            died=now - days * DAY * 1000,
        )


def clock(database: TestDatabase) -> int:
    with database.engine.connect() as connection:
        return connection.scalar(select(epoch_ms())) or 0


def names(letters: list[DeadLetterRow]) -> list[str]:
    return [letter.event_uuid for letter in letters]


def find(own: Database, **wanted: object) -> list[str]:
    return names(list(DeadLetterStore(own).find(Selection(**wanted))))  # type: ignore[arg-type]


def test_letters_are_found_by_what_they_are(database: TestDatabase, own: Database) -> None:
    bury(database, 4)
    bury(database, 1, project="phc_other", days=9, reason="100% Proxy")
    first = database.rows("posthog_dead_letters")[0]["id"]
    everything = find(own)
    assert everything == ["uuid 0", "uuid 1", "uuid 2", "uuid 3", "uuid 0"]
    assert find(own, event="e1") == ["uuid 1", "uuid 3"]
    assert find(own, event="e0", distinct_id="u2") == ["uuid 2"]
    assert find(own, reason="% proxy") == find(own, older_than=8 * DAY) == find(own, project="phc_oth…") == ["uuid 0"]
    assert find(own, project="phc_dead", newer_than=DAY, limit=2) == ["uuid 0", "uuid 1"]
    assert find(own, ids=(first,), uuids=("uuid 3",)) == ["uuid 0", "uuid 3"]
    assert find(own, project="phc_d") == []


def test_many_are_found_in_portions_from_either_end(database: TestDatabase, own: Database) -> None:
    bury(database, 205)
    forwards = find(own)
    assert forwards == [f"uuid {number}" for number in range(205)]
    assert names(list(DeadLetterStore(own).find(Selection(), newest_first=True))) == forwards[::-1]
    assert len(find(own, limit=101)) == 101


def test_what_dies_meanwhile_is_not_meant(database: TestDatabase, own: Database) -> None:
    bury(database, 100)
    letters = DeadLetterStore(own).find(Selection())
    next(letters)
    bury(database, 5)
    assert len(list(letters)) == 99


def test_p3_letters_go_back_in_order_and_as_they_are(database: TestDatabase, own: Database) -> None:
    bury(database, 120)
    before = database.rows("posthog_dead_letters")
    store = DeadLetterStore(own)
    assert store.retry(store.find(Selection())) == 120
    columns = ("shard", "project", "lane", "payload", "created_at")
    after = database.rows("posthog_outbox")
    assert [[row[name] for name in columns] for row in after] == [[row[name] for name in columns] for row in before]
    assert database.count("posthog_dead_letters") == 0


def test_p2_two_who_retry_at_once_put_each_letter_back_once(database: TestDatabase, own: Database) -> None:
    use_wal(database)
    bury(database, 250)
    store, start = DeadLetterStore(own), Barrier(3)

    def retry() -> int:
        start.wait()
        return store.retry(store.find(Selection()))

    with ThreadPoolExecutor(3) as pool:
        counts = [done.result() for done in [pool.submit(retry) for _ in range(3)]]
    assert sum(counts) == 250
    assert len({row["payload"] for row in database.rows("posthog_outbox")}) == database.count("posthog_outbox") == 250
    assert database.count("posthog_dead_letters") == 0


def test_a_letter_that_was_changed_meanwhile_is_left_alone(database: TestDatabase, own: Database) -> None:
    bury(database, 1)
    store = DeadLetterStore(own)
    (letter,) = store.find(Selection())
    row = Row(9, letter.project, letter.lane, '{"uuid":"new"}')
    assert store.replace(letter, row, "new", retry=False)
    assert not store.replace(letter, row, "new", retry=False)
    assert not store.replace(letter, row, "new", retry=True)
    assert store.retry([letter]) == 0
    (changed,) = store.find(Selection())
    assert (changed.shard, changed.payload, changed.event_uuid) == (9, '{"uuid":"new"}', "new")
    assert (changed.id, changed.reason, changed.died_at) == (letter.id, letter.reason, letter.died_at)
    assert store.replace(changed, row._replace(shard=8), "new", retry=True)
    assert [row["shard"] for row in database.rows("posthog_outbox")] == [8]


def test_letters_are_removed_by_id_and_by_age(database: TestDatabase, own: Database) -> None:
    bury(database, 5, days=91)
    bury(database, 3)
    store = DeadLetterStore(own)
    assert store.expire(90 * DAY, 4) == 4
    assert store.expire(90 * DAY, 4) == 1
    assert store.expire(90 * DAY, 4) == 0
    ids = [row["id"] for row in database.rows("posthog_dead_letters")]
    assert store.purge([*ids[:2], ids[-1] + 100]) == 2
    assert database.count("posthog_dead_letters") == 1
