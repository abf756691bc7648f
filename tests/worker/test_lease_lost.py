"""P4: a worker that loses its leases in the middle of a request, and goes on later, does no harm to the order."""

from __future__ import annotations

import signal

import sqlalchemy as sa

from hogbox import PostHog
from hogbox.emulator import Emulator
from tests.fixtures.database import TestDatabase, use_wal
from tests.fixtures.process import WorkerStarter
from tests.fixtures.waiting import wait_until


def test_p4_a_worker_stopped_past_its_lease_does_not_disturb_its_successor(
    database: TestDatabase, emulator: Emulator, start_worker: WorkerStarter
) -> None:
    """The first worker is stopped (SIGSTOP) while its request is under way, which the server handles much later."""
    # A process that is frozen while it writes to SQLite would keep everybody from writing: let it write briefly.
    use_wal(database)
    with PostHog(database.url, project_token="phc_stop", host=emulator.url) as posthog:
        capture(posthog, range(20))
        emulator.fault(delay=12.0, times=1)
        first = start_worker(database.url, emulator.url)
        emulator.wait_for(lambda running: running.summary()["faults_fired"] == 1)
        first.send_signal(signal.SIGSTOP)
        capture(posthog, range(20, 40))
        start_worker(database.url, emulator.url)
        emulator.wait_for_events(40)
        assert emulator.requests()[0].status is None, "the successor delivers while the stopped worker's request hangs"
        emulator.wait_for(lambda running: running.requests()[0].status == 200)

        first.send_signal(signal.SIGCONT)
        wait_until(lambda: live_workers(database) == 2, "the stopped worker to be back")
        capture(posthog, range(40, 60))
        emulator.wait_for_events(60)
        wait_until(lambda: database.count("posthog_outbox") == 0, "everything to be settled")

        positions = [event.properties["position"] for event in emulator.events(unique=True)]
        assert positions == list(range(60))
        assert database.count("posthog_dead_letters") == 0


def capture(posthog: PostHog, positions: range) -> None:
    for position in positions:
        posthog.capture(None, "step", distinct_id="one person", properties={"position": position})


def live_workers(database: TestDatabase) -> int:
    """Workers that own shards."""
    with database.engine.connect() as connection:
        owners = connection.execute(sa.text("SELECT DISTINCT owner FROM posthog_shards WHERE owner IS NOT NULL"))
        return len(owners.all())
