"""PostHog: what a synchronous application holds. Captures events in the caller's transactions, and delivers them."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from sqlalchemy import Engine

from hogbox._events import shape
from hogbox._events.hook import BeforeSend
from hogbox._events.identity import resolve
from hogbox._store.database import Database
from hogbox._store.handle import Portable, Writer
from hogbox._store.migration import migrate
from hogbox._store.statement import DEAD_LETTER_VALUES, EVENT_VALUES
from hogbox._wire.host import shorten
from hogbox.errors import InvalidEvent
from hogbox.recorder import NO_OPTIONS, Discarded, Entry, Options, Recorder
from hogbox.settings import DeliverySettings, Settings
from hogbox.worker import Delivery, Progress, Worker

log = logging.getLogger("hogbox")


class PostHog:
    """A PostHog client over the application's own database.

    Capturing methods take the caller's transaction first, `ctx`: a SQLAlchemy Session or Connection, or a connection
    of sqlite3, psycopg or PyMySQL; or None, and the event is committed at once by itself. hogbox never commits or
    rolls back a transaction that it was handed. Each method returns the event's uuid, or None where `before_send`
    refused the event or the client is disabled.

    Arguments:
        database: A URL (`sqlite:///app.db`, `postgresql://…`, `mysql://…`) or a SQLAlchemy Engine; default:
            `HOGBOX_DATABASE_URL`. Only `ctx=None`, workers and `create_tables` need it.
        project_token: The project's public token, `phc_…`; default: `POSTHOG_PROJECT_TOKEN` or `POSTHOG_API_KEY`.
        host: Default: `POSTHOG_HOST`, else PostHog's US cloud.
        identify: Called with `ctx`; returns the distinct id, or None to leave it to the argument.
        before_send: A callable or a list of them: event -> event, changed or not, or None to refuse it. Where one
            raises, the event is not sent.
        disabled: Capture nothing; default: `HOGBOX_DISABLED`.
        disable_geoip: Tell PostHog not to locate people by the address of this server.
        table_prefix: Of hogbox's tables; default: `HOGBOX_TABLE_PREFIX`, else `posthog_`.
        delivery: How the worker delivers; default: from `HOGBOX_…`, see `DeliverySettings`.

    Raises ConfigurationError where these can't work, before anything is captured. Nothing is connected, queried or
    started before the first method that needs it.
    """

    def __init__(
        self,
        database: str | Engine | None = None,
        *,
        project_token: str | None = None,
        host: str | None = None,
        identify: Callable[[Any], str | int | UUID | None] | None = None,
        before_send: BeforeSend | Iterable[BeforeSend] | None = None,
        disabled: bool | None = None,
        disable_geoip: bool = True,
        table_prefix: str | None = None,
        delivery: DeliverySettings | None = None,
    ) -> None:
        self._settings = Settings.load(
            os.environ,
            database_url=database if isinstance(database, str) else None,
            project_token=project_token,
            host=host,
            table_prefix=table_prefix,
            disabled=disabled,
            disable_geoip=disable_geoip,
        )
        self._delivery = delivery or DeliverySettings.load(os.environ)
        source = self._settings.database_url if database is None or isinstance(database, str) else database
        self._database = Database(source, self._settings.table_prefix)
        self._identify = identify
        self._recorder = Recorder(self._settings, before_send)
        self._writer = Writer()
        self._insert_event = Portable(self._database.statements.insert_event, EVENT_VALUES)
        self._insert_dead_letter = Portable(self._database.statements.insert_dead_letter, DEAD_LETTER_VALUES)
        self._worker: Worker | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def __repr__(self) -> str:
        return f"PostHog(project={shorten(self._settings.project_token)!r}, host={self._settings.host!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    @property
    def discarded(self) -> Discarded:
        """How many events were captured here but not written, by reason."""
        return self._recorder.discarded

    def capture(
        self,
        ctx: Any,
        event: str,
        *,
        distinct_id: str | int | UUID | None = None,
        properties: Mapping[str, Any] | None = None,
        groups: Mapping[str, Any] | None = None,
        timestamp: datetime | None = None,
        uuid: UUID | str | None = None,
        disable_geoip: bool | None = None,
        idempotency_key: str | None = None,
    ) -> str | None:
        """Capture an event of the application.

        Arguments:
            event: The event's name, not empty.
            distinct_id: Whose event it is; the `identify` callback's answer wins over it.
            properties: Any values; what JSON can't say is sent as null, with a warning in the log.
            groups: Group types and keys, such as `{"company": "c-19"}`.
            timestamp: When it happened; default: now. A naive datetime is local time.
            uuid: The event's id; default: a new one.
            disable_geoip: For this event only.
            idempotency_key: The same key gives the same uuid. PostHog drops a repeat if its timestamp is the same too.

        Raises MissingDistinctId, InvalidEvent, UnsupportedHandle, TablesError, or what the database raises.
        """
        if self._recorder.disabled:
            return None
        person = resolve(self._identified(ctx), distinct_id)
        usual = timestamp is None and uuid is None and disable_geoip is None and idempotency_key is None
        options = NO_OPTIONS if usual else Options(timestamp, uuid, disable_geoip, idempotency_key)
        return self._write(ctx, self._recorder.capture(event, person, properties, groups, options))

    def identify(
        self,
        ctx: Any,
        *,
        distinct_id: str | int | UUID | None = None,
        properties: Mapping[str, Any] | None = None,
        timestamp: datetime | None = None,
        uuid: UUID | str | None = None,
        disable_geoip: bool | None = None,
        idempotency_key: str | None = None,
    ) -> str | None:
        """Set properties of a person.

        `properties` may hold `$set`, `$set_once` and `$anon_distinct_id`; without `$set`, all others are what is set.
        The other arguments and what is raised are those of `capture`.
        """
        if self._recorder.disabled:
            return None
        person = resolve(self._identified(ctx), distinct_id)
        options = Options(timestamp, uuid, disable_geoip, idempotency_key)
        return self._write(ctx, self._recorder.identify(person, properties, options))

    def group_identify(
        self,
        ctx: Any,
        group_type: str,
        group_key: str | int | UUID,
        *,
        properties: Mapping[str, Any] | None = None,
        distinct_id: str | int | UUID | None = None,
        timestamp: datetime | None = None,
        uuid: UUID | str | None = None,
        disable_geoip: bool | None = None,
        idempotency_key: str | None = None,
    ) -> str | None:
        """Set properties of a group, such as a company.

        The `identify` callback is not asked. Without `distinct_id` the event is the group's own, `$<type>_<key>`.
        The other arguments and what is raised are those of `capture`.
        """
        if self._recorder.disabled:
            return None
        self._require_handle(ctx)
        kind = shape.require_text(group_type, "group_type")
        key = shape.require_text(group_key, "group_key")
        person = shape.group_distinct_id(kind, key) if distinct_id is None else resolve(None, distinct_id)
        options = Options(timestamp, uuid, disable_geoip, idempotency_key)
        return self._write(ctx, self._recorder.group_identify(kind, key, properties, person, options))

    def alias(
        self,
        ctx: Any,
        alias: str | int | UUID,
        *,
        distinct_id: str | int | UUID | None = None,
        timestamp: datetime | None = None,
        uuid: UUID | str | None = None,
        disable_geoip: bool | None = None,
        idempotency_key: str | None = None,
    ) -> str | None:
        """Say that `alias` is the same person as the distinct id: what it did is counted as theirs.

        The other arguments and what is raised are those of `capture`.
        """
        if self._recorder.disabled:
            return None
        person = resolve(self._identified(ctx), distinct_id)
        options = Options(timestamp, uuid, disable_geoip, idempotency_key)
        return self._write(ctx, self._recorder.alias(shape.require_text(alias, "alias"), person, options))

    def capture_exception(
        self,
        ctx: Any,
        error: object = None,
        *,
        distinct_id: str | int | UUID | None = None,
        properties: Mapping[str, Any] | None = None,
        groups: Mapping[str, Any] | None = None,
        level: str = "error",
        handled: bool = True,
        fingerprint: str | None = None,
        timestamp: datetime | None = None,
        uuid: UUID | str | None = None,
        disable_geoip: bool | None = None,
        idempotency_key: str | None = None,
    ) -> str | None:
        """Capture an exception with its causes and stack, a text, or anything with a `message`.

        Without a distinct id the event is nobody's: it makes no person. The transaction in `ctx` is likely to be
        rolled back with the exception, and the event with it: pass None where it should be kept.

        Arguments:
            error: Default: the exception that is being handled.
            level: `fatal`, `error`, `warning`, `info` or `debug`.
            handled: False where the exception escaped the application.
            fingerprint: Groups exceptions into one issue.

        The other arguments and what is raised are those of `capture`.
        """
        if self._recorder.disabled:
            return None
        if error is None and (error := sys.exception()) is None:
            raise InvalidEvent("no exception is being handled: pass one, or a text, to capture_exception")
        person = self._person_if_any(ctx, distinct_id)
        options = Options(timestamp, uuid, disable_geoip, idempotency_key)
        details = {"level": level, "handled": handled, "fingerprint": fingerprint}
        return self._write(ctx, self._recorder.exception(error, person, properties, groups, options, **details))

    def create_tables(self) -> None:
        """Create hogbox's tables, or bring older ones up to date. Safe at every start, in several processes at once.

        Raises TablesNewer where a newer hogbox made them.
        """
        migrate(self._database.engine, self._database.tables)

    def deliver(self, *, timeout: float | None = 30.0, progress: Progress | None = None) -> Delivery:
        """Deliver the events that wait now, and return when that is done: for cron jobs and serverless functions.

        Arguments:
            timeout: Seconds after which to leave the rest for another time; None to wait however long it takes.
            progress: Called with the number of events settled and of all that waited.

        Raises TablesError. A server that fails raises nothing: what could not be delivered is counted as `waiting`.
        """
        return Worker(self._database, self._settings.host, self._delivery).drain(timeout, progress)

    def start(self) -> None:
        """Deliver from a thread of this process, until `shutdown`. Does nothing where it already does.

        Call it after a fork, in the child. Raises TablesError where the tables can't be used.
        """
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return
            worker = Worker(self._database, self._settings.host, self._delivery)
            self._database.check()
            self._worker = worker
            self._thread = threading.Thread(target=_run, args=(worker,), name="hogbox-worker", daemon=True)
            self._thread.start()

    def shutdown(self, timeout: float | None = None) -> None:
        """End the thread that `start` began, once what it is sending is settled; close connections.

        Waits so many seconds at most. Events that still wait are delivered by the next worker. May be called twice.
        """
        worker, thread = self._worker, self._thread
        self._worker = self._thread = None
        if worker is not None and thread is not None and thread.is_alive():
            worker.stop()
            thread.join(timeout)
        self._database.close()

    def _identified(self, ctx: Any) -> str | int | UUID | None:
        self._require_handle(ctx)
        return self._identify(ctx) if self._identify else None

    def _person_if_any(self, ctx: Any, distinct_id: str | int | UUID | None) -> str | None:
        """The distinct id, or None: an exception is worth reporting though nobody can be named."""
        try:
            return resolve(self._identified(ctx), distinct_id)
        except InvalidEvent:
            return None

    def _require_handle(self, ctx: Any) -> None:
        if ctx is not None:
            self._writer.require(ctx)

    def _write(self, ctx: Any, entry: Entry | None) -> str | None:
        if entry is None:
            return None
        if ctx is None:
            with self._database.begin() as connection:
                self._insert(connection, entry)
        else:
            self._insert(ctx, entry)
        # In a forked child the thread is gone, and what it locked at that moment stays locked.
        if self._worker is not None and self._thread is not None and self._thread.is_alive():
            self._worker.hint()
        return entry.uuid

    def _insert(self, handle: Any, entry: Entry) -> None:
        if entry.reason is None:
            self._writer.write(handle, self._insert_event, entry.row)
        else:
            self._writer.write(handle, self._insert_dead_letter, entry.dead_letter())


def _run(worker: Worker) -> None:
    try:
        worker.run()
    except Exception:
        log.exception("the worker thread has ended; events wait in the outbox until a worker runs again")
