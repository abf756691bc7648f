"""Recorder: the arguments of a call -> the entry to write into the outbox. For all clients; does no I/O."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar
from uuid import UUID

from hogbox._client.description import ExceptionDescription, Raised
from hogbox._client.span import span_properties
from hogbox._client.system import release_properties, system_properties
from hogbox._events import builder
from hogbox._events.ai import ai_properties, cut_event, without_media
from hogbox._events.bulk import is_bulky
from hogbox._events.event import AI, ANALYTICS, EXPOSURES, FLAGGED, HISTORICAL, Event, Row, to_row
from hogbox._events.exception import merge_properties
from hogbox._events.exposure import is_reserved, minimal
from hogbox._events.hook import BadHook, BeforeSend, hook_chain, run_hooks
from hogbox._events.identifier import keyed_uuid, parse_uuid, uuid7
from hogbox._events.identity import resolve
from hogbox._events.limit import illegal_partner, is_oversized, refusal
from hogbox._events.stamp import Stamp, find_stamp, is_exception, make_stamp, put_stamp
from hogbox._events.timestamp import Clockface, require_moment, utc_text
from hogbox._events.value import class_name, clean_properties, clean_text, error_text, shown
from hogbox._settings.client import ClientSettings
from hogbox._wire.library import VERSION
from hogbox._wire.printable import one_line
from hogbox.context import get_context
from hogbox.errors import HogboxError, InvalidEvent

log = logging.getLogger("hogbox")

P = ParamSpec("P")
T = TypeVar("T")

_PROBLEMS_SHOWN: Final = 5


class Options(NamedTuple):
    """The arguments that all capturing methods share."""

    timestamp: datetime | None
    uuid: UUID | str | None
    disable_geoip: bool | None
    idempotency_key: str | None

    @classmethod
    def given(
        cls,
        timestamp: datetime | None,
        uuid: UUID | str | None,
        disable_geoip: bool | None,
        idempotency_key: str | None,
    ) -> Options:
        """These options; `NO_OPTIONS` if all are None, which is the usual case and saves an object per event."""
        usual = timestamp is None and uuid is None and disable_geoip is None and idempotency_key is None
        return NO_OPTIONS if usual else cls(timestamp, uuid, disable_geoip, idempotency_key)


NO_OPTIONS: Final = Options(None, None, None, None)
"""The options of a call that passes none."""


class Entry(NamedTuple):
    """What to write: a row of the outbox, or, with a reason, a dead letter."""

    uuid: str
    row: Row
    reason: str | None


class Discarded(NamedTuple):
    """The numbers of captured events that were not written, by reason. There are no other reasons."""

    refused: int = 0
    """`before_send` returned None."""
    failed: int = 0
    """`before_send` raised, or returned something that is not an event."""
    disabled: int = 0
    """The client is disabled."""
    limited: int = 0
    """Uncaught exceptions beyond the rate limit."""


Discarded.__module__ = "hogbox"


def _readable(
    method: Callable[Concatenate[Recorder, P], T],
) -> Callable[Concatenate[Recorder, P], T]:
    """Wraps a method: errors that an argument raises while it is read become InvalidEvent."""

    @wraps(method)
    def read(self: Recorder, /, *args: P.args, **options: P.kwargs) -> T:
        try:
            return method(self, *args, **options)
        except HogboxError:
            raise
        except Exception as error:
            raise InvalidEvent(
                f"an argument of the event can't be read: reading it raised {class_name(error)}"
            ) from error

    return read


class Recorder:
    """Turns calls into entries for one project. Safe to share between threads and across a fork."""

    def __init__(
        self,
        settings: ClientSettings,
        before_send: BeforeSend | Iterable[BeforeSend] | None,
    ) -> None:
        self._project = settings.project_token
        self._disabled = settings.disabled
        self._hooks = hook_chain(before_send)
        self._historical = settings.historical_migration
        self._privacy_mode = settings.privacy_mode
        self._full_ai_capture = settings.enable_full_ai_capture
        self._description = ExceptionDescription(settings)
        self._trace_context = settings.capture_trace_context
        self._release = release_properties(os.environ)
        self._own = builder.library_properties(VERSION)
        if settings.disable_geoip:
            self._own["$geoip_disable"] = True
        self._own_and_machine: Mapping[str, Any] = {**system_properties(), **self._own}
        self._clockface = Clockface()
        self._lock = threading.Lock()
        self._process = os.getpid()
        self.discarded = Discarded()

    @property
    def disabled(self) -> bool:
        """Whether the client is disabled; if it is, counts the event of this call as discarded."""
        if self._disabled:
            self._count(Discarded(disabled=1))
            log.debug("event discarded: hogbox is disabled")
        return self._disabled

    @_readable
    def capture(
        self,
        event: str,
        distinct_id: str | None,
        properties: Mapping[str, Any] | None,
        groups: Mapping[str, Any] | None,
        options: Options,
        flags: Mapping[str, Any] | None = None,
    ) -> Entry | None:
        """A custom event. Raises InvalidEvent for an empty name or arguments of wrong types.

        Without a distinct id it is personless. `flags` are properties with flag values. The application's properties
        have precedence over them, and both over the context's.
        """
        own = self._with_groups(groups)
        given: Mapping[str, Any] = _properties(properties)
        if self._trace_context:
            flags = {**span_properties(), **(flags or {})}
        if flags or get_context() is not None:
            given = _in_context(given, flags)
        if distinct_id is None:
            given = {builder.PERSON_PROFILE: False, **given}
        return self._draft(_require_name(event), distinct_id or self._new_uuid(), given, own, options)

    @_readable
    def capture_ai(
        self,
        event: str,
        distinct_id: str | None,
        properties: Mapping[str, Any] | None,
        groups: Mapping[str, Any] | None,
        options: Options,
        flags: Mapping[str, Any] | None = None,
        *,
        privacy_mode: bool,
    ) -> Entry | None:
        """An event of the AI lane. Its content is left out in privacy mode, which the client or the call may set."""
        name, own = _require_name(event), self._with_groups(groups)
        private = self._privacy_mode or _require_choice(privacy_mode, "privacy_mode")
        given = _in_context(_properties(properties), flags)
        given = ai_properties(given, private=private, whole=self._full_ai_capture)
        if distinct_id is None:
            given = {builder.PERSON_PROFILE: False, **given}
        return self._draft(name, distinct_id or self._new_uuid(), given, own, options, lane=AI)

    @_readable
    def exposure(
        self,
        name: str,
        distinct_id: str,
        properties: Mapping[str, Any],
        groups: Mapping[str, Any] | None,
        *,
        short: bool = False,
    ) -> Entry | None:
        """`$feature_flag_called`, in its short or its full form, or `$experiment_exposure`.

        The hooks receive it in that form. The context does not change the flag's own properties.
        """
        own = self._with_groups(groups)
        all_properties = _in_context(properties)
        kept = {key: all_properties[key] for key in all_properties if key in properties or not is_reserved(key)}
        given = {**self._release, **kept}
        if short:
            given, own = minimal(given), minimal(own)
        return self._draft(name, distinct_id, given, own, NO_OPTIONS, lane=EXPOSURES)

    @_readable
    def identify(self, distinct_id: str, properties: Mapping[str, Any] | None, options: Options) -> Entry | None:
        """`$identify`."""
        given = builder.identify_properties(_properties(properties))
        return self._draft(builder.IDENTIFY, distinct_id, given, self._own, options)

    @_readable
    def group_identify(
        self,
        group_type: object,
        group_key: object,
        properties: Mapping[str, Any] | None,
        distinct_id: object,
        options: Options,
    ) -> Entry | None:
        """`$groupidentify`, by default with the group's own distinct id. Raises InvalidEvent for an invalid group."""
        kind = builder.require_text(group_type, "group_type")
        key = builder.require_text(group_key, "group_key")
        person = builder.group_distinct_id(kind, key) if distinct_id is None else resolve(None, distinct_id)
        given = builder.group_identify_properties(kind, key, _properties(properties))
        return self._draft(builder.GROUP_IDENTIFY, person, given, self._own, options)

    @_readable
    def alias(self, alias: object, distinct_id: str, options: Options) -> Entry | None:
        """`$create_alias`. Raises InvalidEvent for an invalid alias."""
        given = builder.alias_properties(distinct_id, builder.require_text(alias, "alias"))
        return self._draft(builder.CREATE_ALIAS, distinct_id, given, self._own, options)

    def exception(
        self,
        error: object,
        distinct_id: str | None,
        properties: Mapping[str, Any] | None,
        groups: Mapping[str, Any] | None,
        options: Options,
        flags: Mapping[str, Any] | None = None,
        **details: Any,
    ) -> Entry | None:
        """`$exception`. Captures of the same exception share their uuid and timestamp, so that PostHog counts one.

        It is written each time, because the transaction of an earlier capture may have been rolled back. Never raises:
        invalid arguments and unreadable parts of the error are left out. `flags` are properties with flag values.
        """
        stamp = self._stamp(error, distinct_id, options)
        _tolerated("line in the log", lambda: self._description.log(error), None)
        own = self._description.properties(error, details)
        more: Mapping[str, Any] = {**span_properties(), **(flags or {})}
        given = merge_properties(_tolerated("properties", lambda: _with_context(properties, more), more), own)
        if stamp.personless and distinct_id is None:
            given.setdefault(builder.PERSON_PROFILE, False)
        person = distinct_id or stamp.distinct_id
        grouped = _tolerated("groups", lambda: self._with_groups(groups), self._own_and_machine)
        try:
            return self._draft(builder.EXCEPTION, person, given, grouped, options, stamp)
        except Exception as unusable:
            log.warning("exception captured without the arguments of the call: %s", error_text(unusable))
            alone = {**own, builder.PERSON_PROFILE: False} if stamp.personless and distinct_id is None else own
            return self._draft(builder.EXCEPTION, person, alone, self._own_and_machine, NO_OPTIONS, stamp)

    def _stamp(self, error: object, distinct_id: str | None, options: Options) -> Stamp:
        """The event's uuid, timestamp and distinct id; those of an earlier capture of the same raise, if any."""
        context = get_context()
        stamp = find_stamp(error, context) if is_exception(error) else None
        if stamp is None:
            uuid = _tolerated("uuid", lambda: self._uuid(options), "") or self._new_uuid()
            timestamp = _tolerated("timestamp", lambda: self._timestamp(options), self._now())
            stamp = make_stamp(uuid, timestamp, distinct_id or self._new_uuid(), personless=distinct_id is None)
        if is_exception(error):
            put_stamp(error, stamp, context)
        return stamp

    def _draft(
        self,
        name: str,
        distinct_id: str,
        properties: Mapping[str, Any],
        own: Mapping[str, Any],
        options: Options,
        stamp: Stamp | None = None,
        lane: str = ANALYTICS,
    ) -> Entry | None:
        if self._release and lane != EXPOSURES:
            properties = {**self._release, **properties}
        cleaned, problems = clean_properties(properties)
        if lane == AI and not self._full_ai_capture:
            cleaned = without_media(cleaned)
        if options.disable_geoip is not None:
            own = {**own, "$geoip_disable": _require_choice(options.disable_geoip, "disable_geoip")}
        event: Event = {
            "uuid": str(stamp) if stamp else self._uuid(options),
            "event": name,
            "distinct_id": distinct_id,
            "timestamp": stamp.timestamp if stamp else self._timestamp(options),
            # hogbox's own properties last: PostHog reads them, and only a hook may override them.
            "properties": {**cleaned, **own},
        }
        if self._hooks:
            hooked = self._run_hooks(event, problems)
            if hooked is None:
                return None
            event = hooked
        if name == builder.IDENTIFY:
            _check_partner(event, problems)
        if problems:
            _report(event, problems)
        return self._entry(event, lane)

    def _entry(self, event: Event, lane: str) -> Entry:
        if self._historical and lane == ANALYTICS:
            lane = HISTORICAL
        row = to_row(event, self._project, lane)
        if lane == AI:
            row = self._fitting(event, row)
        reason = refusal(event, row.payload, lane)
        if reason is not None:
            log.warning(
                "event %s (%s) stored as a dead letter: %s", event["uuid"], one_line(event["event"], 100), reason
            )
        return Entry(event["uuid"], row, reason)

    def _fitting(self, event: Event, row: Row) -> Row:
        """The row of an AI event, with its long texts cut if it is too large otherwise and the client permits that."""
        if self._full_ai_capture or not is_oversized(row.payload):
            return row
        log.warning(
            "event %s (%s) has %s bytes: its long texts are cut",
            event["uuid"],
            one_line(event["event"], 100),
            len(row.payload),
        )
        return to_row(cut_event(event), row.project, row.lane)

    def _run_hooks(self, event: Event, problems: list[str]) -> Event | None:
        try:
            result, more = run_hooks(event, self._hooks)
        except BadHook as error:
            self._count(Discarded(failed=1))
            log.warning("%s: the event is discarded", error, exc_info=error.__cause__)
            return None
        if result is None:
            self._count(Discarded(refused=1))
            log.debug("event discarded by before_send")
            return None
        problems.extend(more)
        return result

    def _uuid(self, options: Options) -> str:
        # An empty text counts as not given, without a warning.
        if options.uuid is not None and not (type(options.uuid) is str and not options.uuid):
            if parsed := parse_uuid(options.uuid):
                return parsed
            log.warning("uuid %s is not a UUID: the event gets a new one", shown(options.uuid))
        if options.idempotency_key is not None:
            if is_bulky(options.idempotency_key):
                raise InvalidEvent(f"idempotency_key must be text, not {shown(options.idempotency_key)}")
            return keyed_uuid(self._project, options.idempotency_key)
        return self._new_uuid()

    def _new_uuid(self) -> str:
        # The system's random bytes, although they are slower: a generator in the process would repeat after a fork.
        return uuid7(time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10), "big") >> 6)  # 74 of 80 bits

    def _timestamp(self, options: Options) -> str:
        if options.timestamp is None:
            return self._now()
        return utc_text(require_moment(options.timestamp))

    def _now(self) -> str:
        return self._clockface.text(time.time_ns())

    def _with_groups(self, groups: Mapping[str, Any] | None) -> Mapping[str, Any]:
        if not groups:
            return self._own_and_machine
        return {**self._own_and_machine, "$groups": builder.group_map(groups)}

    def limited(self) -> None:
        """Count an uncaught exception beyond the rate limit."""
        self._count(Discarded(limited=1))

    def _count(self, one: Discarded) -> None:
        if self._process != os.getpid():
            # After a fork, the lock may be held by a thread that does not exist in the child.
            self._lock, self._process = threading.Lock(), os.getpid()
        with self._lock:
            self.discarded = Discarded(*(a + b for a, b in zip(self.discarded, one, strict=True)))


