"""Components: the parts of a client, synchronous or asynchronous. They make the decisions; the client only waits.

The modules for delivery, refreshes and migrations are imported at first use: most processes do not need them.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Container, Iterable
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from hogbox._client.capacity import Capacity
from hogbox._client.exposure import Exposures
from hogbox._client.flag_cache import FlagCache
from hogbox._client.flag_reader import FlagReader, Usual
from hogbox._client.flag_source import ProjectFlags
from hogbox._client.flag_watch import FlagWatch
from hogbox._client.headroom import Headroom
from hogbox._client.local_flags import require_timezone
from hogbox._client.outbox import Outbox
from hogbox._client.recorder import NO_OPTIONS, Entry, Recorder, person_if_any
from hogbox._client.remote import Remote
from hogbox._client.report_queue import ReportQueue
from hogbox._client.runner import Runner
from hogbox._client.uncaught import Uncaught
from hogbox._client.worker_thread import WorkerThread
from hogbox._encryption import Cipher
from hogbox._events.exception import recurrence_key
from hogbox._events.hook import BeforeSend
from hogbox._events.value import error_text
from hogbox._http.flags import FlagsTransport
from hogbox._settings.client import ClientSettings
from hogbox._settings.delivery import DeliverySettings
from hogbox._store.connections.database import Database
from hogbox.telemetry import Telemetry

if TYPE_CHECKING:
    from hogbox._worker.refresher import Refresher
    from hogbox._worker.worker import Delivery, Progress, Worker

log = logging.getLogger("hogbox")


class Components:
    """The parts of one client. Does not connect, query or start anything before a method needs it."""

    def __init__(
        self,
        database: Any,
        before_send: BeforeSend | Iterable[BeforeSend] | None,
        delivery: DeliverySettings | None,
        capture_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        """`arguments` are the client's arguments that are settings. Raises ConfigurationError."""
        url = database if isinstance(database, str) else None
        self.settings = settings = ClientSettings.load(os.environ, database_url=url, **arguments)
        self._delivery = delivery or DeliverySettings.load(os.environ)
        if capture_mode is not None:
            self._delivery = replace(self._delivery, capture_mode=capture_mode)
        source = settings.database_url if database is None or isinstance(database, str) else database
        self.database = Database(source, settings.table_prefix)
        self.telemetry = Telemetry()
        bounds = settings.outbox_bounds
        self.capacity = Capacity(self.database.tables, bounds, settings.outbox_full) if any(bounds) else None
        """Keeps the outbox within its limits; None without limits."""
        self.recorder = Recorder(settings, before_send)
        self.outbox = Outbox(self.database.tables, Cipher.load(os.environ))
        self.transport = FlagsTransport(settings.host, settings.flags_timeout_seconds)
        self.runner = Runner(self.database, self.transport)
        self.reports = ReportQueue(time.monotonic)
        self.thread = WorkerThread(self._make_worker)
        timezone, max_age = require_timezone(settings.flags_timezone), settings.definitions_max_age_seconds
        cache = FlagCache(self.database.tables, settings.project_token, timezone, max_age, settings.evaluation_contexts)
        self._source = ProjectFlags(cache, Remote(settings, self.telemetry), settings.disabled)
        self.watch = FlagWatch(self._source, self.runner, max_age)
        self._usual = Usual(settings.properties_complete, settings.track_exposures)
        self.uncaught = Uncaught(self.reports, self.report, self.recorder.limited)
        if settings.enable_exception_autocapture and not settings.disabled:
            self.uncaught.install()

    def reader(self, kinds: Container[type]) -> FlagReader:
        """The reader of flags; `kinds` are the classes that are known to be handles."""
        settings, tables = self.settings, self.database.tables
        exposures = Exposures(
            tables, self.recorder, self.outbox, settings, self._delivery.exposure_seconds, self.capacity
        )
        return FlagReader(settings, self._source, exposures, kinds, self._usual, self.telemetry)

    @cached_property
    def refresher(self) -> Refresher:
        """Refreshes the project's flag definitions."""
        from hogbox._worker.refresher import Refresher

        return Refresher(self.database, self.settings, telemetry=self.telemetry)

    def create_tables(self) -> None:
        """Create hogbox's tables, or upgrade older ones."""
        from hogbox._store.schema.migration import migrate

        migrate(self.database.engine, self.database.tables)

    def drainer(self) -> Worker:
        """A worker to deliver the events that are waiting now."""
        from hogbox._worker.worker import Worker

        return Worker(self.database, self.settings.host, self._delivery, telemetry=self.telemetry)

    def drain(self, worker: Worker, timeout: float | None, progress: Progress | None) -> Delivery:
        """Deliver the events that are waiting now with this worker."""
        return worker.drain(self.database.await_reader(timeout), progress)

    def write(self, ctx: Any, entry: Entry | None) -> str | None:
        """Write an event into the outbox; its uuid. Raises OutboxFull, or the database's errors."""
        if entry is None:
            return None
        if self.capacity is not None:
            entry = self.runner.run(self.capacity.admit(ctx, entry))
        statement, values = self.outbox.insert(entry)
        self.runner.write(ctx, statement, values)
        if self.thread.started:
            # The caller commits later, which hogbox does not notice: after a hint, the worker polls often for a while.
            self.thread.hint()
        return entry.uuid

    def report(self, error: BaseException, level: str, source: str | None) -> None:
        """Write an exception that escaped, in a transaction of its own. Never raises."""
        try:
            with Headroom():
                self._write_report(error, level, source)
        except Exception as trouble:
            # Without a handler Python prints to stderr, which belongs to the traceback of the application's exception.
            with suppress(Exception):
                if log.hasHandlers():
                    log.warning("an uncaught exception was not captured: %s", error_text(trouble))

    def _write_report(self, error: BaseException, level: str, source: str | None) -> None:
        entry = self.recorder.exception(
            error,
            person_if_any(None, None),
            None,
            None,
            NO_OPTIONS,
            level=level,
            handled=False,
            mechanism_type="generic" if source is None else "onuncaughtexception",
            source=source,
        )
        self.write(None, entry)

    def escaped(self, error: BaseException) -> None:
        """Write an exception that left a context, soon and in another thread. Never raises."""
        with suppress(Exception):
            act = partial(copy_context().run, self.report, error, "error", None)
            self.reports.put(act, recurrence_key(error), self.recorder.limited)

    def shutdown(self, timeout: float | None) -> None:
        """Stop the threads, and close connections."""
        self.uncaught.close(timeout)
        self.watch.close(timeout)
        self.thread.stop(timeout)
        self.transport.close()
        self.database.close()

    def _make_worker(self) -> Worker:
        from hogbox._worker.worker import Worker

        worker = Worker(self.database, self.settings.host, self._delivery, self.refresher, telemetry=self.telemetry)
        self.database.check()
        return worker
