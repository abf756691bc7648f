"""Components: the parts of a client, synchronous or asynchronous. They make the decisions; the client only waits.

The modules for delivery, refreshes and migrations are imported at first use: most processes do not need them.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hogbox._client.capacity import Capacity
from hogbox._client.exposure import Exposures
from hogbox._client.flag_cache import FlagCache
from hogbox._client.flag_reader import FlagReader, Usual
from hogbox._client.flag_source import ProjectFlags
from hogbox._client.flag_watch import FlagWatch
from hogbox._client.local_flags import require_timezone
from hogbox._client.outbox import Outbox
from hogbox._client.recorder import Recorder
from hogbox._client.remote import Remote
from hogbox._client.runner import Runner
from hogbox._client.worker_thread import WorkerThread
from hogbox._encryption import Cipher
from hogbox._events.hook import BeforeSend
from hogbox._http.flags import FlagsTransport
from hogbox._settings.client import ClientSettings
from hogbox._settings.delivery import DeliverySettings
from hogbox._store.connections.database import Database
from hogbox.telemetry import Telemetry

if TYPE_CHECKING:
    from hogbox._worker.refresher import Refresher
    from hogbox._worker.worker import Delivery, Progress, Worker


class Components:
    """The parts of one client. Does not connect, query or start anything before a method needs it."""

    def __init__(
        self,
        database: Any,
        before_send: BeforeSend | Iterable[BeforeSend] | None,
        delivery: DeliverySettings | None,
        **arguments: Any,
    ) -> None:
        """`arguments` are the client's arguments that are settings. Raises ConfigurationError."""
        url = database if isinstance(database, str) else None
        self.settings = settings = ClientSettings.load(os.environ, database_url=url, **arguments)
        self._delivery = delivery or DeliverySettings.load(os.environ)
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
        self.thread = WorkerThread(self._make_worker)
        timezone, max_age = require_timezone(settings.flags_timezone), settings.definitions_max_age_seconds
        cache = FlagCache(self.database.tables, settings.project_token, timezone, max_age)
        self._source = ProjectFlags(cache, Remote(settings, self.telemetry), settings.disabled)
        self.watch = FlagWatch(self._source, self.runner, max_age)
        self._usual = Usual(settings.properties_complete, settings.track_exposures)

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

    def shutdown(self, timeout: float | None) -> None:
        """Stop the threads, and close connections."""
        self.watch.close(timeout)
        self.thread.stop(timeout)
        self.transport.close()
        self.database.close()

    def _make_worker(self) -> Worker:
        from hogbox._worker.worker import Worker

        worker = Worker(self.database, self.settings.host, self._delivery, self.refresher, telemetry=self.telemetry)
        self.database.check()
        return worker