def asked_at_delivery(entry: Entry | None) -> Entry | None:
    """An entry for whose person the worker asks PostHog for flags when it delivers the event."""
    return entry and entry._replace(row=entry.row._replace(lane=FLAGGED))


def raised(error: object) -> Raised:
    """The error, or else the exception that is being handled. Raises InvalidEvent if there is neither."""
    found = Raised.given(error)
    if found.error is None and (found := Raised(sys.exception())).error is None:
        raise InvalidEvent("no exception is being handled: pass an exception or a text to capture_exception")
    return found


def without_flags(trouble: Exception) -> None:
    """Log that flags could not be read; the exception is captured without them."""
    log.warning("exception captured without its flags: %s", error_text(trouble))


def unidentified(trouble: Exception) -> None:
    """Log that an `identify` callback raised; the exception is captured without a person."""
    log.warning("exception captured without a distinct id: identify raised %s", error_text(trouble))


def person_if_any(identified: object, argument: object) -> str | None:
    """The distinct id for an exception, or None if there is none, or the application's code fails to return it."""
    if identified is not None or argument is not None:
        return _tolerated("distinct id", lambda: resolve(identified, argument), None)
    context = get_context()
    return None if context is None else _tolerated("distinct id", context.person, None)


def _in_context(given: Mapping[str, Any], flags: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """The properties of a call with those of the flags and of the context."""
    context = get_context()
    if context is not None:
        return {**context.event_properties(), **(flags or {}), **given}
    return {**flags, **given} if flags else given


def _properties(given: Mapping[str, Any] | None) -> dict[str, Any]:
    properties, problems = builder.read_properties(given)
    if problems:
        log.warning("properties of an event: %s", _summary(problems))
    return properties


def _with_context(properties: Mapping[str, Any] | None, more: Mapping[str, Any]) -> Mapping[str, Any]:
    return _in_context(_properties(properties), more)


def _tolerated(what: str, read: Callable[[], T], otherwise: T) -> T:
    """The result of reading an argument; the alternative, with a warning, if that fails."""
    try:
        return read()
    except Exception as error:
        log.warning("exception captured without its %s: %s", what, error_text(error))
        return otherwise


def _require_choice(value: object, argument: str) -> bool:
    if value is True or value is False:
        return value
    raise InvalidEvent(f"{argument} must be True or False, not {shown(value)}")


def _require_name(event: Any) -> str:
    if type(event) is str and event.isascii() and event.strip():
        return event
    if not issubclass(type(event), str):
        raise InvalidEvent(
            f"the event's name must be text, not {shown(event)}: capture(ctx, 'order placed', distinct_id=...)"
        )
    name = clean_text(event)
    if not name.strip():
        raise InvalidEvent("the event's name must not be empty: capture(ctx, 'order placed', distinct_id=...)")
    return name


def _check_partner(event: Event, problems: list[str]) -> None:
    """Leave out an anonymous id that PostHog would not merge. It often comes from a cookie: the rest is still valid."""
    anonymous = event["properties"].get("$anon_distinct_id")
    if anonymous is not None and (why := illegal_partner(anonymous)) is not None:
        del event["properties"]["$anon_distinct_id"]
        problems.append(f"{why}; it is left out")


def _report(event: Event, problems: list[str]) -> None:
    log.warning("event %s (%s): %s", event["uuid"], event["event"][:100], _summary(problems))


def _summary(problems: list[str]) -> str:
    more = f"; and {len(problems) - _PROBLEMS_SHOWN} more" if len(problems) > _PROBLEMS_SHOWN else ""
    return "; ".join(problems[:_PROBLEMS_SHOWN]) + more
