"""Encrypted payloads: with real workers, through rotation, with keys that are lost or were never there."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from hogbox import PostHog
from hogbox._encryption import VARIABLE, Cipher, new_key
from hogbox._events.dead_letter import read_event
from hogbox._events.limit import MAX_EVENT_BYTES
from hogbox._store.dead_letter import DeadLetterStore
from hogbox._store.selection import Selection
from hogbox.emulator import Emulator
from hogbox.settings import DeliverySettings
from hogbox.testing import CapturedEvents
from tests.fixtures.database import TestDatabase
from tests.fixtures.process import WorkerStarter
from tests.fixtures.waiting import wait_until

OLD, NEW = new_key(), new_key()
SECRET = "a secret that is nobody's business"
QUICK = DeliverySettings(retry_base_seconds=0.05, retry_cap_seconds=0.1, poll_seconds=0.05)


class Shop:
    """Captures and delivers with the keys of the moment."""

    def __init__(self, database: TestDatabase, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
        self._database = database
        self._emulator = emulator
        self._monkeypatch = monkeypatch

    def capture(self, event: str, *keys: str, **properties: Any) -> str | None:
        with self.client(*keys) as posthog:
            return posthog.capture(None, event, distinct_id="u1", properties={"note": SECRET, **properties})

    def client(self, *keys: str) -> PostHog:
        self._monkeypatch.setenv(VARIABLE, ",".join(keys))
        attempts = int(os.environ.get("HOGBOX_MAX_ATTEMPTS", "0"))
        delivery = dataclasses.replace(QUICK, max_attempts=attempts)
        return PostHog(self._database.url, project_token="phc_test", host=self._emulator.url, delivery=delivery)

    def payloads(self, table: str = "outbox") -> list[str]:
        return [row["payload"] for row in self._database.rows(f"posthog_{table}")]

    def received(self) -> list[str]:
        return [event.event for event in self._emulator.events()]


@pytest.fixture
def shop(database: TestDatabase, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(database, emulator, monkeypatch)


def test_p4_plain_and_encrypted_events_are_delivered_in_order_through_a_rotation(
    shop: Shop, database: TestDatabase, emulator: Emulator, start_worker: WorkerStarter
) -> None:
    keys = [(), (OLD,), (OLD, NEW), (NEW, OLD), ()]
    uuids = [shop.capture(f"event {number}", *some) for number, some in enumerate(keys)]
    stored = shop.payloads()
    assert [payload.startswith("fernet:") for payload in stored] == [bool(some) for some in keys]
    assert [SECRET in payload for payload in stored] == [not some for some in keys]
    assert Cipher.load({VARIABLE: NEW}).open(stored[3])
    start_worker(database.url, emulator.url, **{VARIABLE: f"{NEW},{OLD}"})
    events = emulator.wait_for_events(5)
    assert [event.uuid for event in events] == uuids
    assert {event.properties["note"] for event in events} == {SECRET}
    wait_until(lambda: not database.count("posthog_outbox"), "the events to be settled")
    assert not database.count("posthog_dead_letters")


def test_p2_an_event_whose_key_is_lost_is_a_dead_letter_and_holds_nothing_up(
    shop: Shop, database: TestDatabase
) -> None:
    shop.capture("lost", OLD)
    (sealed,) = shop.payloads()
    shop.capture("kept", NEW)
    with shop.client(NEW) as posthog:
        assert posthog.deliver() == (1, 1, 0)
    assert shop.received() == ["kept"]
    (letter,) = database.rows("posthog_dead_letters")
    assert (letter["payload"], letter["event_uuid"], letter["status"]) == (sealed, "", None)
    assert letter["reason"].startswith(f"No key in {VARIABLE} decrypts this payload")


def test_p9_an_event_is_not_sent_to_a_project_that_it_was_not_encrypted_for(
    shop: Shop, database: TestDatabase, emulator: Emulator
) -> None:
    """Whoever may write to the table, and has no key, can't have the worker send them what is in it."""
    shop.capture("stolen", OLD)
    (sealed,) = shop.payloads()
    database.execute("UPDATE posthog_outbox SET project = 'phc_thief'")
    shop.capture("kept", OLD)
    with shop.client(OLD) as posthog:
        assert posthog.deliver() == (1, 1, 0)
        assert shop.received() == ["kept"]
        (letter,) = DeadLetterStore(posthog._components.database).find(Selection())
    assert (letter.payload, letter.text, letter.project) == (sealed, sealed, "phc_thief")
    assert "a different project" in letter.reason


@pytest.mark.parametrize("column", ["lane = 'historical'", "shard = (shard + 1) % 64"])
def test_p4_a_payload_in_a_row_of_another_lane_or_shard_is_a_dead_letter(
    shop: Shop, database: TestDatabase, column: str
) -> None:
    shop.capture("moved", OLD)
    database.execute(f"UPDATE posthog_outbox SET {column}")
    with shop.client(OLD) as posthog:
        assert posthog.deliver() == (0, 1, 0)


