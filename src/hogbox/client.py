"""PostHog: the synchronous client. Captures events in the caller's transactions, and delivers them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from inspect import iscoroutinefunction
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from sqlalchemy import Engine

from hogbox._client.change_methods import ChangeMethods
from hogbox._client.components import Components
from hogbox._client.flag_methods import FlagMethods
from hogbox._client.flag_reader import AT_DELIVERY, require_known
from hogbox._client.headroom import Headroom
from hogbox._client.person import require_person, resolve_person
from hogbox._client.recorder import (
    Discarded,
    Options,
    asked_at_delivery,
    person_if_any,
    raised,
    unidentified,
    without_flags,
)
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
        secret_key: The secret key for flag definitions, `phs_…` (or a personal one, `phx_…`); default:
            `POSTHOG_SECRET_KEY` or `POSTHOG_PERSONAL_API_KEY`. Required only in processes that refresh definitions.
            Never stored or shown.
        personal_api_key: The older name of `secret_key`, which has precedence.
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
        track_exposures: Capture `$feature_flag_called` when flag values are read; `"remote"`: only when PostHog is
            asked for them. Each call can override it.
        evaluation_contexts: The evaluation contexts of this application: flags of other contexts only are unknown, here
            and to PostHog.
        exception_locals: Include the local variables of the application's own stack frames in captured exceptions, as
            text. A variable with a name or value that looks like a secret is `[redacted]`.
        privacy_mode: `capture_ai` captures neither what a model was given nor what it answered.
        enable_full_ai_capture: `capture_ai` captures media too, and texts of any length.
        capture_mode: PostHog's protocol for the deliveries of this client: `v0`, `v1`, or `auto`, which is v1 where the
            host speaks it; default: `delivery`, `POSTHOG_CAPTURE_MODE`, or `v0`.
        historical_migration: Events are sent as a backfill, as those of `hogbox import`.
        enable_exception_autocapture: Capture exceptions that nobody caught, until `shutdown`: at the end of the process
            or of a thread, in the event loop, and in finalizers. At most 50 of one kind at once, and 10 every 10 s.
        log_captured_exceptions: Also log the exceptions that `capture_exception` captures.
        capture_trace_context: Add the ids of OpenTelemetry's current span to events of `capture` too, as exceptions
            always have them.
        in_app_modules: Names of modules or packages that are the application's own code in stack traces.
        in_app_exclude: Names of modules or packages that are not.
        project_root: The directory of the application's own code; default: the working directory.
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
        secret_key: str | None = None,
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
        track_exposures: bool | str = False,
        evaluation_contexts: Sequence[str] = (),
        exception_locals: bool = False,
        capture_mode: str | None = None,
        historical_migration: bool = False,
        privacy_mode: bool = False,
        enable_full_ai_capture: bool = False,
        enable_exception_autocapture: bool = False,
        log_captured_exceptions: bool = False,
        capture_trace_context: bool = False,
        in_app_modules: Sequence[str] = (),
        in_app_exclude: Sequence[str] = (),
        project_root: str | PathLike[str] | None = None,
    ) -> None:
        self._components = Components(
            database,
            before_send,
            delivery,
            project_token=project_token,
            host=host,
            secret_key=secret_key,
            personal_api_key=personal_api_key,
            disabled=disabled,
            disable_geoip=disable_geoip,
            table_prefix=table_prefix,
            keep_stale_definitions=keep_stale_definitions,
            definitions_max_age=definitions_max_age,
            flags_timezone=flags_timezone,
            properties_complete=properties_complete,
            track_exposures=track_exposures,
            evaluation_contexts=evaluation_contexts,
            exception_locals=exception_locals,
            capture_mode=capture_mode,
            historical_migration=historical_migration,
            privacy_mode=privacy_mode,
            enable_full_ai_capture=enable_full_ai_capture,
            enable_exception_autocapture=enable_exception_autocapture,
            log_captured_exceptions=log_captured_exceptions,
            capture_trace_context=capture_trace_context,
            in_app_modules=in_app_modules,
            in_app_exclude=in_app_exclude,
            project_root=project_root,
        )
        if iscoroutinefunction(identify):
            raise ConfigurationError(
                "identify is a coroutine function, and PostHog is synchronous: use a plain def, or AsyncPostHog"
            )
        self._identify = identify
        self._recorder = self._components.recorder
        self._runner = self._components.runner
        self._write = self._components.write
        self._reader = self._components.reader(self._runner.writer.kinds)
        self._watch = self._components.watch
        # Reads of flags take a shorter path then: there is no callback to call, and no exposure to write.
        self._plain = identify is None and track_exposures is not True and not self._components.settings.disabled

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
        send_feature_flags: bool | str = False,
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
                inconclusive with the distinct id and the groups alone are left out. With `"remote"`, the worker asks
                PostHog for all of the person's flags when it delivers the event.
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
            flag_values = self._flag_values(ctx, person, groups, flags, send_feature_flags)
        entry = self._recorder.capture(event, person, properties, groups, options, flag_values)
        return self._write(ctx, asked_at_delivery(entry) if flag_values is AT_DELIVERY else entry)

    def capture_ai(
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
        privacy_mode: bool = False,
    ) -> str | None:
        """Capture an event about a language model, such as `$ai_generation`, for PostHog's AI endpoint.

        It may have 8 MiB instead of 900 KiB. Events of this method arrive in order per person, but in no order with
        those of the other methods. An event whose name the endpoint refuses becomes a dead letter.

        Media in `$ai_input`, `$ai_output_choices`, `$ai_instructions`, `$ai_input_state` and `$ai_output_state` is
        replaced by a placeholder; in an event that is too large, their texts over 5,000 characters are cut. A client
        with `enable_full_ai_capture` does neither. An exception in `$ai_error` is replaced by its message.

        Arguments:
            privacy_mode: Capture none of these properties, and of `$ai_error` only the class and codes of the
                exception. A client with `privacy_mode` does so for each event.

        The other arguments, the return value and the errors are those of `capture`.
        """
        if self._recorder.disabled:
            return None
        person = resolve_person(self._identified(ctx), distinct_id)
        options = Options.given(timestamp, uuid, disable_geoip, idempotency_key)
        flag_values = None
        if flags is not None or send_feature_flags:
            flag_values = require_known(self._flag_values(ctx, person, groups, flags, send_feature_flags))
        entry = self._recorder.capture_ai(
            event, person, properties, groups, options, flag_values, privacy_mode=privacy_mode
        )
        return self._write(ctx, entry)

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
        flags: Flags | None = None,
        send_feature_flags: bool = False,
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
            error: Default: the exception that is being handled. Also the tuple of `sys.exc_info()`, an exception that
                was never raised, or a mapping with `message`, `name` and `stack`.
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
            found = raised(error)
            person = self._person_if_any(ctx, distinct_id)
            options = Options(timestamp, uuid, disable_geoip, idempotency_key)
            flag_values = self._flags_if_any(ctx, person, groups, flags, send_feature_flags)
            details = {"level": level, "handled": handled, "fingerprint": fingerprint, "traceback": found.traceback}
            entry = self._recorder.exception(found.error, person, properties, groups, options, flag_values, **details)
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

        With a `secret_key`, another thread refreshes the flag definitions. After a fork, call it in the child.
        Raises TablesError if the tables are missing or of another version, or the database's errors.
        """
        self._components.uncaught.watch_loop()
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

    def _flag_values(
        self, ctx: Any, person: str | None, groups: Mapping[str, Any] | None, flags: Flags | None, wanted: bool | str
    ) -> Mapping[str, Any] | None:
        return self._runner.run(self._reader.event_properties(ctx, person, groups, flags, wanted))

    def _flags_if_any(
        self, ctx: Any, person: str | None, groups: Mapping[str, Any] | None, flags: Flags | None, wanted: bool
    ) -> Mapping[str, Any] | None:
        """The properties with flag values, or None: an exception is worth reporting even if flags can't be read."""
        if flags is None and not wanted:
            return None
        try:
            return require_known(self._flag_values(ctx, person, groups, flags, wanted))
        except Exception as trouble:
            without_flags(trouble)
            return None

    def _report_escaped(self, error: BaseException) -> None:
        self._components.report(error, "error", None)

    def _require_handle(self, ctx: Any) -> None:
        if ctx is not None:
            self._runner.writer.require(ctx)
