"""PostHog: the synchronous client. Captures events in the caller's transactions, and delivers them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from inspect import iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from sqlalchemy import Engine

from hogbox._client.change_methods import ChangeMethods
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


class PostHog(FlagMethods, ChangeMethods):
    """A PostHog client that stores events in the application's own database.

    Capturing methods take the caller's transaction as the first argument, `ctx`: a SQLAlchemy Session or Connection, or
    a connection of sqlite3, psycopg or PyMySQL. With `ctx=None`, the event is committed at once in a transaction of its
    own. hogbox never commits or rolls back the caller's transaction. Each method returns the event's uuid, or None if
    `before_send` discarded the event or the client is disabled.

    Arguments:
        database: A URL (`sqlite:///app.db`, `postgresql://…`, `mysql://…`) or a SQLAlchemy Engine; default:
            `HOGBOX_DATABASE_URL`. Required only for `ctx=None`, workers and `create_tables`.
        project_token: The project's public token, `phc_…`; default: `POSTHOG_PROJECT_TOKEN` or `POSTHOG_API_KEY`.
        host: The URL of PostHog; default: `POSTHOG_HOST`, else PostHog's US cloud.
        personal_api_key: The secret key for flag definitions, `phs_…` (or a personal one, `phx_…`); default:
            `POSTHOG_PERSONAL_API_KEY`. Required only in processes that refresh definitions. Never stored or shown.
        identify: Called with `ctx`; returns the distinct id, or None to use the argument of the call.
        before_send: A function or a list of functions that receive each event and return it, changed or not, or None to
            discard it. If one raises, the event is discarded.
        disabled: Capture nothing; default: `HOGBOX_DISABLED`.
        disable_geoip: Ask PostHog not to derive a location from the address of this server.
        table_prefix: The prefix of hogbox's tables; default: `HOGBOX_TABLE_PREFIX`, else `posthog_`.
        delivery: The settings of the worker; default: from the environment, see `DeliverySettings`.
        definitions_max_age: Seconds for which flags are read without checking whether their definitions have changed;
            default: `HOGBOX_DEFINITIONS_MAX_AGE_SECONDS`, else 1.
        flags_timezone: The project's time zone, for dates without an offset in flag definitions; an IANA name.
        properties_complete: Calls pass all properties of a person: a property that is missing counts as not set.
        track_exposures: Capture `$feature_flag_called` when flag values are read; each call can override it.
        exception_locals: Include the local variables of the application's own stack frames in captured exceptions, as
            text. A variable with a name or value that looks like a secret is `[redacted]`.
        keep_stale_definitions: Keep the last flag definitions for as long as PostHog's cache of them is cold, instead
            of dropping them after 5 minutes; default: `HOGBOX_KEEP_STALE_DEFINITIONS`.

    Raises ConfigurationError for invalid arguments, before anything is captured. The constructor does not connect,
    query or start anything.
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
                "identify is a coroutine function, and PostHog is synchronous: use a plain def, or AsyncPostHog"
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
        self._watch = self._components.watch
        # Reads of flags take a shorter path then: there is no callback to call, and no exposure to write.
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
        """The numbers of events that this client did not write, by reason, since it was created."""
        return self._recorder.discarded

    @property
    def telemetry(self) -> Telemetry:
        """Telemetry of this client, its worker and its refreshes: attach handlers to receive its events."""
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
        """Capture an event.

        Arguments:
            ctx: The caller's transaction, or None to commit the event at once.
            event: The event's name, not empty.
            distinct_id: The distinct id of the person. A value returned by the `identify` callback has precedence.
            properties: The event's properties, of any types. A value without a JSON form is sent as null, with a
                warning in the log.
            groups: Group types and keys, such as `{"company": "c-19"}`.
            flags: A snapshot from `PostHog.flags`: its values are added to the event as `$feature/<key>` and
                `$active_feature_flags`. Entries of `properties` with these names have precedence.
            send_feature_flags: Evaluate the flags for this event and add their values in the same way. Flags that are
                inconclusive with the distinct id and the groups alone are left out.
            timestamp: When the event happened; default: now. A naive datetime is local time.
            uuid: The event's id; default: a new one.
            disable_geoip: Overrides the client's `disable_geoip` for this event.
            idempotency_key: The same key gives the same uuid. PostHog drops a repeat if its timestamp is the same too.

        Returns the event's uuid, or None if it was discarded. Raises MissingDistinctId, InvalidEvent,
        UnsupportedHandle, OutboxFull, TablesError, or the database's errors.
        """
        if self._recorder.disabled:
            return None
        person = resolve_person(self._identified(ctx), distinct_id)
        options = Options.given(timestamp, uuid, disable_geoip, idempotency_key)
        flag_values = None
        if flags is not None or send_feature_flags:
            flag_values = self._runner.run(self._reader.told(ctx, person, groups, flags, send_feature_flags))
        return self._write(ctx, self._recorder.capture(event, person, properties, groups, options, flag_values))

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
        """Set properties of a person (`$identify`).

        `properties` may contain `$set`, `$set_once` and `$anon_distinct_id`. Without `$set`, all other properties are
        set. The other arguments, the return value and the errors are those of `capture`.
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
        """Set properties of a group, such as a company (`$groupidentify`).

        The `identify` callback is not called. Without `distinct_id`, the event has the group's own distinct id,
        `$<type>_<key>`. The other arguments, the return value and the errors are those of `capture`.
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
        """Make `alias` a second distinct id of the same person (`$create_alias`): PostHog merges their events.

        The other arguments, the return value and the errors are those of `capture`.
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
        """Capture an exception with its causes and stack, a text, or any object with a `message` (`$exception`).

        Without a distinct id, the event is personless. The transaction in `ctx` is likely to be rolled back because of
        the exception, and the event with it: pass `ctx=None` to keep the event.

        An exception that several layers capture as it propagates is one event; if it is raised again, it is another
        event. An `identify` callback that raises and invalid arguments are logged as warnings: the event is captured
        without them.

        Arguments:
            error: Default: the exception that is being handled.
            level: `fatal`, `error`, `warning`, `info` or `debug`.
            handled: False if the application did not handle the exception.
            fingerprint: Exceptions with the same fingerprint belong to the same issue.

        The other arguments and the return value are those of `capture`. Raises InvalidEvent if no error is given and
        none is being handled, UnsupportedHandle, OutboxFull, TablesError, or the database's errors.
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
        """Create hogbox's tables, or upgrade older ones. Safe at every start, in several processes at once.

        Raises TablesNewer if a newer version of hogbox created them, or the database's errors.
        """
        self._components.create_tables()

    def deliver(self, *, timeout: float | None = 30.0, progress: Progress | None = None) -> Delivery:
        """Deliver the events that are waiting now, then return: for cron jobs and serverless functions.

        Arguments:
            timeout: Seconds after which to return, with the remaining events left in the outbox; None for no limit.
            progress: Called with two numbers: the events settled so far, and all events that were waiting.

        Returns the numbers of events that were delivered, became dead letters, and are still waiting. Raises
        TablesError or the database's errors. Failures of PostHog are not raised: undelivered events count as `waiting`.
        """
        return self._components.drain(self._components.drainer(), timeout, progress)

    def refresh_flag_definitions(self, *, only_if_due: bool = False) -> Refresh:
        """Request the project's flag definitions now and store them; the next refresh is due an interval later.

        With `only_if_due`, the request is skipped if any process made one less than an interval ago: for scheduled
        jobs, which then keep the definitions fresh as workers do, and alongside them.

        Returns the result, `updated`, `unchanged`, `empty`, `stale`, `skipped` or `error`, with a reason for most of
        them. Takes up to a minute if PostHog is slow or busy. Raises TablesError or the database's errors; failures of
        PostHog are not raised.
        """
        refresher = self._components.refresher
        return refresher.refresh_if_due() if only_if_due else refresher.refresh()

    def reload_feature_flags(self) -> Refresh:
        """The same as `refresh_flag_definitions`."""
        return self.refresh_flag_definitions()

    def start(self) -> None:
        """Start a worker thread in this process, which delivers until `shutdown`. Does nothing if it is running.

        With a `personal_api_key`, another thread refreshes the flag definitions. After a fork, call it in the child.
        Raises TablesError if the tables are missing or of another version, or the database's errors.
        """
        self._components.thread.start()

    def shutdown(self, timeout: float | None = None) -> None:
        """Stop the worker thread after its current requests, and close connections. May be called twice.

        `timeout` is the longest time to wait for the thread, in seconds; None for no limit. Events that are still
        waiting are delivered by the next worker.
        """
        self._components.shutdown(timeout)

    def _identified(self, ctx: Any) -> str | int | UUID | None:
        # Before the callback, which would fail on an unsupported handle with an error of its own.
        if ctx is not None:
            self._runner.writer.require(ctx)
        return self._identify(ctx) if self._identify else None

    def _person_if_any(self, ctx: Any, distinct_id: str | int | UUID | None) -> str | None:
        """The distinct id, or None: an exception is worth reporting even if the person is unknown."""
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
            # The caller commits later, which hogbox does not notice: after a hint, the worker polls often for a while.
            self._thread.hint()
        return entry.uuid
