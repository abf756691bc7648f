"""Parts: what a client is made of, whether it is awaited or not. They decide; the client only waits.

What delivers, refreshes and migrates is imported when it is asked for: most processes leave that to others.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hogbox._client.exposure import Exposures
from hogbox._client.flag_cache import FlagCache
from hogbox._client.flag_reader import FlagReader, Usual
from hogbox._client.local_flags import require_timezone
from hogbox._client.outbox import Outbox
from hogbox._client.performer import Performer
from hogbox._client.recorder import Recorder
from hogbox._client.remote import Remote
from hogbox._client.room import Room
from hogbox._client.worker_thread import WorkerThread
from hogbox._events.hook import BeforeSend
from hogbox._store.connections.database import Database
from hogbox.encryption import Cipher
from hogbox.settings import DeliverySettings, Settings
from hogbox.telemetry import Telemetry
from hogbox.transport import FlagsTransport

if TYPE_CHECKING:
    from hogbox.refresher import Refresher
    from hogbox.worker import Worker


@dataclass(frozen=True, repr=False)
class Arguments:
    """What a client is made with; the arguments of `PostHog` say what each means. Not shown: secrets are among them."""

    database: Any
    project_token: str | None
    host: str | None
    personal_api_key: str | None
    before_send: BeforeSend | Iterable[BeforeSend] | None
    disabled: bool | None
    disable_geoip: bool
    table_prefix: str | None
    delivery: DeliverySettings | None
    keep_stale_definitions: bool | None
    definitions_max_age: float | None
    flags_timezone: str
    properties_complete: bool
    track_exposures: bool
    exception_locals: bool


class Parts:
    """The parts of one client. Connects, queries and starts nothing before it is asked to."""

    def __init__(self, given: Arguments) -> None:
        database = given.database
        self.settings = Settings.load(
            os.environ,
            database_url=database if isinstance(database, str) else None,
            project_token=given.project_token,
            host=given.host,
            table_prefix=given.table_prefix,
            disabled=given.disabled,
            disable_geoip=given.disable_geoip,
            personal_api_key=given.personal_api_key,
            keep_stale_definitions=given.keep_stale_definitions,
            definitions_max_age=given.definitions_max_age,
        )
        settings = self.settings
        self._delivery = given.delivery or DeliverySettings.load(os.environ)
        source = settings.database_url if database is None or isinstance(database, str) else database
        self.database = Database(source, settings.table_prefix)
        self.telemetry = Telemetry()
        bounds = settings.outbox_bounds
        self.room = Room(self.database.tables, bounds, settings.outbox_full) if any(bounds) else None
        """What keeps the outbox within its bounds, where there are any."""
        self.recorder = Recorder(settings, given.before_send, exception_locals=given.exception_locals)
        self.outbox = Outbox(self.database.tables, Cipher.load(os.environ))
        self.transport = FlagsTransport(settings.host, settings.flags_timeout_seconds)
        self.performer = Performer(self.database, self.transport)
        self.thread = WorkerThread(self._make_worker)
        self._timezone = require_timezone(given.flags_timezone)
        self._usual = Usual(given.properties_complete, given.track_exposures)

    def reader(self, kinds: Container[type]) -> FlagReader:
        """What plans reads of flags; `kinds` are the classes of handles that are known to be such."""
        settings, tables = self.settings, self.database.tables
        cache = FlagCache(tables, settings.project_token, self._timezone, settings.definitions_max_age_seconds)
        exposures = Exposures(tables, self.recorder, self.outbox, settings, self._delivery.exposure_seconds, self.room)
        return FlagReader(settings, cache, Remote(settings), exposures, kinds, self._usual, self.telemetry)

    @cached_property
    def refresher(self) -> Refresher:
        """What keeps the project's flag definitions fresh."""
        from hogbox.refresher import Refresher

        return Refresher(self.database, self.settings, telemetry=self.telemetry)

    def create_tables(self) -> None:
        """Create hogbox's tables, or bring older ones up to date."""
        from hogbox._store.schema.migration import migrate

        migrate(self.database.engine, self.database.tables)

    def drainer(self) -> Worker:
        """A worker to deliver the events that wait now."""
        from hogbox.worker import Worker

        return Worker(self.database, self.settings.host, self._delivery, telemetry=self.telemetry)

    def shutdown(self, timeout: float | None) -> None:
        """End the worker thread, and close connections."""
        self.thread.stop(timeout)
        self.transport.close()
        self.database.close()

    def _make_worker(self) -> Worker:
        from hogbox.worker import Worker

        worker = Worker(self.database, self.settings.host, self._delivery, self.refresher, telemetry=self.telemetry)
        self.database.check()
        return worker
