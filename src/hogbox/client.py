"""PostHog: what a synchronous application holds. Captures events in the caller's transactions, and delivers them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from inspect import iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from sqlalchemy import Engine

from hogbox._client.components import Components
from hogbox._client.flag_methods import FlagMethods
from hogbox._client.headroom import Headroom
from hogbox._client.person import require_person, resolve_person
from hogbox._client.recorder import Discarded, Entry, Options, person_if_any, raised, unidentified
from hogbox._client.snapshot import Flags
from hogbox._events.hook import BeforeSend
from hogbox._settings.delivery import DeliverySettings
from hogbox.errors import ConfigurationError
from hogbox.telemetry import Telemetry

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from hogbox._worker.refresher import Refresh
    from hogbox._worker.worker import Delivery, Progress

__all__ = ["PostHog"]


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
        exception_locals: Tell the local variables of the application's own frames with `capture_exception`, as text;
            what is named or looks like a secret is `[redacted]`.
        keep_stale_definitions: Keep the last good flag definitions however long PostHog's cache of them is cold,
            instead of none after 5 minutes; default: `HOGBOX_KEEP_STALE_DEFINITIONS`.

    Raises ConfigurationError where these can't work, before anything is captured. Nothing is connected, queried or
    started before the first method that needs it.
    """

    def __init__(
        self,
        database: str | Engine | AsyncEngine | None = None,
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
        exception_locals: bool = False,
    ) -> None:
        self._components = Components(
            database,
            before_send,
            delivery,
            project_token=project_token,
            host=host,
            personal_api_key=personal_api_key,
            disabled=disabled,
            disable_geoip=disable_geoip,
            table_prefix=table_prefix,
            keep_stale_definitions=keep_stale_definitions,
            definitions_max_age=definitions_max_age,
            flags_timezone=flags_timezone,
            properties_complete=properties_complete,
            track_exposures=track_exposures,
            exception_locals=exception_locals,
        )
        if iscoroutinefunction(identify):
            raise ConfigurationError(
                "identify is asynchronous and PostHog is not: make it a plain def, or use AsyncPostHog"
            )
        self._identify = identify
        self._recorder = self._components.recorder
        self._runner = self._components.runner
        self._outbox, self._capacity, self._thread = (
            self._components.outbox,
            self._components.capacity,
            self._components.thread,
        )
        self._reader = self._components.reader(self._runner.writer.kinds)
        self._plain = identify is None and not track_exposures and not self._components.settings.disabled

    def __repr__(self) -> str:
        return f"PostHog({self._components.settings})"

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

    @property
    def telemetry(self) -> Telemetry:
        """What this client, its worker and its refreshes do, for handlers that are attached to it."""
        return self._components.telemetry

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
        person = resolve_person(self._identified(ctx), distinct_id)
        options = Options.given(timestamp, uuid, disable_geoip, idempotency_key)
        told = None
        if flags is not None or send_feature_flags:
            told = self._runner.run(self._reader.told(ctx, person, groups, flags, send_feature_flags))
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
        person = require_person(resolve_person(self._identified(ctx), distinct_id))
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
        options = Options(timestamp, uuid, disable_geoip, idempotency_key)
        return self._write(ctx, self._recorder.group_identify(group_type, group_key, properties, distinct_id, options))

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
        person = require_person(resolve_person(self._identified(ctx), distinct_id))
        options = Options(timestamp, uuid, disable_geoip, idempotency_key)
        return self._write(ctx, self._recorder.alias(alias, person, options))

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

        Without a distinct id the event is personless. The transaction in `ctx` is likely to be rolled back with the
        exception, and the event with it: pass None where it should be kept.

        An exception that is captured by several layers on its way is one event; raised again, it is another one. An
        `identify` callback that raises, and arguments that can't be used, are warnings in the log here: the event
        arrives with the rest.

        Arguments:
            error: Default: the exception that is being handled.
            level: `fatal`, `error`, `warning`, `info` or `debug`.
            handled: False where the exception escaped the application.
            fingerprint: Groups exceptions into one issue.

        The other arguments are those of `capture`. Raises InvalidEvent where no error is given and none is being
        handled, UnsupportedHandle, TablesError, or what the database raises.
        """
        if self._recorder.disabled:
            return None
        try:
            headroom = Headroom()
        except RecursionError:
            return None  # nothing can be called here; a handler further out captures it
        with headroom:
            error = raised(error)
            person = self._person_if_any(ctx, distinct_id)
            options = Options(timestamp, uuid, disable_geoip, idempotency_key)
            details = {"level": level, "handled": handled, "fingerprint": fingerprint}
            entry = self._recorder.exception(error, person, properties, groups, options, **details)
            return self._write(ctx, entry)

    def create_tables(self) -> None:
        """Create hogbox's tables, or bring older ones up to date. Safe at every start, in several processes at once.

        Raises TablesNewer where a newer hogbox made them.
        """
        self._components.create_tables()

    def deliver(self, *, timeout: float | None = 30.0, progress: Progress | None = None) -> Delivery:
        """Deliver the events that wait now, and return when that is done: for cron jobs and serverless functions.

        Arguments:
            timeout: Seconds after which to leave the rest for another time; None to wait however long it takes.
            progress: Called with the number of events settled and of all that waited.

        Raises TablesError, or what the database raises. A server that fails raises nothing: what could not be delivered
        is counted as `waiting`.
        """
        return self._components.drain(self._components.drainer(), timeout, progress)

    def refresh_flag_definitions(self, *, only_if_due: bool = False) -> Refresh:
        """Ask PostHog for the project's flag definitions now, and store them; the next refresh is an interval later.

        With `only_if_due` it is skipped where a process asked less than an interval ago: for jobs of a scheduler,
        which then keep the definitions fresh as workers do, and together with them.

        Returns what became of it: `updated`, `unchanged`, `empty`, `stale`, `skipped` or `error`, with a reason where
        there is more to say. Takes up to a minute where PostHog is slow or busy. Raises TablesError, or what the
        database raises; nothing of PostHog's.
        """
        refresher = self._components.refresher
        return refresher.refresh_if_due() if only_if_due else refresher.refresh()

    def reload_feature_flags(self) -> Refresh:
        """The same as `refresh_flag_definitions`."""
        return self.refresh_flag_definitions()

    def start(self) -> None:
        """Deliver from a thread of this process, until `shutdown`. Does nothing where it already does.

        Where there is a key for them, flag definitions are refreshed from another thread. Call it after a fork, in the
        child. Raises TablesError where the tables can't be used.
        """
        self._components.thread.start()

    def shutdown(self, timeout: float | None = None) -> None:
        """End the thread that `start` began, once what it is sending is settled; close connections.

        Waits so many seconds at most. Events that still wait are delivered by the next worker. May be called twice.
        """
        self._components.shutdown(timeout)

    def _identified(self, ctx: Any) -> str | int | UUID | None:
        if ctx is not None:
            self._runner.writer.require(ctx)
        return self._identify(ctx) if self._identify else None

    def _person_if_any(self, ctx: Any, distinct_id: str | int | UUID | None) -> str | None:
        """The distinct id, or None: an exception is worth reporting though nobody can be named."""
        self._require_handle(ctx)
        try:
            identified = self._identified(ctx)
        except Exception as trouble:
            unidentified(trouble)
            identified = None
        return person_if_any(identified, distinct_id)

    def _require_handle(self, ctx: Any) -> None:
        if ctx is not None:
            self._runner.writer.require(ctx)

    def _write(self, ctx: Any, entry: Entry | None) -> str | None:
        if entry is None:
            return None
        if self._capacity is not None:
            entry = self._runner.run(self._capacity.admit(ctx, entry))
        statement, values = self._outbox.insert(entry)
        self._runner.write(ctx, statement, values)
        if self._thread.started:
            self._thread.hint()
        return entry.uuid
