"""The faults: what each does to the processes while events are committed. Each returns how often it struck."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from proof.ground import (
    Disk,
    Lay,
    behind_pgbouncer,
    behind_proxy,
    isolated_badly,
    on_own_server,
    on_small_disk,
    plain,
)
from proof.proxy import Proxy
from proof.stage import LEASE, Process, Stage

HOUR: Final = 3600.0

SOON: Final = 5.0
"""Seconds: a few of the pauses of half a second to one that the workers of the proof make after a failed attempt."""

TAKEN_OVER: Final = 4 * LEASE
"""Seconds: a lease runs out, another worker claims the shards, and what was under way is waited for."""

CUT_AGAIN: Final = 20.0
"""Seconds: a connection is cut after five without an answer, and those that replace it are lost too, for a while."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault by its name on the command line, in words, where it is shown, and how long it may delay others."""

    name: str
    words: str
    act: Callable[[Stage], int]
    lay: Lay = plain
    patience: float | None = None
    """Seconds from capture to arrival, at most, for people whom the fault does not concern. None: all are concerned."""


def kill_workers(stage: Stage) -> int:
    """SIGKILL to one of three workers, every second."""
    killed = 0
    stage.begin(workers=3)
    for _ in stage.every(1.0):
        stage.end(stage.workers[0], signal.SIGKILL)
        stage.start_worker()
        stage.wait(stage.at_work, 5.0)
        killed += 1
    return killed


def kill_producers(stage: Stage) -> int:
    """SIGKILL to a producer, in the middle of a transaction or not, every second and a half."""
    killed = 0
    stage.begin(workers=1)
    for _ in stage.every(1.5):
        alive = [producer for producer in stage.producers if producer.poll() is None]
        if not (alive and stage.time_left()):
            break
        stage.start_producer()
        stage.end(alive[0], signal.SIGKILL)
        killed += 1
    return killed


def stop_worker(stage: Stage) -> int:
    """SIGSTOP in the middle of a request until another worker has delivered its events and later ones; then SIGCONT.

    The answer, which waits for it to wake up, is either that the events are stored, or that the request was too large.
    """
    stopped = 0
    worker = stage.start_worker(HOGBOX_SENDERS="1")
    stage.begin(workers=0)
    answers: tuple[dict[str, Any], ...] = ({"status": 413}, {})
    while stage.producing():
        fault = _pile_up(stage, worker, answers[stopped % 2])
        if not stage.wait(partial(_fired, stage, fault, 1), 5.0):
            break
        _overtake(stage, worker)
        stopped += 1
    return stopped


def _pile_up(stage: Stage, worker: Process, answer: dict[str, Any]) -> int:
    """Stop the worker briefly, so that the request that is to be answered so carries many events."""
    worker.send_signal(signal.SIGSTOP)
    stage.pause(LEASE / 2)
    fault = stage.emulator.fault(delay=0.3, times=1, **answer)
    worker.send_signal(signal.SIGCONT)
    return fault.id


def _overtake(stage: Stage, worker: Process) -> None:
    """Stop the worker; another one takes its shards over and is well ahead when it wakes up."""
    worker.send_signal(signal.SIGSTOP)
    before = len(stage.emulator.events(unique=True))
    successor = stage.start_worker(HOGBOX_SENDERS="1")
    stage.wait(lambda: len(stage.emulator.events(unique=True)) > before + 60, LEASE + 4)
    worker.send_signal(signal.SIGCONT)
    stage.pause(0.7)
    stage.end(successor)


def _fired(stage: Stage, number: int, times: int) -> bool:
    return any(fault.id == number and fault.fired >= times for fault in stage.emulator.faults())


def lose_answers(stage: Stage) -> int:
    """The server takes three batches in ten and cuts the connection."""
    return _disturb(stage, {"drop": "after", "rate": 0.3})


def take_server_down(stage: Stage) -> int:
    """The server answers 503 for a while, then not at all, then works again, and fails once more."""
    return _alternate(stage, [{"status": 503}, {"drop": "before"}, None, {"status": 500}, None])


def exceed_quota(stage: Stage) -> int:
    """429 with a Retry-After, for most of the time."""
    limited = {"status": 429, "headers": {"Retry-After": "1"}}
    return _alternate(stage, [limited, limited, None, limited, None])


