"""Shards of which nothing could be sent rest for as long as the search for it cost, whenever that is noticed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

import pytest

from hogbox import PostHog
from hogbox._delivery.schedule import Finished, TurnOutcome
from hogbox._http.capture import CaptureTransport
from hogbox._store.connections.database import Database
from hogbox._store.exposure import ClaimStore
from hogbox._store.outbox import Ready
from hogbox._worker.exposure import ExposureClaims
from hogbox._worker.flagged import FlaggedEvents
from hogbox._worker.sender import Sender
from hogbox._worker.worker import Worker
from hogbox.settings import DeliverySettings
from tests.fixtures.database import TestDatabase


class Idle:
    """A worker that holds all shards and deals them; its turns end when the test says so."""

    def __init__(self, database: TestDatabase) -> None:
        self.worker = Worker(Database(database.engine, "posthog_"), "http://127.0.0.1:1", DeliverySettings())
        self.turns: list[Future[Finished]] = []
        self.worker._keep_leases()

    def look(self) -> int:
        """Collect what has ended, and deal what does not rest; how many turns there were so far."""
        self.worker._collect()
        self.worker._deal(self._submit)
        return len(self.turns)

    def _submit(self, _ready: Sequence[Ready], _share: bool) -> Future[Finished]:
        self.turns.append(Future())
        return self.turns[-1]

    def end(self, *, seconds: float, ago: float, outcome: TurnOutcome = TurnOutcome.NOTHING) -> None:
        """The last turn sent nothing, took so long, and ended so long ago."""
        ended = time.monotonic() - ago
        self.turns[-1].set_result(Finished(outcome, ended - seconds, ended))

    def search(self, clock: Callable[[], float]) -> Finished:
        """A turn of a real sender, with the shards that were dealt last."""
        worker = self.worker
        settings, shared, telemetry = worker._settings, worker._shared, worker._telemetry
        exposures = ExposureClaims(worker._store, ClaimStore(worker._database, 60.0), telemetry)
        with CaptureTransport("http://127.0.0.1:1", 1.0, 1, telemetry) as transport:
            cipher, flagged = worker._cipher, FlaggedEvents("http://127.0.0.1:1", telemetry)
            sender = Sender(
                worker._store, transport, settings, shared, worker._leases, bool, cipher, exposures, flagged, clock
            )
            return sender.deliver(worker._store.read_ready(), share=False)


@pytest.fixture
def idle(sqlite_database: TestDatabase) -> Iterator[Idle]:
    """With an event that waits, so that a shard is dealt."""
    with PostHog(sqlite_database.url, project_token="phc_test") as posthog:
        posthog.capture(None, "step", distinct_id="ada")
    found = Idle(sqlite_database)
    assert found.look() == 1
    yield found
    found.worker._database.close()


def test_a_turn_that_is_collected_late_is_dealt_again_at_once(idle: Idle) -> None:
    idle.end(seconds=0.01, ago=10.0)
    assert idle.look() == 2


def test_a_long_search_in_vain_is_not_repeated_at_once(idle: Idle) -> None:
    idle.end(seconds=0.2, ago=1.5)
    assert idle.look() == 1


def test_a_search_that_waited_for_the_database_costs_a_bounded_rest(idle: Idle) -> None:
    idle.end(seconds=60.0, ago=5.5)
    assert idle.look() == 2


def test_a_turn_that_waits_for_the_leases_is_no_costly_search(idle: Idle) -> None:
    """A slow machine prolongs its leases late; its shards must not rest for many times of that."""
    idle.end(seconds=0.2, ago=1.5, outcome=TurnOutcome.LATE)
    assert idle.look() == 2


def test_a_sender_tells_how_long_its_search_took_and_what_it_was_for(idle: Idle) -> None:
    idle.worker._leases.deadline = time.monotonic() + 0.5
    assert idle.search(iter([7.0, 9.0]).__next__) == (TurnOutcome.LATE, 7.0, 9.0)
    idle.worker._shared.courses.adopt("phc_test", 1, time.monotonic() + 60.0)
    assert idle.search(iter([7.0, 9.0]).__next__) == (TurnOutcome.NOTHING, 7.0, 9.0)