def test_p9_a_dead_letter_of_another_project_is_neither_sent_nor_edited(
    shop: Shop, database: TestDatabase, emulator: Emulator
) -> None:
    emulator.fault(status=400, times=1)
    shop.capture("refused", OLD)
    with shop.client(OLD) as posthog:
        assert posthog.deliver() == (0, 1, 0)
        database.execute("UPDATE posthog_dead_letters SET project = 'phc_thief'")
        store = DeadLetterStore(posthog._components.database)
        (letter,) = store.find(Selection())
        assert read_event(letter.text) == {}
        assert store.retry([letter]) == 1
        assert posthog.deliver() == (0, 1, 0)
    assert shop.received() == []


def test_p4_events_that_were_encrypted_without_an_envelope_are_delivered_until_their_key_is_gone(
    shop: Shop, database: TestDatabase
) -> None:
    for name in ("first", "second"):
        shop.capture(name)
    for row in database.rows("posthog_outbox"):
        token = Fernet(OLD).encrypt(row["payload"].encode()).decode()
        database.execute("UPDATE posthog_outbox SET payload = :old WHERE id = :id", old=f"fernet:{token}", id=row["id"])
    shop.capture("third", NEW)
    with shop.client(NEW, OLD) as posthog:
        assert posthog.deliver() == (3, 0, 0)
    assert shop.received() == ["first", "second", "third"]


def test_p2_a_worker_without_any_keys_sends_what_it_can_and_leaves_the_rest_to_others(
    shop: Shop, database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    for name, keys in (("plain", ()), ("sealed", (OLD,)), ("after it", ())):
        shop.capture(name, *keys)
    with shop.client() as posthog:
        assert posthog.deliver(timeout=1.0) == (1, 0, 2)
    assert shop.received() == ["plain"]
    assert {row["last_error"] for row in database.rows("posthog_shards", "shard")} == {
        None,
        f"events are encrypted and this worker has no keys: set {VARIABLE} and restart it",
    }
    assert [record.levelname for record in caplog.records if "no keys" in record.getMessage()] == ["ERROR"]
    with shop.client(OLD) as posthog:
        assert posthog.deliver() == (2, 0, 0)
    assert shop.received() == ["plain", "sealed", "after it"]


def test_p2_a_refused_event_is_kept_encrypted_under_its_uuid(
    shop: Shop, database: TestDatabase, emulator: Emulator
) -> None:
    emulator.fault(status=400)
    uuid = shop.capture("refused", OLD)
    with shop.client(OLD) as posthog:
        assert posthog.deliver() == (0, 1, 0)
    (letter,) = database.rows("posthog_dead_letters")
    assert (letter["event_uuid"], letter["status"]) == (uuid, 400)
    assert Cipher.load({VARIABLE: OLD}).open(letter["payload"]).startswith(f'{{"uuid":"{uuid}"')


def test_limits_are_those_of_the_plain_payload(shop: Shop, database: TestDatabase) -> None:
    shop.capture("large", OLD, text="x" * (MAX_EVENT_BYTES - 1000))
    shop.capture("too large", OLD, text="x" * MAX_EVENT_BYTES)
    (large,), (too_large,) = shop.payloads(), shop.payloads("dead_letters")
    assert len(large) > MAX_EVENT_BYTES
    assert too_large.startswith("fernet:")
    with shop.client(OLD) as posthog:
        assert posthog.deliver() == (1, 0, 0)


def test_many_encrypted_events_are_drained_in_full_batches_and_in_order(shop: Shop, database: TestDatabase) -> None:
    with shop.client(OLD) as posthog, database.engine.begin() as connection:
        for number in range(1200):
            posthog.capture(connection, str(number), distinct_id="u1")
    with shop.client(OLD) as posthog:
        assert posthog.deliver() == (1200, 0, 0)
    assert shop.received() == [str(number) for number in range(1200)]


def test_tests_of_an_application_see_plain_events(shop: Shop, database: TestDatabase) -> None:
    shop.capture("seen", OLD)
    shop.capture("large", OLD, text="x" * MAX_EVENT_BYTES)
    captured = CapturedEvents()
    with database.engine.connect() as connection:
        assert captured.only(connection).properties["note"] == SECRET
        (letter,) = captured.dead_letters(connection)
    assert letter.event == "large"


def test_no_column_holds_what_is_in_an_encrypted_payload(shop: Shop, database: TestDatabase) -> None:
    shop.capture("secret plan", OLD)
    with database.engine.connect() as connection:
        for table in sa.inspect(connection).get_table_names():
            rows = connection.execute(sa.text(f"SELECT * FROM {table}")).all()
            assert SECRET not in str(rows)
            assert "secret plan" not in str(rows)


def test_p2_attempts_of_a_worker_without_keys_give_no_event_up(
    shop: Shop, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOGBOX_MAX_ATTEMPTS", "3")
    shop.capture("sealed", NEW)
    for _ in range(4):
        with shop.client() as posthog:
            assert posthog.deliver(timeout=0.5) == (0, 0, 1)
    emulator.fault(status=500, times=1)
    with shop.client(NEW) as posthog:
        assert posthog.deliver(timeout=10) == (1, 0, 0)
