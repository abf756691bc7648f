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
from hogbox.context import require_person, whose
from hogbox.errors import InvalidEvent
from hogbox.exposure import Exposures
from hogbox.flag_cache import FlagCache
from hogbox.flag_methods import FlagMethods
from hogbox.flag_reader import FlagReader
from hogbox.local_flags import Person, require_timezone
from hogbox.recorder import NO_OPTIONS, Discarded, Entry, Options, Recorder
from hogbox.refresher import Refresh, Refresher
from hogbox.remote import Remote
from hogbox.settings import DeliverySettings, Settings
from hogbox.snapshot import Flags, properties_of
from hogbox.worker import Delivery, Progress, Worker

log = logging.getLogger("hogbox")


class PostHog(FlagMethods):
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
        personal_api_key: The secret key for flag definitions, `phs_…` (or a personal one, `phx_…`); default:
            `POSTHOG_PERSONAL_API_KEY`. Only a process that refreshes them needs it. It is never stored or shown.
        identify: Called with `ctx`; returns the distinct id, or None to leave it to the argument.
        before_send: A callable or a list of them: event -> event, changed or not, or None to refuse it. Where one
            raises, the event is not sent.
        disabled: Capture nothing; default: `HOGBOX_DISABLED`.
        disable_geoip: Tell PostHog not to locate people by the address of this server.
        table_prefix: Of hogbox's tables; default: `HOGBOX_TABLE_PREFIX`, else `posthog_`.
        delivery: How the worker delivers; default: from `HOGBOX_…`, see `DeliverySettings`.
        definitions_max_age: Seconds for which flags are read without a look whether their definitions have changed;
            default: `HOGBOX_DEFINITIONS_MAX_AGE_SECONDS`, else 1.
        flags_timezone: The project's time zone, in which dates without an offset are meant; an IANA name.
        properties_complete: That calls pass all properties there are of a person: one that is missing is not set.
        track_exposures: Capture `$feature_flag_called` with the reads of flags' values, unless a call says otherwise.
        keep_stale_definitions: Keep the last good flag definitions however long PostHog's cache of them is cold,
            instead of none after 5 minutes; default: `HOGBOX_KEEP_STALE_DEFINITIONS`.

    Raises ConfigurationError where these can't work, before anything is captured. Nothing is connected, queried or
    started before the first method that needs it.
    """

    def __init__(
        self,
        database: str | Engine | None = None,
        *,
        project_token: str | None = None,
        host: str | None = None,
        personal_api_key: str | None = None,
        identify: Callable[[Any], str | int | UUID | None] | None = None,
        before_send: BeforeSend | Iterable[BeforeSend] | None = None,
        disabled: bool | None = None,
        disable_geoip: bool = True,
        table_prefix: str | None = None,
        delivery: DeliverySettings | None = None,
        keep_stale_definitions: bool | None = None,
        definitions_max_age: float | None = None,
        flags_timezone: str = "UTC",
        properties_complete: bool = False,
        track_exposures: bool = False,
    ) -> None:
        self._settings = Settings.load(
            os.environ,
            database_url=database if isinstance(database, str) else None,
            project_token=project_token,
            host=host,
            table_prefix=table_prefix,
            disabled=disabled,
            disable_geoip=disable_geoip,
            personal_api_key=personal_api_key,
            keep_stale_definitions=keep_stale_definitions,
            definitions_max_age=definitions_max_age,
        )
        self._delivery = delivery or DeliverySettings.load(os.environ)
        source = self._settings.database_url if database is None or isinstance(database, str) else database
        self._database = Database(source, self._settings.table_prefix)
        self._identify = identify
        self._refresher = Refresher(self._database, self._settings)
        self._recorder = Recorder(self._settings, before_send)
        self._writer = Writer()
        self._insert_event = Portable(self._database.statements.insert_event, EVENT_VALUES)
        self._insert_dead_letter = Portable(self._database.statements.insert_dead_letter, DEAD_LETTER_VALUES)
        self._properties_complete = properties_complete
        self._track_exposures = track_exposures
        self._remote = Remote(self._settings)
        self._plain = identify is None and not track_exposures and not self._settings.disabled
        self._cache = self._flag_cache(require_timezone(flags_timezone))
        exposures = Exposures(self._database, self._writer, self._recorder, self._settings, self._insert)
        self._reader = FlagReader(self._settings, self._cache, self._remote, exposures)
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

    def _flag_cache(self, timezone: str) -> FlagCache:
        settings = self._settings
        max_age = settings.definitions_max_age_seconds
        return FlagCache(self._database, self._writer, settings.project_token, timezone, max_age)

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
        flags: Flags | None = None,
        send_feature_flags: bool = False,
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
            flags: A snapshot from `PostHog.flags`: the event tells what the person had, as `$feature/<key>` and
                `$active_feature_flags`. Properties of yours with these names win.
            send_feature_flags: The same from the definitions, without a snapshot: flags that the distinct id and the
                groups do not decide are left out.
            timestamp: When it happened; default: now. A naive datetime is local time.
            uuid: The event's id; default: a new one.
            disable_geoip: For this event only.
            idempotency_key: The same key gives the same uuid. PostHog drops a repeat if its timestamp is the same too.

        Raises MissingDistinctId, InvalidEvent, UnsupportedHandle, TablesError, or what the database raises.
        """
        if self._recorder.disabled:
            return None
        person = whose(self._identified(ctx), distinct_id)
        usual = timestamp is None and uuid is None and disable_geoip is None and idempotency_key is None
        options = NO_OPTIONS if usual else Options(timestamp, uuid, disable_geoip, idempotency_key)
        told = self._told_flags(ctx, person, groups, flags, send_feature_flags)
        return self._write(ctx, self._recorder.capture(event, person, properties, groups, options, told))

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
        person = require_person(whose(self._identified(ctx), distinct_id))
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
        person = require_person(whose(self._identified(ctx), distinct_id))
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

    def refresh_flag_definitions(self, *, only_if_due: bool = False) -> Refresh:
        """Ask PostHog for the project's flag definitions now, and store them; the next refresh is an interval from now.

        With `only_if_due` it is skipped where a process asked less than an interval ago: for jobs of a scheduler,
        which then keep the definitions fresh as workers do, and together with them.

        Returns what became of it: `updated`, `unchanged`, `empty`, `stale`, `skipped` or `error`, with a reason where
        there is more to say. Takes up to a minute where PostHog is slow or busy. Raises TablesError, or what the
        database raises; nothing of PostHog's.
        """
        return self._refresher.refresh_if_due() if only_if_due else self._refresher.refresh()

    def reload_feature_flags(self) -> Refresh:
        """The same as `refresh_flag_definitions`."""
        return self.refresh_flag_definitions()

    def start(self) -> None:
        """Deliver from a thread of this process, until `shutdown`. Does nothing where it already does.

        Where there is a key for them, flag definitions are refreshed from another thread. Call it after a fork, in the
        child. Raises TablesError where the tables can't be used.
        """
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return
            worker = Worker(self._database, self._settings.host, self._delivery, self._refresher)
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
        self._remote.close()
        self._database.close()

    def _identified(self, ctx: Any) -> str | int | UUID | None:
        self._require_handle(ctx)
        return self._identify(ctx) if self._identify else None

    def _told_flags(
        self, ctx: Any, person: str | None, groups: Mapping[str, Any] | None, flags: Flags | None, wanted: bool
    ) -> Mapping[str, Any] | None:
        """The properties by which an event tells of flags."""
        if flags is None and wanted and person is not None:
            flags = self._reader.snapshot_for_event(ctx, Person(person, groups))
        return None if flags is None else properties_of(flags)

    def _person_if_any(self, ctx: Any, distinct_id: str | int | UUID | None) -> str | None:
        """The distinct id, or None: an exception is worth reporting though nobody can be named."""
        try:
            return whose(self._identified(ctx), distinct_id)
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
