"""Worker: holds shards, looks for events, and deals the shards that have some to its senders.

Beside that it has the flag definitions refreshed, where there is a key for them.

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

from hogbox._delivery.batch import Limits
from hogbox._delivery.health import Health
from hogbox._delivery.limit import SizeLimit
from hogbox._encryption import Cipher
from hogbox._http.capture import CaptureTransport
from hogbox._settings.delivery import DeliverySettings
from hogbox._store.connections.database import Database
from hogbox._store.connections.engine import ChangeSignal, can_write_within, most_writers, require_shared
from hogbox._store.dead_letter import DeadLetterStore
from hogbox._store.delivery import DeliveryStore
from hogbox._store.exposure import ClaimStore
from hogbox._store.outbox import Ready
from hogbox._wire.host import without_password
from hogbox._wire.printable import one_line
from hogbox._worker.exposure import Exposures
from hogbox._worker.lease import Leases
from hogbox._worker.poller import Poller
from hogbox._worker.process import process_name
from hogbox._worker.refresher import Refresher
from hogbox._worker.retention import Retention
from hogbox._worker.sender import Finished, Outcome, Sender
from hogbox._worker.turn import Shared
from hogbox.telemetry import LeasesChanged, Telemetry

log = logging.getLogger("hogbox.worker")

HINT_SECONDS: Final = 10.0
"""How long a capture in this process keeps the worker looking often: its transaction may commit at any moment."""

_OFTEN: Final = 0.04
_SELDOM: Final = 0.1
_GATHER: Final = 0.03
"""After a turn that took all there was: time for the next events to gather, so that a few requests carry many."""

_REST: Final = 1.0
_IDLE_SHARE: Final = 20
"""Times the duration of a search in vain: passing over the events of held projects costs little, however many wait."""

_LONGEST_REST: Final = 5.0
"""Seconds: a search that itself waited for a lost connection took long without costing anything."""

_WELL_AFTER: Final = 5.0
"""Seconds without a failure after which the database counts as well again, to the log: one where just writing fails
would otherwise fill it."""

_SHARE_OF_LEASE: Final = 0.5
_SHORTEST_PATIENCE: Final = 5.0
"""Seconds to wait at least for one operation of the database."""

_LAST_PATIENCE: Final = 5.0
"""Seconds to wait for one operation of the database at the end."""

_TOGETHER: Final = 0.01
"""Shards that were put off together are due within a few milliseconds: one request serves them all."""


Submit = Callable[[Sequence[Ready], bool], "Future[Finished]"]


class Delivery(NamedTuple):
    """What a drain did: events delivered, events set aside as dead letters, and events that waited and still do."""

    delivered: int
    dead: int
    waiting: int


Delivery.__module__ = "hogbox"


Progress = Callable[[int, int], None]
"""Called with the number of events settled so far, and of all that waited."""


class Worker:
    """Delivers the outbox of one database to one host, and keeps flag definitions fresh where it has a refresher.

    Runs once: make another one to run again. Raises ConfigurationError for encryption keys that are none.
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
        limit = SizeLimit(Limits(settings.batch_events, settings.batch_bytes))
        self._shared = Shared(limit, self._telemetry)
        self._store = DeliveryStore(database, self.id)
        self._senders = min(settings.senders, most_writers(database.engine))
        self._retention = Retention(DeadLetterStore(database), settings.dead_letter_days)
        self._leases = Leases(self.id, self._store, settings.lease_seconds, self._shared.count)
        self._refresher = refresher
        self._stopping = False
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._often_until = 0.0
        self._look_at = 0.0
        self._gather_until = 0.0
        self._turns: dict[Future[Finished], frozenset[int]] = {}
        self._resting: dict[int, float] = {}
        self._parallel = 1
        self._unwell = False
        self._said_unwell = False
        self._failed_at = 0.0
        self._failing_since = 0.0
        self._puzzle: str | None = None
        self._beat: float | None = None
        self._told_held = 0
        self._adopted = False

    def run(self) -> None:
        """Deliver and refresh until `stop` is called; then finish what is under way and give the shards back.

        Raises TablesError, before anything else is done, where the tables can't be used.
        """
        self._database.check()
        self._work(self._is_stopping, self._polling())

    def run_until_signal(self) -> None:
        """The same as `run`, until the process gets SIGTERM or SIGINT; only in a process's main thread.

        A second signal ends the process at once, and the leases run out by themselves.
        """

        def end(number: int, _: FrameType | None) -> None:
            signal.signal(number, signal.SIG_DFL)
            self.stop()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        self.run()

    def drain(self, timeout: float | None, progress: Progress | None = None) -> Delivery:
        """Deliver what waits now; ends when that is settled, or after so many seconds (None: however long it takes).

        Raises TablesError where the tables can't be used.
        """
        self._database.check()
        last, total = self._store.count_backlog()
        ends = float("inf") if timeout is None else time.monotonic() + timeout
        if total and timeout is not None and not can_write_within(self._database.engine, timeout):
            log.warning("nothing delivered: a transaction has locked the database against writing for %g s", timeout)
            return Delivery(0, 0, total)
        self._often_until = float("inf")

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
        """Ask the worker to end. Returns at once; may be called from a signal handler."""
        # A signal handler may interrupt the very thread that waits: a queue can be put into then, an Event not be set.
        self._stopping = True
        # A database that does not answer must not keep the process from ending.
        guard = self._database.guard
        guard.patience = min(guard.patience or _LAST_PATIENCE, _LAST_PATIENCE)
        self._wake.put(None)

    def health(self) -> Health:
        """How it is now. May be asked by any thread."""
        now, beat = time.monotonic(), self._beat
        age = None if beat is None else now - beat
        leases = self._leases
        failing = now - self._failing_since if self._unwell else None
        return Health(age, failing, leases.deadline > now, leases.held, self._stopping)

    def hint(self) -> None:
        """Say that events may be committed soon: for some seconds the worker looks often."""
        now = time.monotonic()
        asleep = now >= self._often_until
        self._often_until = max(self._often_until, now + HINT_SECONDS)
        if asleep:
            self._wake.put(None)

    def _polling(self) -> AbstractContextManager[object]:
        """What refreshes flag definitions meanwhile: a thread of its own, or nothing at all."""
        if self._refresher is None or not self._refresher.configured:
            return nullcontext()
        return Poller(self._refresher, self.id)

    def _work(
        self, finished: Callable[[], bool], beside: AbstractContextManager[object], ends: float = float("inf")
    ) -> None:
        """Work until `finished`; no request outlasts `ends`, a moment on the monotonic clock."""
        settings, timeout = self._settings, self._settings.request_timeout_seconds
        # Within a lease: another connection is open, and the leases are prolonged, before they run out.
        self._database.guard.patience = max(_SHORTEST_PATIENCE, settings.lease_seconds * _SHARE_OF_LEASE)
        with ExitStack() as stack:
            transport = CaptureTransport(self._host, timeout, self._senders, self._telemetry, ends=ends)
            stack.enter_context(transport)
            changes = ChangeSignal(self._database.engine)
            stack.callback(changes.close)
            stack.callback(self._leases.leave)
            pool = stack.enter_context(ThreadPoolExecutor(self._senders, "hogbox-sender"))
            stack.callback(self.stop)
            shared, leases, stopping = self._shared, self._leases, self._is_stopping
            claims = ClaimStore(self._database, settings.exposure_seconds)
            exposures = Exposures(self._store, claims, self._telemetry)
            sender = Sender(self._store, transport, settings, shared, leases, stopping, self._cipher, exposures)
            stack.enter_context(beside)
            place = {"worker": self.id, "host": without_password(self._host)}
            log.info("worker %s delivers to %s", *place.values(), extra=place)
            self._loop(finished, changes, lambda turn, share: pool.submit(sender.deliver, turn, share))
        self._tell_leases(0)
        facts = {"worker": self.id, "delivered": self._shared.delivered, "dead": self._shared.dead}
        log.info("worker %s has ended: %d delivered, %d dead", *facts.values(), extra=facts)

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
                self._well()
            except Exception as error:
                self._trouble(error)
            self._sleep(self._pause(changes))

    def _is_stopping(self) -> bool:
        return self._stopping

    def _sleep(self, seconds: float) -> None:
        """So long, or until somebody wakes the worker."""
        with suppress(Empty):
            self._wake.get(timeout=seconds)
            while True:
                self._wake.get_nowait()

    def _collect(self) -> None:
        """Take finished turns back; shards that could not be served rest for a while."""
        for turn in [turn for turn in self._turns if turn.done()]:
            shards = self._turns.pop(turn)
            now = time.monotonic()
            error = turn.exception()
            outcome = Outcome.NOTHING if error else turn.result().outcome
            self._adapt(outcome)
            if outcome in (Outcome.SENT, Outcome.MORE):
                self._gather_until = now + _GATHER if outcome is Outcome.SENT else 0.0
                self._look_at = self._gather_until
                continue
            until = now + _REST if error else self._rest(turn.result(), now)
            self._resting.update(dict.fromkeys(shards, until))
            self._look_at = min(self._look_at, until)
            if isinstance(error, SQLAlchemyError):
                raise error
            if error is not None:
                self._puzzled(error)

    def _rest(self, turn: Finished, now: float) -> float:
        """Until when to leave shards alone of which nothing could be sent; a project that is due is not kept waiting.

        Counted from the end of the search: this thread may collect it much later, where the database keeps it waiting.
        """
        cost = 0.0 if turn.outcome is Outcome.LATE else turn.ended - turn.began
        rest = min(_LONGEST_REST, max(self._settings.poll_seconds, _IDLE_SHARE * cost))
        return min(turn.ended + rest, self._shared.next_due(now) + _TOGETHER)

    def _adapt(self, outcome: Outcome) -> None:
        """More requests at once while there is a backlog; one for all shards while there is none."""
        wanted = self._parallel * 2 if outcome is Outcome.MORE else self._parallel // 2
        self._parallel = max(1, min(wanted, self._senders))

    def _keep_leases(self) -> None:
        if self._leases.keep():
            self._look_at = 0.0
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
        if self._stopping or len(self._turns) >= self._senders:
            return False
        now = time.monotonic()
        return now >= self._gather_until and (changes.changed() or now >= self._look_at)

    def _deal(self, submit: Submit) -> None:
        """Give the shards that hold events to idle senders, and note when to look again at the latest."""
        now = time.monotonic()
        self._resting = {shard: until for shard, until in self._resting.items() if until > now}
        self._look_at = self._leases.next_beat
        ready: list[Ready] = []
        unavailable = self._busy() | self._leases.recalled
        for one in self._store.read_ready():
            wait = max(one.wait, self._resting.get(one.shard, now) - now)
            if wait > 0:
                self._look_at = min(self._look_at, now + wait + _TOGETHER)
            elif one.shard not in unavailable:
                ready.append(one)
        free = max(1, self._parallel - len(self._turns))
        for turn in _split(ready, free):
            try:
                future = submit(turn, self._parallel < self._senders)
            except RuntimeError as error:
                if "shutdown" not in str(error):
                    raise
                # Python is about to end, and lets pools finish first: what they have is settled, the rest waits.
                self.stop()
                return
            self._turns[future] = frozenset(one.shard for one in turn)
            future.add_done_callback(lambda _: self._wake.put(None))

    def _busy(self) -> set[int]:
        return {shard for shards in self._turns.values() for shard in shards}

    def _pause(self, changes: ChangeSignal) -> float:
        """Seconds until something is due; a pulse at the latest, for what no signal tells of."""
        now = time.monotonic()
        if self._unwell:
            return _REST
        pulse = min(self._settings.poll_seconds, _SELDOM) if changes.precise else self._settings.poll_seconds
        if now < self._often_until:
            pulse = min(pulse, _OFTEN)
        all_busy = len(self._turns) >= self._senders
        due = self._leases.next_beat if all_busy else min(self._leases.next_beat, self._look_at)
        return max(0.0, min(pulse, due - now))

    def _trouble(self, error: Exception) -> None:
        now = time.monotonic()
        if not self._said_unwell:
            foreseen = isinstance(error, SQLAlchemyError)
            log.warning(
                "the database fails; trying again every %.0f s: %s",
                _REST,
                one_line(error if foreseen else repr(error)),
                exc_info=None if foreseen else error,
                extra={"worker": self.id},
            )
            self._failing_since = now
        self._unwell = self._said_unwell = True
        self._failed_at = now

    def _well(self) -> None:
        self._unwell = False
        if self._said_unwell and time.monotonic() - self._failed_at > _WELL_AFTER:
            self._said_unwell = False
            log.info("the database answers again", extra={"worker": self.id})

    def _puzzled(self, error: BaseException) -> None:
        """Say what failed; not again where the same fails again."""
        if repr(error) != self._puzzle:
            log.error(
                "a delivery failed in a way that hogbox did not foresee; if the same fails again it is not said again",
                exc_info=error,
                extra={"worker": self.id},
            )
        self._puzzle = repr(error)


def _split(ready: Sequence[Ready], turns: int) -> list[Sequence[Ready]]:
    """The shards dealt out to that many turns at most."""
    return [ready[index::turns] for index in range(turns) if ready[index::turns]]