def refuse_key(stage: Stage) -> int:
    """The project's token is unknown for the first half: 401 for everything."""
    stage.begin(workers=2)
    stage.emulator.configure(known_tokens=("phc_somebody_else",))
    stage.pause(stage.size.seconds / 2)
    stage.emulator.configure(known_tokens=None)
    stage.pause(stage.size.seconds)
    return sum(request.status == 401 for request in stage.emulator.requests())


def run_ten_workers(stage: Stage) -> int:
    """Ten workers share the shards, come and go, and the server fails now and then."""
    return _disturb(stage, {"status": 503, "rate": 0.15}, workers=10, relieve=True)


def set_clocks_wrong(stage: Stage) -> int:
    """One worker's clock is an hour ahead, one's an hour behind; one is right, and requests fail now and then."""
    stage.start_worker(clock=HOUR)
    stage.start_worker(clock=-HOUR)
    return _disturb(stage, {"status": 503, "rate": 0.15}, workers=1) + 2


def ask_again(stage: Stage) -> int:
    """Two workers speak capture v1, one v0. PostHog asks for the events of one person after another again, by turns."""
    for _ in range(2):
        stage.start_worker(POSTHOG_CAPTURE_MODE="v1")
    stage.begin(workers=1)
    asked = 0
    for count in stage.every(0.5):
        asked += sum(result.fired for result in stage.emulator.results())
        stage.emulator.clear_results()
        persons = sorted({event.distinct_id for event in stage.emulator.events()})
        for person in persons[count % 3 :: 3]:
            stage.emulator.result(result="retry", distinct_id=person)
    asked += sum(result.fired for result in stage.emulator.results())
    stage.emulator.clear_results()
    return asked


def cut_connections(stage: Stage) -> int:
    """The connections between one of two workers and the database are reset, or hang for longer than a lease."""
    proxy = stage.ground.lever
    assert isinstance(proxy, Proxy)
    stage.start_worker(url=stage.ground.cuttable)
    stage.begin(workers=1)
    cuts = 0
    for count in stage.every(0.7):
        if count % 4 == 2:
            proxy.hold()
            stage.pause(LEASE + 0.5)
            proxy.release()
            cuts += 1
        else:
            cuts += proxy.cut()
    return cuts


def restart_database(stage: Stage) -> int:
    """The server is ended at once, without writing anything out, and started again half a second later."""
    server = stage.ground.lever
    assert server is not None
    assert not isinstance(server, Proxy | Disk)
    restarts = 0
    stage.begin(workers=2)
    for _ in stage.every(2.0):
        server.crash()
        stage.pause(0.5)
        server.start()
        restarts += 1
    return restarts


def fill_disk(stage: Stage) -> int:
    """Not a byte is left on the disk for a second and a half, then there is room again."""
    disk = stage.ground.lever
    assert isinstance(disk, Disk)
    filled = 0
    stage.begin(workers=1)
    for _ in stage.every(1.0):
        disk.fill()
        stage.pause(1.5)
        disk.clear()
        filled += 1
    return filled


def lie(stage: Stage) -> int:
    """For half of the time a captive portal answers: 200, and a page of its own."""
    page = {
        "status": 200,
        "body": "<!doctype html><title>Sign in to the guest network</title>",
        "headers": {"Content-Type": "text/html"},
    }
    return _alternate(stage, [page, None, page, None])


def drip(stage: Stage) -> int:
    """The server stores the events and answers a byte at a time, for half of the time."""
    address = sa.make_url(stage.host)
    with Proxy(address.host or "127.0.0.1", address.port or 80) as proxy:
        stage.host = f"http://127.0.0.1:{proxy.port}"
        stage.begin(workers=2)
        for pause in (0.3, None, 0.3, None):
            proxy.drip(pause)
            stage.pause(stage.size.seconds / 4)
        struck = proxy.dripped
        stage.pause(stage.size.seconds)
        stage.restart_workers(stage.emulator.url)
    return struck


def fail_one_event(stage: Stage) -> int:
    """One event is answered 500, whichever request carries it."""
    stage.emulator.fault(event="poison", status=500)
    stage.begin(workers=2)
    stage.capture("guilty", "poison")
    stage.pause(stage.size.seconds * 2)
    return sum(one.fired for one in stage.emulator.faults())


def block_one_event(stage: Stage) -> int:
    """A firewall before PostHog answers 403 to one event, whichever request carries it."""
    stage.emulator.fault(event="<script>", status=403, body="<html>Request blocked</html>")
    stage.begin(workers=2)
    stage.capture("guilty", "<script>")
    stage.pause(stage.size.seconds * 2)
    return sum(one.fired for one in stage.emulator.faults())


