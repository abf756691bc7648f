"""The shop against an emulated PostHog that fails now and then, with a worker that is killed in the middle."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import wait
from contextlib import ExitStack
from pathlib import Path
from random import Random

from examples.shop.crowd import Bank, Visit, crowd
from examples.shop.ledger import open_ledger, read_facts, wait_until_empty
from examples.shop.process import worker
from examples.shop.report import Story, show_faults, show_flags, show_verdict
from examples.shop.sale import begin_sale, open_book, wait_for_flags, wait_for_sale
from examples.shop.shop import Shop
from examples.shop.verify import Arrival, Fact, compare
from hogbox import PostHog
from hogbox.emulator import Emulator, ReceivedEvent

TOKEN = "phc_the_shop_of_the_hogbox_demo"
KEY = "phs_the_shop_of_the_hogbox_demo"
TILLS = 3
PLAN = Visit(sign_ups=30, orders=270, pause=0.02)

FAULTS: dict[str, dict[str, object]] = {
    "503 Service Unavailable": {"status": 503},
    "500 Internal Server Error": {"status": 500},
    "429 Too Many Requests, Retry-After: 1": {"status": 429, "headers": {"Retry-After": "1"}},
    "slow: 0.4 s": {"delay": 0.4},
    "slower than the client waits: 1.5 s": {"delay": 1.5},
    "connection dropped before the events were taken": {"drop": "before"},
    "connection dropped after the events were taken": {"drop": "after"},
}
"""What goes wrong with one request in twenty each."""

RATE = 0.05
PATIENCE = 8.0
SLOW_FOR_THE_KILL = "slow, while worker 1 is killed: 0.8 s"

WORKER = {
    "HOGBOX_LEASE_SECONDS": "2",
    "HOGBOX_REQUEST_TIMEOUT_SECONDS": "1",
    "HOGBOX_POLL_SECONDS": "0.05",
    "HOGBOX_RETRY_BASE_SECONDS": "0.1",
    "HOGBOX_RETRY_CAP_SECONDS": "0.5",
    "POSTHOG_PROJECT_TOKEN": TOKEN,
    "POSTHOG_PERSONAL_API_KEY": KEY,
    "POSTHOG_FLAGS_POLLING_INTERVAL_SECONDS": "1",
}
"""Shorter than by default, so that a take-over and many requests fit into the demo. Only the workers have the key."""


def run(folder: Path, story: Story) -> bool:
    """Run it all and show what became of the events; whether every promise was kept. TimeoutError: it got stuck."""
    database = folder / "shop.db"
    with ExitStack() as stack:
        book = open_book(folder)
        emulator = stack.enter_context(Emulator(seed=7, flags=book))
        names = {emulator.fault(**fields, rate=RATE).id: name for name, fields in FAULTS.items()}
        engine = open_ledger(database)
        stack.callback(engine.dispose)
        posthog = stack.enter_context(PostHog(engine, project_token=TOKEN))
        posthog.create_tables()
        shop = Shop(engine, posthog, Bank(declines=0.1).charge, flagged=True)
        first = stack.enter_context(worker(database, emulator.url, folder / "worker-1.log", WORKER))
        wait_for_flags(posthog, PATIENCE)
        tills = stack.enter_context(crowd(shop, [Random(till) for till in range(TILLS)], PLAN))
        story.tell("the shop opens on SQLite; worker 1 delivers to a PostHog that fails now and then")

        names[_kill_in_a_request(emulator, first)] = SLOW_FOR_THE_KILL
        requests = emulator.summary()["requests"]
        story.tell("worker 1 is killed with SIGKILL in the middle of a request; worker 2 is started")
        stack.enter_context(worker(database, emulator.url, folder / "worker-2.log", WORKER))
        emulator.wait_for(lambda server: server.events()[-1].request > requests, PATIENCE)
        story.tell("worker 2 has taken over: the lease of worker 1 ran out")
        began = begin_sale(book)
        wait_for_sale(posthog, PATIENCE)
        delay = time.monotonic() - began
        story.tell(f"the file of flag definitions was changed; the running shop saw it {delay:.1f} s later")

        wait(tills)
        rolled_back = sum(till.result() for till in tills)
        story.tell("the shop closes")
        waiting = wait_until_empty(engine, PATIENCE)
        story.tell(f"events left in the outbox: {waiting}")
        verdict = compare(read_facts(engine), [_arrival(event) for event in emulator.events()])
        show_verdict(story.console, verdict, rolled_back)
        show_faults(story.console, emulator.summary(), {names[fault.id]: fault.fired for fault in emulator.faults()})
        arrived = {event.uuid: event for event in emulator.events()}
        told = [event for event in arrived.values() if "$feature/gift-wrap" in event.properties]
        show_flags(story.console, len(emulator.requests(path="/flags/definitions")), told, delay)
        return verdict.good and waiting == 0


def _kill_in_a_request(emulator: Emulator, process: subprocess.Popen[bytes]) -> int:
    """Kill the worker while the server has yet to answer it; returns the fault that made the server slow."""
    emulator.wait_for(lambda server: len(server.events()) > 100, PATIENCE)
    slow = emulator.fault(delay=0.8, times=1)
    emulator.wait_for(lambda server: any(fault.id == slow.id and fault.fired for fault in server.faults()), PATIENCE)
    process.kill()
    process.wait()
    return slow.id


def _arrival(event: ReceivedEvent) -> Arrival:
    fact = Fact(event.distinct_id, event.event, event.properties.get("order", ""))
    return Arrival(fact, f"{event.uuid} {event.timestamp}")
