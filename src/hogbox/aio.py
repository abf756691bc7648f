"""AsyncPostHog: the asynchronous client. The same as `PostHog`; methods that may wait are coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from inspect import isawaitable
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias
from uuid import UUID

from sqlalchemy import Engine

from hogbox._client.async_change_methods import AsyncChangeMethods
from hogbox._client.async_flag_methods import AsyncFlagMethods
from hogbox._client.async_runner import AsyncRunner
from hogbox._client.components import Components
from hogbox._client.flag_reader import AT_DELIVERY, require_known
from hogbox._client.headroom import Headroom
from hogbox._client.person import require_person, resolve_person
from hogbox._client.recorder import (
    Discarded,
    Entry,
    Options,
    asked_at_delivery,
    person_if_any,
    raised,
    unidentified,
    without_flags,
)
from hogbox._client.snapshot import AsyncFlags, Flags
from hogbox._events.hook import BeforeSend
from hogbox._http.flags import AsyncFlagsTransport
from hogbox._settings.delivery import DeliverySettings
from hogbox.telemetry import Telemetry

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from hogbox._worker.refresher import Refresh
    from hogbox._worker.worker import Delivery, Progress
_DistinctId: TypeAlias = str | int | UUID | None

__all__ = ["AsyncPostHog"]


class AsyncPostHog(AsyncFlagMethods, AsyncChangeMethods):
    """A PostHog client for asyncio that stores events in the application's own database. Never blocks the event loop.

    The methods, arguments and errors are those of `PostHog`; methods that use the database or the network are awaited.
    `ctx` is a SQLAlchemy AsyncSession or AsyncConnection, or a connection of psycopg (asynchronous), asyncpg (also from
    a pool), aiosqlite, asyncmy or aiomysql. With `ctx=None`, the event is committed at once in its own transaction.

    The arguments are those of `PostHog`, except:

        database: A URL or an Engine, synchronous or asynchronous. hogbox's own transactions and its workers use it from
            threads with a synchronous driver: psycopg, sqlite3 or PyMySQL in place of an asynchronous one.
        identify: May also be a coroutine function.
    """

    def __init__(
        self,
        database: str | Engine | AsyncEngine | None = None,
        *,
        project_token: str | None = None,
        host: str | None = None,
        secret_key: str | None = None,
        personal_api_key: str | None = None,
        identify: Callable[[Any], _DistinctId | Awaitable[_DistinctId]] | None = None,
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
        self._identify = identify
        self._recorder = self._components.recorder
        settings = self._components.settings
        self._transport = AsyncFlagsTransport(settings.host, settings.flags_timeout_seconds)
        self._runner = AsyncRunner(self._components.runner, self._transport)
        self._reader = self._components.reader(self._runner.writer.kinds)
        self._watch = self._components.watch
        self._plain = identify is None and track_exposures is not True and not settings.disabled

    def __repr__(self) -> str:
        return f"AsyncPostHog({self._components.settings})"

    async def __aenter__(self) -> Self:
        self._components.uncaught.watch_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    @property
    def discarded(self) -> Discarded:
        """The numbers of events that this client did not write, by reason, since it was created."""
        return self._recorder.discarded

    @property
    def telemetry(self) -> Telemetry:
        """Telemetry of this client, its worker and its refreshes: attach handlers to receive its events."""
        return self._components.telemetry

    async def capture(
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

        Arguments, return value and errors are those of `PostHog.capture`.
        """
        if self._recorder.disabled:
            return None
        person = resolve_person(await self._identified(ctx), distinct_id)
        options = Options.given(timestamp, uuid, disable_geoip, idempotency_key)
        flag_values = None
        if flags is not None or send_feature_flags:
            flag_values = await self._flag_values(ctx, person, groups, flags, send_feature_flags)
        entry = self._recorder.capture(event, person, properties, groups, options, flag_values)
        return await self._write(ctx, asked_at_delivery(entry) if flag_values is AT_DELIVERY else entry)

    async def capture_ai(
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

        Arguments, return value and errors are those of `PostHog.capture_ai`.
        """
        if self._recorder.disabled:
            return None
        person = resolve_person(await self._identified(ctx), distinct_id)
        options = Options.given(timestamp, uuid, disable_geoip, idempotency_key)
        flag_values = None
        if flags is not None or send_feature_flags:
            flag_values = require_known(await self._flag_values(ctx, person, groups, flags, send_feature_flags))
        entry = self._recorder.capture_ai(
            event, person, properties, groups, options, flag_values, privacy_mode=privacy_mode
        )
        return await self._write(ctx, entry)

    async def identify(
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

        Arguments, return value and errors are those of `PostHog.identify`.
        """
        if self._recorder.disabled:
            return None
        person = require_person(resolve_person(await self._identified(ctx), distinct_id))
        options = Options(timestamp, uuid, disable_geoip, idempotency_key)
        return await self._write(ctx, self._recorder.identify(person, properties, options))

    async def group_identify(
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

        Arguments, return value and errors are those of `PostHog.group_identify`.
        """
        if self._recorder.disabled:
            return None
        self._require_handle(ctx)
        options = Options(timestamp, uuid, disable_geoip, idempotency_key)
        return await self._write(
            ctx, self._recorder.group_identify(group_type, group_key, properties, distinct_id, options)
        )

    async def alias(
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

        Arguments, return value and errors are those of `PostHog.alias`.
        """
        if self._recorder.disabled:
            return None
        person = require_person(resolve_person(await self._identified(ctx), distinct_id))
        options = Options(timestamp, uuid, disable_geoip, idempotency_key)
        return await self._write(ctx, self._recorder.alias(alias, person, options))

    async def capture_exception(
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

        Arguments, return value and errors are those of `PostHog.capture_exception`.
        """
        if self._recorder.disabled:
            return None
        try:
            headroom = Headroom()
        except RecursionError:
            return None  # nothing can be called here; a handler further out captures it
        with headroom:
            found = raised(error)
            person = await self._person_if_any(ctx, distinct_id)
            options = Options(timestamp, uuid, disable_geoip, idempotency_key)
            flag_values = await self._flags_if_any(ctx, person, groups, flags, send_feature_flags)
            details = {"level": level, "handled": handled, "fingerprint": fingerprint, "traceback": found.traceback}
            entry = self._recorder.exception(found.error, person, properties, groups, options, flag_values, **details)
            return await self._write(ctx, entry)

    async def create_tables(self) -> None:
        """Create hogbox's tables, or upgrade older ones. Safe at every start, in several processes at once.

        Raises TablesNewer if a newer version of hogbox created them, or the database's errors.
        """
        await asyncio.to_thread(self._components.create_tables)

    async def deliver(self, *, timeout: float | None = 30.0, progress: Progress | None = None) -> Delivery:
        """Deliver the events that are waiting now, then return: for cron jobs and serverless functions.

        Arguments, return value and errors are those of `PostHog.deliver`. If it is cancelled, its thread stops after
        its current requests.
        """
        worker = self._components.drainer()
        try:
            return await asyncio.to_thread(self._components.drain, worker, timeout, progress)
        except asyncio.CancelledError:
            worker.stop()
            raise

    async def refresh_flag_definitions(self, *, only_if_due: bool = False) -> Refresh:
        """Request the project's flag definitions now and store them; the next refresh is due an interval later.

        Arguments, return value and errors are those of `PostHog.refresh_flag_definitions`.
        """
        refresher = self._components.refresher
        return await asyncio.to_thread(refresher.refresh_if_due if only_if_due else refresher.refresh)

    async def reload_feature_flags(self) -> Refresh:
        """The same as `refresh_flag_definitions`."""
        return await self.refresh_flag_definitions()

    async def start(self) -> None:
        """Start a worker thread in this process, which delivers until `shutdown`. Does nothing if it is running.

        Arguments, return value and errors are those of `PostHog.start`.
        """
        self._components.uncaught.watch_loop()
        await asyncio.to_thread(self._components.thread.start)

    async def shutdown(self, timeout: float | None = None) -> None:
        """Stop the worker thread after its current requests, and close connections. May be called twice.

        `timeout` is the longest time to wait for the thread, in seconds; None for no limit.
        """
        await self._transport.close()
        await asyncio.to_thread(self._components.shutdown, timeout)

    async def _identified(self, ctx: Any) -> str | int | UUID | None:
        self._require_handle(ctx)
        found = self._identify(ctx) if self._identify else None
        return await found if isawaitable(found) else found

    async def _person_if_any(self, ctx: Any, distinct_id: str | int | UUID | None) -> str | None:
        """The distinct id, or None: an exception is worth reporting even if the person is unknown."""
        self._require_handle(ctx)
        try:
            identified = await self._identified(ctx)
        except Exception as trouble:
            unidentified(trouble)
            identified = None
        return person_if_any(identified, distinct_id)

    async def _flag_values(
        self, ctx: Any, person: str | None, groups: Mapping[str, Any] | None, flags: Flags | None, wanted: bool | str
    ) -> Mapping[str, Any] | None:
        if type(flags) is AsyncFlags:
            await flags.write_exposures()
        return await self._runner.run(self._reader.event_properties(ctx, person, groups, flags, wanted))

    async def _flags_if_any(
        self, ctx: Any, person: str | None, groups: Mapping[str, Any] | None, flags: Flags | None, wanted: bool
    ) -> Mapping[str, Any] | None:
        """The properties with flag values, or None: an exception is worth reporting even if flags can't be read."""
        if flags is None and not wanted:
            return None
        try:
            return require_known(await self._flag_values(ctx, person, groups, flags, wanted))
        except Exception as trouble:
            without_flags(trouble)
            return None

    def _report_escaped(self, error: BaseException) -> None:
        # A context ends in a plain `with`, which must not block the event loop.
        self._components.escaped(error)

    def _require_handle(self, ctx: Any) -> None:
        if ctx is not None:
            self._runner.writer.require(ctx)

    async def _write(self, ctx: Any, entry: Entry | None) -> str | None:
        if entry is None:
            return None
        if self._components.capacity is not None:
            entry = await self._runner.run(self._components.capacity.admit(ctx, entry))
        await self._runner.write(ctx, *self._components.outbox.insert(entry))
        if self._components.thread.started:
            self._components.thread.hint()
        return entry.uuid