def limit_one_project(stage: Stage) -> int:
    """One project is answered 429 all the time; another one has nothing to do with it."""
    stage.emulator.fault(token="phc_limited", status=429, headers={"Retry-After": "1"})
    stage.begin(workers=2, also="phc_limited")
    stage.pause(stage.size.seconds * 2)
    return sum(one.fired for one in stage.emulator.faults())


def keep_old_snapshot(stage: Stage) -> int:
    """A report has been reading in one transaction since before the first event, and goes on."""
    with stage.connect() as report:
        if report.dialect.name == "sqlite":
            report.exec_driver_sql("BEGIN")
        else:
            report.execution_options(isolation_level="REPEATABLE READ")
        report.exec_driver_sql("SELECT count(*) FROM posthog_outbox")
        return 1 + _disturb(stage, {"status": 503, "rate": 0.1})


def change_isolation(stage: Stage) -> int:
    """Transactions are isolated as the server was told to, while requests fail now and then."""
    return 1 + _disturb(stage, {"status": 503, "rate": 0.1})


def lose_connections(stage: Stage) -> int:
    """What the open connections between two workers and the database carry is lost, again and again; new ones work."""
    proxy = stage.ground.lever
    assert isinstance(proxy, Proxy)
    for _ in range(2):
        stage.start_worker(url=stage.ground.cuttable)
    stage.begin(workers=0)
    lost = 0
    for _ in stage.every(LEASE + 1.0):
        lost += proxy.lose()
    return lost


def _disturb(stage: Stage, fault: dict[str, Any], *, workers: int = 2, relieve: bool = False) -> int:
    """The fault meets requests while events are committed; with `relieve` workers end and others begin meanwhile."""
    stage.begin(workers)
    stage.emulator.fault(**fault)
    for _ in stage.every(2.0):
        if relieve:
            stage.end(stage.workers[0])
            stage.start_worker()
    return sum(one.fired for one in stage.emulator.faults())


def _alternate(stage: Stage, phases: list[dict[str, Any] | None]) -> int:
    """One fault after the other, None for none, each for its share of the time."""
    stage.begin(workers=2)
    struck = 0
    for fault in phases:
        if fault is not None:
            stage.emulator.fault(**fault)
        stage.pause(stage.size.seconds / len(phases))
        struck += sum(one.fired for one in stage.emulator.faults())
        stage.emulator.clear_faults()
    stage.pause(stage.size.seconds)
    return struck


SCENARIOS: Final = (
    Scenario("worker-killed", "worker killed (SIGKILL) every second", kill_workers),
    Scenario("producer-killed", "producer killed (SIGKILL)", kill_producers),
    Scenario("worker-stopped", "worker stopped past its lease (SIGSTOP)", stop_worker),
    Scenario("answer-lost", "acknowledgement lost", lose_answers),
    Scenario("server-down", "server down for long", take_server_down),
    Scenario("over-quota", "quota: 429 with Retry-After", exceed_quota),
    Scenario("wrong-key", "wrong key: 401", refuse_key),
    Scenario("ten-workers", "ten workers, coming and going", run_ten_workers),
    Scenario("wrong-clock", "workers' clocks an hour wrong", set_clocks_wrong),
    Scenario("asked-again", "capture v1: retry for some events", ask_again),
    Scenario("connection-cut", "connection to the database cut", cut_connections, behind_proxy),
    Scenario("connection-lost", "database's connections black-holed", lose_connections, behind_proxy, CUT_AGAIN),
    Scenario("database-restarted", "database killed and restarted", restart_database, on_own_server),
    Scenario("disk-full", "disk full", fill_disk, on_small_disk),
    Scenario("lying-200", "a page of a captive portal: 200", lie),
    Scenario("dripping-server", "answers that drip", drip, patience=TAKEN_OVER),
    Scenario("one-event-fails", "one event: always 500", fail_one_event, patience=SOON),
    Scenario("one-event-blocked", "one event: always 403, from a firewall", block_one_event, patience=SOON),
    Scenario("one-project-limited", "one project: always 429", limit_one_project, patience=SOON),
    Scenario("old-snapshot", "an old snapshot held open", keep_old_snapshot, patience=SOON),
    Scenario("isolation", "isolation set by the server", change_isolation, isolated_badly, SOON),
    Scenario("pgbouncer", "PgBouncer in transaction pooling", change_isolation, behind_pgbouncer, SOON),
)
