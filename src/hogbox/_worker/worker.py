"""Worker: holds shards, polls for events, and passes the shards that have some to its senders.

It also keeps the flag definitions fresh if there is a key for them.

It runs as a process (`hogbox worker`), as a thread of the application (`PostHog.start()`), or until the outbox is
empty (`PostHog.deliver()`, `hogbox deliver`).
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Final, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from hogbox._delivery.batch import BatchLimits
from hogbox._delivery.condition import OVER_AFTER, Condition
from hogbox._delivery.endpoint import Endpoints
from hogbox._delivery.health import WorkerHealth
from hogbox._delivery.limit import SizeLimit
from hogbox._delivery.schedule import REST, Finished, Schedule
from hogbox._encryption import Cipher
from hogbox._http.capture import CaptureTransport
from hogbox._settings.delivery import DeliverySettings
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import ChangeSignal, can_write_within, most_writers, require_shared
from hogbox._store.dead_letter import DeadLetterStore
from hogbox._store.delivery import DeliveryStore
from hogbox._store.dialects.failure import hindrance, is_lost
from hogbox._store.exposure import ClaimStore
from hogbox._store.outbox import Ready
from hogbox._wire.host import without_password
from hogbox._wire.mode import CaptureMode
from hogbox._wire.printable import one_line
from hogbox._worker.exposure import ExposureClaims
from hogbox._worker.flagged import FlaggedEvents
from hogbox._worker.lease import Leases
from hogbox._worker.poller import Poller
from hogbox._worker.process import process_name
from hogbox._worker.refresher import Refresher
from hogbox._worker.retention import Retention
from hogbox._worker.sender import Sender
from hogbox._worker.turn import Shared
from hogbox.telemetry import LeasesChanged, Telemetry

log = logging.getLogger("hogbox.worker")

_SHARE_OF_LEASE: Final = 0.5
"""Longest wait for one database operation, as a share of the lease: a second try fits before the lease expires."""

_SHORTEST_PATIENCE: Final = 5.0
"""Least number of seconds to wait for one database operation."""

_LAST_PATIENCE: Final = 5.0
"""Seconds to wait for one database operation at shutdown."""


Submit = Callable[[Sequence[Ready], bool], "Future[Finished]"]


class Delivery(NamedTuple):
    """The result of a drain: events delivered, events moved to the dead letters, and events still waiting."""

    delivered: int
    dead: int
    waiting: int


Delivery.__module__ = "hogbox"


Progress = Callable[[int, int], None]
"""Called with the number of events settled so far and the number that were waiting."""


class Worker:
    """Delivers the outbox of one database to one host, and keeps flag definitions fresh if it has a refresher.

    Runs once: create another one to run again. Raises ConfigurationError for invalid encryption keys.
    """

    def __init__(
        self,
        database: Database,
        host: str,
        settings: DeliverySettings,
        refresher: Refresher | None = None,
        *,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.id = process_name()
        require_shared(database.engine)
        self._database = database
        self._host = host
        self._settings = settings
        self._cipher = Cipher.load(os.environ)
        self._telemetry = telemetry or Telemetry()
        limit = SizeLimit(BatchLimits(settings.batch_events, settings.batch_bytes))
        endpoints = Endpoints(CaptureMode.read(settings.capture_mode))
        self._shared = Shared(limit, endpoints, self._telemetry)
        self._store = DeliveryStore(database, self.id)
        self._senders = min(settings.senders, most_writers(database.engine))
        self._retention = Retention(DeadLetterStore(database), settings.dead_letter_days)
        self._leases = Leases(self.id, self._store, settings.lease_seconds, self._shared.count)
        self._refresher = refresher
        self._stopping = False
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._schedule = Schedule(self._senders, settings.poll_seconds)
        self._turns: dict[Future[Finished], frozenset[int]] = {}
        self._database_fails = Condition(OVER_AFTER)
        self._unexpected = Condition()
        self._beat: float | None = None
        self._told_held = 0
        self._adopted = False
        self._lost = False
        """Whether the last round ended with a connection that was lost, or could not be made."""

    def run(self) -> None:
        """Deliver and refresh until `stop` is called; then finish open requests and release the shards.

        Raises TablesError, before anything else happens, if the tables can't be used. If a lock prevents reading them,
        it waits.
        """
        if self._await_tables():
            self._work(self._is_stopping, self._polling())

    def run_until_signal(self) -> None:
        """Like `run`, until the process receives SIGTERM or SIGINT; only in a process's main thread.

        A second signal ends the process at once; its leases then expire.
        """

        def end(number: int, _: FrameType | None) -> None:
            signal.signal(number, signal.SIG_DFL)
            self.stop()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        self.run()

    def drain(self, timeout: float | None, progress: Progress | None = None) -> Delivery:
        """Deliver the events that are waiting now; return when they are settled or after `timeout` seconds.

        Raises TablesError if the tables can't be used.
        """
        self._database.check()
        last, total = self._store.count_backlog()
        ends = float("inf") if timeout is None else time.monotonic() + timeout
        if total and timeout is not None and not can_write_within(self._database.engine, timeout):
            log.warning("nothing delivered: another transaction has held the write lock for %g s", timeout)
            return Delivery(0, 0, total)
        self._schedule.hint(0.0, float("inf"))

        def finished() -> bool:
            if progress:
                progress(min(total, self._shared.delivered + self._shared.dead), total)
            if self._stopping or time.monotonic() >= ends:
                return True
            return not self._turns and all(oldest > last for oldest in self._store.read_oldest().values())

        if total:
            self._work(finished, nullcontext(), ends)
        waiting = self._store.count_waiting(last) if total else 0
        return Delivery(self._shared.delivered, self._shared.dead, waiting)

    def stop(self) -> None:
        """Request the worker to stop. Returns at once; may be called from a signal handler."""
        # A signal handler may interrupt the very thread that waits: SimpleQueue.put is safe then, Event.set is not.
        self._stopping = True
        # An unresponsive database must not keep the process from ending.
        self._database.guard.hurry(self, _LAST_PATIENCE)
        self._wake.put(None)

    def health(self) -> WorkerHealth:
        """The current health. May be called from any thread."""
        now, beat = time.monotonic(), self._beat
        age = None if beat is None else now - beat
        leases = self._leases
        since = self._database_fails.since
        failing = now - since if self._schedule.failing and since is not None else None
        return WorkerHealth(age, failing, leases.deadline > now, leases.held, self._stopping)

    def hint(self) -> None:
        """Notify the worker that events may be committed soon: it polls often for some seconds."""
        if self._schedule.hint(time.monotonic()):
            self._wake.put(None)

    def _await_tables(self) -> bool:
        """Whether the tables can be used; False where the worker was stopped before a lock let it look at them."""
        while not self._stopping:
            self._beat = time.monotonic()
            try:
                self._database.check()
            except SQLAlchemyError as error:
                if hindrance(error) is None:
                    raise
                self._report_failing(error)
                self._sleep(REST)
            else:
                return True
        return False

    def _polling(self) -> AbstractContextManager[object]:
        """The poller that refreshes flag definitions meanwhile, or a context that does nothing."""
        if self._refresher is None or not self._refresher.configured:
            return nullcontext()
        return Poller(self._refresher, self.id)

    def _work(
        self, finished: Callable[[], bool], beside: AbstractContextManager[object], ends: float = float("inf")
    ) -> None:
        """Work until `finished` returns True; no request outlasts `ends`, a monotonic time."""
        settings, timeout = self._settings, self._settings.request_timeout_seconds
        # Shorter than a lease, so that another connection can be opened and renew the leases before they expire.
        guard, patience = self._database.guard, max(_SHORTEST_PATIENCE, settings.lease_seconds * _SHARE_OF_LEASE)
        with ExitStack() as stack:
            stack.callback(guard.release, self)
            guard.ask(self, patience)
            compression = settings.capture_compression
            transport = CaptureTransport(
                self._host, timeout, self._senders, self._telemetry, ends=ends, compression=compression
            )
            stack.enter_context(transport)
            changes = ChangeSignal(self._database.engine)
            stack.callback(changes.close)
            stack.callback(self._leave)
            pool = stack.enter_context(ThreadPoolExecutor(self._senders, "hogbox-sender"))
            stack.callback(self.stop)
            shared, leases, stopping = self._shared, self._leases, self._is_stopping
            claims = ClaimStore(self._database, settings.exposure_seconds)
            exposures = ExposureClaims(self._store, claims, self._telemetry)
            flagged = stack.enter_context(FlaggedEvents(self._host, self._telemetry, ends))
            sender = Sender(
                self._store, transport, settings, shared, leases, stopping, self._cipher, exposures, flagged
            )
            stack.enter_context(beside)
            place = {"worker": self.id, "host": without_password(self._host)}
            log.info("worker %s started, delivering to %s", *place.values(), extra=place)
            self._loop(finished, changes, lambda turn, share: pool.submit(sender.deliver, turn, share))
        self._tell_leases(0)
        facts = {"worker": self.id, "delivered": self._shared.delivered, "dead": self._shared.dead}
        log.info("worker %s stopped: %d delivered, %d dead", *facts.values(), extra=facts)

    def _loop(
        self,
        finished: Callable[[], bool],
        changes: ChangeSignal,
        submit: Submit,
    ) -> None:
        while True:
            self._beat = time.monotonic()
            try:
                if finished():
                    return
                self._collect()
                self._keep_leases()
                self._retention.keep()
                if self._should_look(changes):
                    self._deal(submit)
                self._report_working()
            except Exception as error:
                self._report_failing(error)
            self._sleep(self._pause(changes))

    def _leave(self) -> None:
        """Give the leases back. Not over a connection that has to be made first where the last one was lost just now.

        The process would outlast the time that Docker and the like give it.
        """
        if self._lost or any(turn.done() and is_lost(turn.exception()) for turn in self._turns):
            log.warning("leases are not given back, and run out by themselves: the connection to the database is lost")
        else:
            self._leases.leave()

    def _is_stopping(self) -> bool:
        return self._stopping

    def _sleep(self, seconds: float) -> None:
        """Sleep this long, or until something wakes the worker."""
        with suppress(Empty):
            self._wake.get(timeout=seconds)
            while True:
                self._wake.get_nowait()

    def _collect(self) -> None:
        """Collect finished turns. Raises the database error that a turn ended with, if any."""
        for turn in [turn for turn in self._turns if turn.done()]:
            shards, now = self._turns.pop(turn), time.monotonic()
            error = turn.exception()
            if error is None:
                self._schedule.finish(shards, turn.result(), now, self._shared.next_due(now))
                continue
            self._schedule.fail(shards, now)
            if isinstance(error, SQLAlchemyError):
                raise error
            self._report_unexpected(error)

    def _keep_leases(self) -> None:
        if self._leases.keep():
            self._schedule.look_now()
        if not self._adopted:
            self._adopted = True
            self._shared.adopt(self._store.paused, time.monotonic())
        self._leases.return_recalled(self._busy())
        self._tell_leases(self._leases.held)

    def _tell_leases(self, held: int) -> None:
        if held != self._told_held:
            self._telemetry.emit(LeasesChanged(self.id, held))
        self._told_held = held

    def _should_look(self, changes: ChangeSignal) -> bool:
        if self._stopping:
            return False
        return self._schedule.should_look(time.monotonic(), len(self._turns), changes.changed)

    def _deal(self, submit: Submit) -> None:
        """Pass the shards that have events to idle senders."""
        schedule, found = self._schedule, self._store.read_ready()
        unavailable = self._busy() | self._leases.recalled
        for turn in schedule.deal(found, unavailable, len(self._turns), self._leases.next_beat, time.monotonic()):
            try:
                future = submit(turn, schedule.parallel < self._senders)
            except RuntimeError as error:
                if "shutdown" not in str(error):
                    raise
                # The interpreter is shutting down and lets pools finish first: their turns are settled, the rest waits.
                self.stop()
                return
            self._turns[future] = frozenset(one.shard for one in turn)
            future.add_done_callback(lambda _: self._wake.put(None))

    def _busy(self) -> set[int]:
        return {shard for shards in self._turns.values() for shard in shards}

    def _pause(self, changes: ChangeSignal) -> float:
        now, busy = time.monotonic(), len(self._turns)
        return self._schedule.pause(now, busy, self._leases.next_beat, precise=changes.precise)

    def _report_failing(self, error: Exception) -> None:
        self._schedule.failing, self._lost = True, is_lost(error)
        foreseen = isinstance(error, SQLAlchemyError)
        if self._database_fails.begin(time.monotonic()):
            log.warning(
                "database error; retrying every %.0f s: %s",
                REST,
                one_line(error if foreseen else repr(error)),
                exc_info=None if foreseen else error,
                extra={"worker": self.id},
            )

    def _report_working(self) -> None:
        self._schedule.failing, self._lost = False, False
        if self._database_fails.end(time.monotonic()):
            log.info("database connection restored", extra={"worker": self.id})

    def _report_unexpected(self, error: BaseException) -> None:
        if self._unexpected.begin(what=repr(error)):
            log.error(
                "unexpected error during delivery (identical errors are not logged again)",
                exc_info=error,
                extra={"worker": self.id},
            )
