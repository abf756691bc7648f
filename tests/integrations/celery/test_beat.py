"""A beat and a prefork worker of four children: events are delivered, flags are fresh, and one process polls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hogbox.context import new_context
from hogbox.emulator import Emulator
from hogbox.emulator.record import ReceivedRequest
from tests.fixtures.waiting import wait_until
from tests.integrations.celery.worker import Running, celery_process, running_worker

INTERVAL = 1
FLAGS = {"flags": [{"key": "gift-wrap", "active": True, "filters": {"groups": [{"rollout_percentage": 100}]}}]}


@pytest.fixture
def posthog_server() -> Iterator[Emulator]:
    """An emulator with one flag."""
    with Emulator(flags=FLAGS) as emulator:
        yield emulator


@pytest.fixture
def worker(request: pytest.FixtureRequest, tmp_path: Path, posthog_server: Emulator) -> Iterator[Running]:
    """A prefork worker that may refresh definitions."""
    settings = {
        "POSTHOG_HOST": posthog_server.url,
        "POSTHOG_PERSONAL_API_KEY": "phs_celery",
        "POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS": str(INTERVAL),
    }
    with running_worker(request, tmp_path, "prefork", "postgresql", **settings) as worker:
        yield worker


def polls(emulator: Emulator) -> list[ReceivedRequest]:
    return [request for request in emulator.requests() if "definitions" in request.path]


def test_p5_a_beat_delivers_and_refreshes_and_one_child_of_all_polls(worker: Running, posthog_server: Emulator) -> None:
    beat = ["beat", "-l", "WARNING", "-s", str(worker.folder / "schedule")]
    with celery_process(beat, worker.environment):
        wait_until(lambda: worker.database.count("posthog_flag_definitions"), "definitions")
        for number in range(worker.children):
            with new_context(distinct_id=f"person-{number}"):
                worker.send("gather", "flags were read", "gift-wrap")
        arrived = posthog_server.wait_for_events(worker.children + 1)
        posthog_server.wait_for(lambda emulator: len(polls(emulator)) >= 4)
    read = [event for event in arrived if event.event == "flags were read"]
    assert len({event.properties["pid"] for event in read}) == worker.children
    assert [event.properties["flag"] for event in read] == [True] * worker.children
    asked = [request.arrived_at for request in polls(posthog_server)]
    assert len(asked) - 1 <= (asked[-1] - asked[0]) / INTERVAL + 0.5
    assert len(posthog_server.events()) == worker.children + 1
